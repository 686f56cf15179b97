//! Replacing a file atomically.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Names tried for the temporary file. The first is taken only if another
/// process has drawn the same 64 random bits.
const MAX_ATTEMPTS: u32 = 8;
/// Permissions of a file that the user's umask decides about.
const ANYBODY: u32 = 0o666;
const OWNER_ONLY: u32 = 0o600;

/// Write a file so that whoever opens or watches it finds the old content or
/// the new one, never a part of it: also when several processes write it at
/// once, and after a crash of the machine. A symlink at `path` is replaced.
///
/// The content is written to a temporary file in the same directory, whose name
/// ends with `.part`, and which is renamed (rename(2) is atomic). It is synced
/// first: otherwise some file systems may, after a crash, show the new name
/// with missing content. Which of both contents survives a crash is left open,
/// so the directory is not synced.
///
/// # Errors
/// As creating and writing a file; then `path` is as it was.
pub fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    write(path, ANYBODY, |file| file.write_all(content))
}

/// The same for a file that only its owner has access to. `fill` writes the
/// content.
///
/// # Errors
/// As [`write_whole`].
pub fn write_private(
    path: &Path,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    write(path, OWNER_ONLY, fill)
}

fn write(path: &Path, mode: u32, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let (temporary, mut file) = create_temporary(path, mode)?;
    let written = fill(&mut file)
        .and_then(|()| file.sync_data())
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// A new file with a random name in the directory of `path`. `create_new`
/// (O_EXCL) opens no file, and follows no symlink, that another process has put
/// there.
fn create_temporary(path: &Path, mode: u32) -> io::Result<(PathBuf, File)> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let random = RandomState::new().hash_one(attempt);
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".{random:016x}.part"));
        let temporary = PathBuf::from(temporary);
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)
        {
            Err(error)
                if error.kind() == io::ErrorKind::AlreadyExists && attempt < MAX_ATTEMPTS => {}
            Err(error) => return Err(error),
            Ok(file) => return Ok((temporary, file)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn entries(dir: &Path) -> usize {
        fs::read_dir(dir).expect("a directory").count()
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x.wasm");
        for content in [&b"one"[..], b"2", b""] {
            write_whole(&path, content).expect("writable");
            assert_eq!(fs::read(&path).expect("written"), content);
        }
        assert_eq!(entries(dir.path()), 1, "no temporary file is left");
    }

    #[test]
    fn a_failure_leaves_everything_as_it_was() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(write_whole(&dir.path().join("no/x.wasm"), b"").is_err());
        // A directory can't be replaced by a file.
        let path = dir.path().join("directory");
        fs::create_dir(&path).expect("writable");
        assert!(write_whole(&path, b"content").is_err());
        assert!(path.is_dir());
        assert_eq!(entries(dir.path()), 1, "no temporary file is left");
    }

    #[test]
    fn a_symlink_is_replaced_and_its_target_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        fs::write(&target, "target").expect("writable");
        symlink("target", &link).expect("writable");
        write_whole(&link, b"new").expect("writable");
        assert_eq!(fs::read(&link).expect("written"), b"new");
        assert_eq!(fs::read(&target).expect("written"), b"target");
    }

    #[test]
    fn writers_at_once_do_not_mix() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file");
        let contents: Vec<_> = (0..8_u8).map(|byte| vec![byte; 100_000]).collect();
        std::thread::scope(|scope| {
            for content in &contents {
                scope.spawn(|| write_whole(&path, content).expect("writable"));
            }
        });
        assert!(contents.contains(&fs::read(&path).expect("written")));
        assert_eq!(entries(dir.path()), 1, "no temporary file is left");
    }
}
