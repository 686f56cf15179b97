//! Sources in whose place an older file was put: by `mv x.rs.orig x.rs`, `cp -p`, `rsync -t`
//! or `tar x`. Cargo compares times of modification and no contents
//! (<https://github.com/rust-lang/cargo/issues/2880>), so it takes such a file for the one
//! that it has compiled, and would keep the old component for good.
//!
//! So what each build has read is recorded where cargo compiles. A file that has other
//! content since and is not newer than the record is one that cargo misses. What is newer
//! it compiles by itself.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hotsocket_sandbox::write_whole;

use super::Error;
use super::sources::{self, Hashed};

/// Sources whose last build is on record, in one directory of cargo's; the oldest are
/// forgotten.
const MAX_RECORDS: usize = 1000;

/// The file with what the last build of one source has read: a hash and a path in each line.
pub(super) struct Record(PathBuf);

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

    /// Whether there is a file that cargo misses. Before the first build nothing is known.
    pub(super) fn has_replaced(&self) -> bool {
        let Some(own) = Read::of(&self.0) else {
            return false;
        };
        // Other guests of a workspace may have had a crate that they share compiled since.
        let others = self.all().into_iter();
        let mut others: Vec<_> = others.filter_map(|(_, path)| Read::of(&path)).collect();
        others.sort_by_key(|read| std::cmp::Reverse(read.at));
        own.hashes.keys().any(|file| {
            let last = others.iter().find(|read| read.hashes.contains_key(file));
            let (Ok(time), Ok(now)) = (modified(file), sources::of_input(file)) else {
                return false;
            };
            let misses = |read: &Read| {
                let hash = read.hashes.get(file);
                time <= read.at && hash.is_some_and(|hash| *hash != now)
            };
            misses(&own) || last.is_some_and(misses)
        })
    }

    /// These files were read. The time counts as well, so this is written even if it says
    /// the same as before.
    pub(super) fn write(&self, files: &[PathBuf]) -> Result<(), Error> {
        let mut list = String::new();
        for file in files {
            // What is gone meanwhile, cargo looks for in vain.
            if let Ok(hash) = sources::of_input(file) {
                list.push_str(&format!("{hash} {}\n", file.display()));
            }
        }
        self.0
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| write_whole(&self.0, list.as_bytes()))
            .map_err(|error| Error::write(&self.0, error))?;
        let mut all = self.all();
        all.sort();
        for (_, path) in all.iter().rev().skip(MAX_RECORDS) {
            // If that fails, the next build does it.
            let _ = fs::remove_file(path);
        }
        Ok(())
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
    use std::fs::File;
    use std::time::Duration;

    const HOUR: Duration = Duration::from_secs(3600);

    fn put(path: &Path, content: &str, time: SystemTime) {
        fs::write(path, content).expect("writable");
        let file = File::options().append(true).open(path);
        file.and_then(|file| file.set_modified(time)).expect("ours");
    }

    #[test]
    fn other_content_with_an_older_time_is_seen() {
        let dir = tempfile::tempdir().expect("a directory");
        let [source, other] = ["a b.rs", "other.rs"].map(|name| dir.path().join(name));
        let record = Record::of(&dir.path().join("target"), &source);
        let (before, after) = (SystemTime::now() - HOUR, SystemTime::now() + HOUR);
        put(&other, "", before);
        put(&source, "new", before);
        assert!(!record.has_replaced(), "nothing was built");
        let files = [other, source.clone(), dir.path().join("none.rs")];
        record.write(&files).expect("writable");
        assert!(!record.has_replaced());
        put(&source, "new", before - HOUR);
        assert!(!record.has_replaced(), "the same content");
        put(&source, "old", after);
        assert!(!record.has_replaced(), "cargo sees it");
        put(&source, "old", before);
        assert!(record.has_replaced());
        record.write(&files).expect("writable");
        assert!(!record.has_replaced(), "it was compiled");
        fs::remove_file(&source).expect("ours");
        assert!(!record.has_replaced(), "cargo sees it");
    }

    #[test]
    fn what_another_guest_has_compiled_since_counts() {
        let dir = tempfile::tempdir().expect("a directory");
        let shared = dir.path().join("shared.rs");
        let record = |name: &str| Record::of(&dir.path().join("target"), &dir.path().join(name));
        let (one, other) = (record("one"), record("other"));
        let write = |record: &Record, time: SystemTime| {
            record.write(std::slice::from_ref(&shared)).expect("ours");
            let file = File::options().append(true).open(&record.0);
            file.and_then(|file| file.set_modified(time)).expect("ours");
        };
        let now = SystemTime::now();
        put(&shared, "old", now - 4 * HOUR);
        write(&one, now - 3 * HOUR);
        put(&shared, "new", now - 2 * HOUR);
        write(&other, now - HOUR);
        put(&shared, "old", now - 4 * HOUR);
        assert!(one.has_replaced() && other.has_replaced());
        write(&one, now);
        assert!(!one.has_replaced(), "it was compiled");
        assert!(other.has_replaced(), "its own code was not");
    }
}
