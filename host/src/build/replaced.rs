//! Sources in whose place an older file was put: by `mv x.rs.orig x.rs`, `cp -p`, `rsync -t`
//! or `tar x`. Cargo compares times of modification and no contents
//! (<https://github.com/rust-lang/cargo/issues/2880>), so it takes such a file for the one
//! that it has compiled, and would keep the old component for good.
//!
//! So what each build reads is recorded where cargo compiles, as it was when the build began:
//! one that fails may have compiled some of it. A file that has other content since and is
//! not newer than that is one that cargo misses. What is newer it compiles by itself.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hotsocket_sandbox::write_whole;

use super::Error;
use super::sources::{self, Hashed};

/// Sources whose last build is on record, in one directory of cargo's; the oldest are
/// forgotten.
const MAX_RECORDS: usize = 1000;

/// The file with what the last build of one source has read: a hash and a path in each line,
/// and as its time when that build began. [`Self::replaced`], [`Self::begin`], and
/// [`Begun::finish`] when it was compiled.
pub(super) struct Record(PathBuf);

/// A build that has begun.
pub(super) struct Begun {
    record: Record,
    at: SystemTime,
    /// Of the files that the build before has read, as they are now.
    hashes: BTreeMap<PathBuf, String>,
}

/// What is in such a file.
struct Read {
    at: SystemTime,
    /// By path.
    hashes: BTreeMap<PathBuf, String>,
}

impl Record {
    /// Of this source, if cargo compiles in this directory.
    pub(super) fn of(target: &Path, source: &Path) -> Self {
        let mut key = Hashed::default();
        key.add("", source.as_os_str().as_encoded_bytes());
        let name = format!("{:.16}", key.hex());
        Record(target.join("hotsocket-sources").join(name))
    }

    /// The files that cargo misses. Before the first build nothing is known.
    pub(super) fn replaced(&self) -> Vec<PathBuf> {
        let Some(own) = Read::of(&self.0) else {
            return Vec::new();
        };
        // Other guests of a workspace may have had a crate that they share compiled since.
        let others = self.all().into_iter();
        let mut others: Vec<_> = others.filter_map(|(_, path)| Read::of(&path)).collect();
        others.sort_by_key(|read| std::cmp::Reverse(read.at));
        let is_missed = |file: &&PathBuf| {
            let file = *file;
            let last = others.iter().find(|read| read.hashes.contains_key(file));
            let (Ok(time), Ok(now)) = (modified(file), sources::of_input(file)) else {
                return false;
            };
            let misses = |read: &Read| {
                let hash = read.hashes.get(file);
                time <= read.at && hash.is_some_and(|hash| *hash != now)
            };
            misses(&own) || last.is_some_and(misses)
        };
        own.hashes.keys().filter(is_missed).cloned().collect()
    }

    /// The files that are known are about to be compiled, as they are now.
    pub(super) fn begin(self) -> Result<Begun, Error> {
        let at = SystemTime::now();
        let known = Read::of(&self.0).map(|read| read.hashes);
        let is_known = known.is_some();
        let files = known.unwrap_or_default().into_keys();
        let begun = Begun {
            hashes: files
                .filter_map(|file| Some((file.clone(), sources::of_input(&file).ok()?)))
                .collect(),
            record: self,
            at,
        };
        if is_known {
            begun.write(&begun.hashes)?;
        }
        Ok(begun)
    }

    /// All records of this directory, with their times.
    fn all(&self) -> Vec<(SystemTime, PathBuf)> {
        let entries = self.0.parent().map(fs::read_dir).into_iter().flatten();
        let paths = entries.flatten().flatten().map(|entry| entry.path());
        paths
            .filter_map(|path| Some((modified(&path).ok()?, path)))
            .collect()
    }
}

impl Begun {
    /// These files were read. What was known of them stays, as they may have been replaced
    /// since; and the time counts as well, so this is written even if it says the same.
    pub(super) fn finish(self, files: &[PathBuf]) -> Result<(), Error> {
        let hash = |file: &PathBuf| match self.hashes.get(file) {
            Some(hash) => Some(hash.clone()),
            // What is gone meanwhile, cargo looks for in vain.
            None => sources::of_input(file).ok(),
        };
        let read = files
            .iter()
            .filter_map(|file| Some((file.clone(), hash(file)?)));
        self.write(&read.collect())?;
        let mut all = self.record.all();
        all.sort();
        for (_, path) in all.iter().rev().skip(MAX_RECORDS) {
            // If that fails, the next build does it.
            let _ = fs::remove_file(path);
        }
        Ok(())
    }

