//! Components that were built, kept by what they were built from: so the same source
//! gives the same bytes, wherever it lies, and a second build of it takes no time.
//!
//! `componentize-py` itself never makes the same component twice. Its own hash tables and
//! the interpreter's have a random seed, from which names get their order and memory its
//! layout. And the image has traces of the build's time and place in it: wasi-libc mixes
//! the clock into its random numbers, and times and numbers of the files that were looked
//! at are left in the stack, in memory that was given back, and between the fields of
//! objects that took its place.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hotsocket_sandbox::write_whole;
use sha2::{Digest, Sha256};

use super::super::sources::Hashed;
use super::Generated;
use super::sources::Sources;

/// Components of some 20 MB each; the one that was used last is kept longest.
const MOST: usize = 8;
/// Length of the checksum in front of a component.
const CHECKSUM: usize = 32;

/// The place of one component.
pub(super) struct Kept(PathBuf);

impl Kept {
    /// It depends on the sources, on what is generated for them, and on what this version
    /// makes of the program's output.
    pub(super) fn of(cache: &Path, sources: &Sources, generated: &[Generated]) -> Self {
        let mut key = Hashed::default();
        key.add("version", env!("CARGO_PKG_VERSION").as_bytes());
        key.add("sources", sources.hash().as_bytes());
        for (path, content) in generated {
            key.add(path, content.as_bytes());
        }
        Kept(cache.join("python-built").join(key.hex()))
    }

    /// The component, if it is there and whole.
    pub(super) fn component(&self) -> Option<Vec<u8>> {
        let mut component = fs::read(&self.0).ok()?;
        let checksum: Vec<u8> = component.drain(..CHECKSUM.min(component.len())).collect();
        if checksum != Sha256::digest(&component).as_slice() {
            return None;
        }
        // That fails at worst in keeping it longer.
        let _ = File::options()
            .append(true)
            .open(&self.0)
            .and_then(|file| file.set_modified(SystemTime::now()));
        Some(component)
    }

    /// Keep it, and give back the one to use: another build of the same may have been
    /// faster. Whatever fails here costs the next build its time, and this one nothing.
    pub(super) fn keep(&self, component: Vec<u8>) -> Vec<u8> {
        if let Some(earlier) = self.component() {
            return earlier;
        }
        let checked = [Sha256::digest(&component).as_slice(), &component].concat();
        if let Some(dir) = self.0.parent()
            && fs::create_dir_all(dir).is_ok()
            && write_whole(&self.0, &checked).is_ok()
        {
            remove_oldest(dir);
        }
        component
    }
}

fn remove_oldest(dir: &Path) {
    let mut all: Vec<(SystemTime, PathBuf)> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    all.sort();
    for (_, path) in all.iter().rev().skip(MOST) {
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_component_is_kept_until_it_is_damaged() {
        let dir = tempfile::tempdir().expect("a directory");
        let kept = Kept(dir.path().join("built/x"));
        assert_eq!(kept.component(), None);
        assert_eq!(kept.keep(b"one".to_vec()), b"one");
        assert_eq!(kept.component().as_deref(), Some(&b"one"[..]));
        assert_eq!(kept.keep(b"two".to_vec()), b"one", "the first is used");
        for damaged in [&b"short"[..], &[7; 40]] {
            fs::write(&kept.0, damaged).expect("written");
            assert_eq!(kept.component(), None);
        }
        assert_eq!(kept.keep(b"two".to_vec()), b"two");
    }

    #[test]
    fn what_is_generated_counts() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("guest.py");
        fs::write(&path, "").expect("written");
        let sources = Sources::of(&path).expect("readable");
        let place = |world: &str| {
            let generated = [("world.wit".to_owned(), world.to_owned())];
            Kept::of(dir.path(), &sources, &generated).0
        };
        assert_eq!(place("one"), place("one"));
        assert_ne!(place("one"), place("two"));
    }

    #[test]
    fn those_used_last_are_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |number: usize| dir.path().join(number.to_string());
        for number in 0..MOST + 2 {
            Kept(path(number)).keep(vec![1]);
            let age = Duration::from_secs(100 - u64::try_from(number).expect("small"));
            let file = File::options().append(true).open(path(number));
            file.and_then(|file| file.set_modified(SystemTime::now() - age))
                .expect("set");
            if number == 1 {
                // The first is used once more.
                assert!(Kept(path(0)).component().is_some());
            }
        }
        let there: Vec<bool> = (0..MOST + 2).map(|number| path(number).exists()).collect();
        assert_eq!(there.iter().filter(|there| **there).count(), MOST);
        assert!(there[0] && !there[1] && !there[2], "{there:?}");
    }
}
