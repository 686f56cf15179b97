//! A counter for each of a few names, which are known from the start: those of the
//! values that a label of a metric may have.

use std::sync::atomic::{AtomicU64, Ordering};

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct ByName(Box<[(&'static str, AtomicU64)]>);

impl ByName {
    pub fn new(names: impl IntoIterator<Item = &'static str>) -> Self {
        let counters = names.into_iter().map(|name| (name, AtomicU64::new(0)));
        ByName(counters.collect())
    }

    /// Count one of this name; nothing if it is not known.
    pub fn count(&self, name: &str) {
        if let Some((_, count)) = self.0.iter().find(|(known, _)| *known == name) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn read(&self, name: &str) -> u64 {
        let found = self.all().find(|(known, _)| *known == name);
        found.map_or(0, |(_, count)| count)
    }

    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let read =
            |(name, count): &(&'static str, AtomicU64)| (*name, count.load(Ordering::Relaxed));
        self.0.iter().map(read)
    }

    pub fn total(&self) -> u64 {
        self.all().map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_names_are_counted() {
        let counters = ByName::new(["a", "b"]);
        for name in ["a", "c", "b", "a"] {
            counters.count(name);
        }
        assert_eq!((counters.read("a"), counters.read("c")), (2, 0));
        assert_eq!(counters.total(), 3);
    }
}