    fn write(&self, hashes: &BTreeMap<PathBuf, String>) -> Result<(), Error> {
        let path = &self.record.0;
        let lines = hashes
            .iter()
            .map(|(file, hash)| format!("{hash} {}\n", file.display()));
        let list: String = lines.collect();
        path.parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| write_whole(path, list.as_bytes()))
            .and_then(|()| {
                File::options()
                    .append(true)
                    .open(path)?
                    .set_modified(self.at)
            })
            .map_err(|error| Error::write(path, error))
    }
}

impl Read {
    fn of(path: &Path) -> Option<Self> {
        let at = modified(path).ok()?;
        let list = fs::read_to_string(path).ok()?;
        let lines = list.lines().filter_map(|line| line.split_once(' '));
        let hashes = lines.map(|(hash, file)| (PathBuf::from(file), hash.to_owned()));
        Some(Read {
            at,
            hashes: hashes.collect(),
        })
    }
}

fn modified(path: &Path) -> io::Result<SystemTime> {
    fs::metadata(path)?.modified()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const HOUR: Duration = Duration::from_secs(3600);

    fn put(path: &Path, content: &str, time: SystemTime) {
        fs::write(path, content).expect("writable");
        let file = File::options().append(true).open(path);
        file.and_then(|file| file.set_modified(time)).expect("ours");
    }

    /// A build that succeeds.
    fn build(record: Record, files: &[PathBuf]) {
        let begun = record.begin().expect("writable");
        begun.finish(files).expect("writable");
    }

    #[test]
    fn other_content_with_an_older_time_is_seen() {
        let dir = tempfile::tempdir().expect("a directory");
        let [source, other] = ["a b.rs", "other.rs"].map(|name| dir.path().join(name));
        let record = || Record::of(&dir.path().join("target"), &source);
        let replaced = || record().replaced();
        let (before, after) = (SystemTime::now() - HOUR, SystemTime::now() + HOUR);
        put(&other, "", before);
        put(&source, "new", before);
        assert!(replaced().is_empty(), "nothing was built");
        let files = [other, source.clone(), dir.path().join("none.rs")];
        build(record(), &files);
        assert!(replaced().is_empty());
        put(&source, "new", before - HOUR);
        assert!(replaced().is_empty(), "the same content");
        put(&source, "old", after);
        assert!(replaced().is_empty(), "cargo sees it");
        put(&source, "old", before);
        assert_eq!(replaced(), std::slice::from_ref(&source));
        build(record(), &files);
        assert!(replaced().is_empty(), "it was compiled");
        fs::remove_file(&source).expect("ours");
        assert!(replaced().is_empty(), "cargo sees it");
    }

    #[test]
    fn what_a_build_may_have_compiled_that_failed_counts() {
        let dir = tempfile::tempdir().expect("a directory");
        let source = dir.path().join("a.rs");
        let record = || Record::of(&dir.path().join("target"), &source);
        put(&source, "one", SystemTime::now() - 2 * HOUR);
        build(record(), std::slice::from_ref(&source));
        put(&source, "two", SystemTime::now() - HOUR);
        drop(record().begin().expect("writable"));
        put(&source, "one", SystemTime::now() - 2 * HOUR);
        assert_eq!(record().replaced(), std::slice::from_ref(&source));
        // Put back in the middle of a build.
        let begun = record().begin().expect("writable");
        put(&source, "two", SystemTime::now() - HOUR);
        begun.finish(std::slice::from_ref(&source)).expect("ours");
        assert_eq!(record().replaced(), std::slice::from_ref(&source));
    }

    #[test]
    fn what_another_guest_has_compiled_since_counts() {
        let dir = tempfile::tempdir().expect("a directory");
        let shared = dir.path().join("shared.rs");
        let record = |name: &str| Record::of(&dir.path().join("target"), &dir.path().join(name));
        let misses = |name: &str| !record(name).replaced().is_empty();
        let write = |name: &str, at: SystemTime| {
            let begun = record(name).begin().expect("ours");
            let begun = Begun { at, ..begun };
            begun.finish(std::slice::from_ref(&shared)).expect("ours");
        };
        let now = SystemTime::now();
        put(&shared, "old", now - 4 * HOUR);
        write("one", now - 3 * HOUR);
        put(&shared, "new", now - 2 * HOUR);
        write("other", now - HOUR);
        put(&shared, "old", now - 4 * HOUR);
        assert!(misses("one") && misses("other"));
        write("one", now);
        assert!(!misses("one"), "it was compiled");
        assert!(misses("other"), "its own code was not");
    }
}
