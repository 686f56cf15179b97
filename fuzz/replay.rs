//! Calls a function with the seeds of a fuzz target and with changed ones, without
//! libFuzzer: for the tests that run everywhere. The same changes each time.

use std::path::Path;

/// Call it with each seed in a directory, and with so many changed ones.
pub fn replay(dir: &str, changes: usize, mut call: impl FnMut(&[u8])) {
    let dir = Path::new(dir);
    let mut seeds: Vec<_> = std::fs::read_dir(dir)
        .unwrap_or_else(|error| panic!("{}: {error}", dir.display()))
        .map(|entry| std::fs::read(entry.expect("an entry").path()).expect("a seed"))
        .collect();
    assert!(!seeds.is_empty(), "{} is empty", dir.display());
    seeds.sort();
    for seed in &seeds {
        call(seed);
    }
    let mut random = Random(1);
    for _ in 0..changes {
        let mut bytes = random.one_of(&seeds).clone();
        for _ in 0..=random.below(3) {
            random.change(&mut bytes, &seeds);
        }
        call(&bytes);
    }
}

/// SplitMix64 (<https://doi.org/10.1145/2714064.2660195>).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    fn change(&mut self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.below(bytes.len());
        match self.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, self.next() as u8),
            // A part of another seed in its place.
            2 => {
                let other = self.one_of(seeds);
                let from = self.below(other.len());
                let end = other.len().min(from + self.below(64));
                let replaced = bytes.len().min(at + self.below(64));
                bytes.splice(at..replaced, other[from..end].iter().copied());
            }
            3 if at < bytes.len() => bytes[at] = self.next() as u8,
            _ if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            _ => {}
        }
    }
}
