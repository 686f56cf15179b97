//! Files with compiled code, which are checked whenever they are opened.
//!
//! What is in them is executed, or becomes part of what is executed. Two things
//! are checked, against two dangers:
//!
//! - *Other users.* The file is a regular one, belongs to the user who runs the
//!   server, and nobody else may read or write it. This is checked on the
//!   descriptor that is read afterwards. Who can change the file all the same is
//!   this user or root, and they can change the server itself.
//! - *Damage.* A file ends with a checksum (BLAKE3) of its name and its content,
//!   so that a page that the disk has lost, or a file under another's name, is
//!   found. It does not protect against people: who can write the file can write
//!   the checksum.
//!
//! The content comes first and is not changed, so that wasmtime can map the file.
//! The mapping is private and of the descriptor that was checked; no file is ever
//! changed in place, only replaced by renaming another over it.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::SystemTime;

use blake3::Hasher;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::write_whole::write_private;

/// The last bytes of every such file.
const MAGIC: &[u8; 8] = b"hotsock1";
/// The checksum and [`MAGIC`].
pub const TRAILER: usize = 32 + MAGIC.len();
/// Read at once for the checksum.
const CHUNK: usize = 256 << 10;
/// What group and others may do.
const OTHERS: u32 = 0o077;

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It is not one that this user has written.
    #[error("{0}")]
    Foreign(&'static str),
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A file that has been checked, and is open.
#[derive(Debug)]
pub struct CheckedFile {
    file: File,
    /// Of the content, in bytes.
    length: u64,
}

impl CheckedFile {
    /// Open a file and check it. `None` if there is none.
    ///
    /// Opening never waits, whatever is there: no symlink is followed, and a FIFO
    /// or a device is opened without blocking, and rejected.
    ///
    /// # Errors
    /// When it must not be used.
    pub fn open(path: &Path, max: u64) -> Result<Option<Self>, Unusable> {
        let flags =
            OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(Unusable::Foreign("it is a symlink")),
            Err(error) => return Err(Unusable::Io(error.into())),
        };
        let found = rustix::fs::fstat(&file).map_err(io::Error::from)?;
        if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
            return Err(Unusable::Foreign("it is not a regular file"));
        }
        if found.st_uid != rustix::process::geteuid().as_raw() {
            return Err(Unusable::Foreign("it belongs to another user"));
        }
        if found.st_mode & OTHERS != 0 {
            return Err(Unusable::Foreign("others have access to it"));
        }
        Self::check(file, &name_of(path), max).map(Some)
    }

    /// Check the checksum of an open file, whoever it belongs to.
    ///
    /// # Errors
    /// When it is damaged, or larger than `max`.
    pub fn check(file: File, name: &str, max: u64) -> Result<Self, Unusable> {
        let size = file.metadata()?.len();
        let Some(length) = size.checked_sub(TRAILER as u64) else {
            return Err(Unusable::Damaged("it is too short"));
        };
        if length > max {
            return Err(Unusable::Damaged("it is too large"));
        }
        let mut hasher = begin(name);
        let mut buffer = vec![0; CHUNK];
        let mut offset = 0;
        while offset < length {
            let left = usize::try_from(length - offset).unwrap_or(CHUNK);
            let Some(part) = buffer.get_mut(..left.min(CHUNK)) else {
                break;
            };
            file.read_exact_at(part, offset)?;
            hasher.update(part);
            offset += part.len() as u64;
        }
        let mut trailer = [0; TRAILER];
        file.read_exact_at(&mut trailer, length)?;
        if trailer != trailer_of(&hasher) {
            return Err(Unusable::Damaged("its checksum is wrong"));
        }
        Ok(CheckedFile { file, length })
    }

    /// The file with its checksum.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Read the content into memory.
    ///
    /// # Errors
    /// As reading any file.
    pub fn content(&self) -> io::Result<Vec<u8>> {
        let mut content = vec![0; usize::try_from(self.length).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut content, 0)?;
        Ok(content)
    }

    /// Mark it as used just now.
    pub fn touch(&self) {
        // A failure only makes it look older.
        let _ = self.file.set_modified(SystemTime::now());
    }

    /// Copy it, with its checksum, to another path, which must have the same
    /// name. The kernel copies.
    ///
    /// # Errors
    /// As writing any file.
    pub fn copy_to(&self, path: &Path) -> io::Result<()> {
        let mut from = &self.file;
        write_private(path, |file| {
            from.seek(SeekFrom::Start(0))?;
            io::copy(&mut from, file).map(drop)
        })
    }
}

/// Write content with its checksum, so that only this user has access to it.
///
/// # Errors
/// As writing any file; then what was there before is still there.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let trailer = trailer(&name_of(path), content);
    write_private(path, |file| {
        use io::Write;
        file.write_all(content)?;
        file.write_all(&trailer)
    })
}

/// Delete a file that must not be used, whatever it is, with a line for the log. It stays if
/// only this process was short of something.
pub fn discard(path: &Path, why: &Unusable) -> String {
    let deleted = match why {
        // That says nothing about the file.
        Unusable::Io(error) if error.raw_os_error().is_some_and(is_shortage) => "it stays",
        _ => match fs::remove_file(path) {
            Ok(()) => "it is deleted",
            Err(_) => "it cannot be deleted",
        },
    };
    format!(
        "compiled code in {} is not used: {why}; {deleted}, and the guest compiled again",
        path.display()
    )
}

/// Whether this error of the system says that it has no descriptor or no memory left.
pub fn is_shortage(error: i32) -> bool {
    let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOMEM];
    shortages.iter().any(|errno| errno.raw_os_error() == error)
}

