//! Compiled code on disk that is damaged, or not this user's: it is never run, but
//! deleted with one warning, and the guest compiled again.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use crate::guests::saying;
use crate::harness::{Server, count_lines, serve, temp_dir};

const PAGE: usize = 4096;

/// A cache with the code of one guest.
struct Cache {
    dir: TempDir,
    /// Of that code.
    file: PathBuf,
    content: Vec<u8>,
}

impl Cache {
    fn new() -> Self {
        let dir = temp_dir();
        start(dir.path()).stop();
        let mut files = fs::read_dir(dir.path()).expect("a cache");
        let file = files.next().expect("code").expect("readable").path();
        assert!(files.next().is_none(), "nothing else");
        Cache {
            content: fs::read(&file).expect("readable"),
            dir,
            file,
        }
    }

    /// A start with what is in the cache now serves as ever, after one warning.
    fn is_made_again(&self, what: &str) {
        let server = start(self.dir.path());
        server.connect().ask("x", "cached");
        let log = server.stop().stderr;
        assert_eq!(count_lines(&log, "compiled code in"), 1, "{what}: {log}");
        let found = fs::symlink_metadata(&self.file).expect("a file");
        assert!(found.is_file(), "{what}");
        assert_eq!(found.mode() & 0o7777, 0o600, "{what}");
        assert_eq!(found.len(), self.content.len() as u64, "{what}");
    }
}

fn start(cache: &Path) -> Server {
    serve(saying("cached"))
        .args(&["--control", "none", "--no-watch", "--code-cache"])
        .arg(cache)
        .start()
}

#[test]
fn code_that_is_damaged_in_any_page_is_compiled_again() {
    let cache = Cache::new();
    let size = cache.content.len();
    let with = |what: &str, content: &[u8]| {
        fs::write(&cache.file, content).expect("ours");
        cache.is_made_again(what);
    };
    for page in (0..size).step_by(PAGE) {
        with("truncated", &cache.content[..page]);
        let mut zeroed = cache.content.clone();
        zeroed[page..size.min(page + PAGE)].fill(0);
        // All of a page may be zero anyway.
        if zeroed != cache.content {
            with("a zeroed page", &zeroed);
        }
        let mut flipped = cache.content.clone();
        flipped[page + page / PAGE * 7 % 13] ^= 1 << (page / PAGE % 8);
        with("a flipped bit", &flipped);
    }
    with("longer", &[&cache.content[..], &[0; PAGE]].concat());
    // Nothing is wrong with what was compiled last.
    let log = start(cache.dir.path()).stop().stderr;
    assert_eq!(count_lines(&log, "compiled code in"), 0, "{log}");
}

#[test]
fn code_of_another_guest_is_compiled_again() {
    let cache = Cache::new();
    let other = temp_dir();
    let server = serve(saying("wrong!"))
        .arg("--code-cache")
        .arg(other.path())
        .start();
    server.stop();
    let code = fs::read_dir(other.path()).expect("a cache").next();
    let code = code.expect("code").expect("readable").path();
    fs::copy(code, &cache.file).expect("ours");
    cache.is_made_again("another guest's");
}

#[test]
fn code_that_others_could_have_written_is_compiled_again() {
    let cache = Cache::new();
    for mode in [0o644, 0o660, 0o602] {
        fs::set_permissions(&cache.file, Permissions::from_mode(mode)).expect("ours");
        cache.is_made_again("permissions");
    }
    let elsewhere = temp_dir().path().join("code");
    symlink(&elsewhere, cache.dir.path().join("link")).expect("a symlink");
    fs::rename(cache.dir.path().join("link"), &cache.file).expect("ours");
    cache.is_made_again("a symlink");
    fs::remove_file(&cache.file).expect("ours");
    let mode = Mode::RUSR | Mode::WUSR;
    mknodat(CWD, &cache.file, FileType::Fifo, mode, 0).expect("a FIFO");
    cache.is_made_again("a FIFO, which nobody writes to");
    if rustix::process::geteuid().is_root() {
        chown(&cache.file, Some(12345), None).expect("root");
        cache.is_made_again("another user's");
    }
}