/// What follows the content in a file of this name.
pub fn trailer(name: &str, content: &[u8]) -> [u8; TRAILER] {
    trailer_of(begin(name).update(content))
}

fn begin(name: &str) -> Hasher {
    let mut hasher = Hasher::new();
    hasher.update(&(name.len() as u64).to_le_bytes());
    hasher.update(name.as_bytes());
    hasher
}

fn trailer_of(hasher: &Hasher) -> [u8; TRAILER] {
    let mut trailer = [0; TRAILER];
    let checksum = hasher.finalize();
    let bytes = checksum.as_bytes().iter().chain(MAGIC);
    trailer
        .iter_mut()
        .zip(bytes)
        .for_each(|(to, from)| *to = *from);
    trailer
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    const MAX: u64 = 1 << 20;
    const PAGE: usize = 4096;

    fn content() -> Vec<u8> {
        (0..5 * PAGE + 100)
            .map(|at| (at * 31 % 251) as u8)
            .collect()
    }

    /// Why a file is not used, which is prepared by this.
    fn refused(prepare: impl FnOnce(&Path)) -> Unusable {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("code");
        write(&path, &content()).expect("writable");
        prepare(&path);
        CheckedFile::open(&path, MAX).expect_err("unusable")
    }

    #[test]
    fn what_was_written_is_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("code");
        assert!(CheckedFile::open(&path, MAX).expect("none").is_none());
        for content in [content(), Vec::new()] {
            write(&path, &content).expect("writable");
            let mode = fs::metadata(&path).expect("a file").permissions().mode();
            assert_eq!(mode & 0o7777, 0o600);
            let file = CheckedFile::open(&path, MAX)
                .expect("usable")
                .expect("there");
            assert_eq!(file.content().expect("readable"), content);
            let copy = dir.path().join("copy").join("code");
            fs::create_dir_all(dir.path().join("copy")).expect("writable");
            file.copy_to(&copy).expect("writable");
            let copy = CheckedFile::open(&copy, MAX)
                .expect("usable")
                .expect("there");
            assert_eq!(copy.content().expect("readable"), content);
        }
    }

    #[test]
    fn every_damage_is_found() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("code");
        write(&path, &content()).expect("writable");
        let whole = fs::read(&path).expect("readable");
        let refuse = |what: &str, bytes: &[u8]| {
            fs::write(&path, bytes).expect("writable");
            let found = CheckedFile::open(&path, MAX);
            assert!(matches!(found, Err(Unusable::Damaged(_))), "{what}");
        };
        let size = whole.len();
        for length in (0..size).step_by(97).chain(size - TRAILER - 2..size) {
            refuse("truncated", &whole[..length]);
        }
        refuse("longer", &[&whole[..], b"x"].concat());
        refuse("empty", b"");
        for page in (0..size).step_by(PAGE) {
            let mut zeroed = whole.clone();
            zeroed[page..size.min(page + PAGE)].fill(0);
            refuse("a zeroed page", &zeroed);
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[page + 13] ^= 1 << bit;
                refuse("a flipped bit", &flipped);
            }
        }
        for at in size - TRAILER..size {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            refuse("a flipped bit of the checksum", &flipped);
        }
        fs::write(&path, &whole).expect("writable");
        assert!(CheckedFile::open(&path, MAX).is_ok());
        // It is a file of that name.
        let other = dir.path().join("other");
        fs::rename(&path, &other).expect("renamed");
        let found = CheckedFile::open(&other, MAX);
        assert!(matches!(found, Err(Unusable::Damaged(_))));
    }

    #[test]
    fn what_is_no_file_of_ours_is_not_read() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let foreign = |prepare: &dyn Fn(&Path)| {
            let why = refused(prepare);
            assert!(matches!(why, Unusable::Foreign(_)), "{why:?}");
        };
        foreign(&|path| {
            fs::rename(path, path.with_extension("x")).expect("renamed");
            symlink("code.x", path).expect("a symlink");
        });
        foreign(&|path| {
            fs::remove_file(path).expect("removed");
            fs::create_dir(path).expect("a directory");
        });
        // Opening it must not wait for a writer.
        foreign(&|path| {
            fs::remove_file(path).expect("removed");
            mknodat(CWD, path, FileType::Fifo, Mode::RUSR, 0).expect("a FIFO");
        });
        for mode in [0o640, 0o604, 0o620, 0o602, 0o660, 0o666] {
            foreign(&|path| {
                fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
            });
        }
        if rustix::process::geteuid().is_root() {
            foreign(&|path| std::os::unix::fs::chown(path, Some(12345), None).expect("root"));
        }
    }

    #[test]
    fn what_is_too_large_is_not_read() {
        let why = refused(|path| {
            let file = File::options().write(true).open(path).expect("ours");
            file.set_len(MAX + TRAILER as u64 + 1).expect("sparse");
        });
        assert!(matches!(why, Unusable::Damaged("it is too large")));
    }

    #[test]
    fn a_file_that_could_not_be_opened_for_lack_of_descriptors_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("code");
        write(&path, &content()).expect("writable");
        let line = discard(&path, &Unusable::Io(Errno::MFILE.into()));
        assert!(line.contains("it stays"), "{line}");
        assert!(CheckedFile::open(&path, MAX).is_ok_and(|found| found.is_some()));
        let line = discard(&path, &Unusable::Io(Errno::IO.into()));
        assert!(line.contains("it is deleted"), "{line}");
        assert!(!path.exists());
    }

    #[test]
    fn a_file_is_deleted_whatever_it_is() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("code");
        symlink("nowhere", &path).expect("a symlink");
        let line = discard(&path, &Unusable::Foreign("it is a symlink"));
        assert!(line.contains("it is deleted"), "{line}");
        assert!(!path.is_symlink());
    }
}
