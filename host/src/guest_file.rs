//! Reads the file of a guest, for every command that is given one.
//!
//! Whatever stands in the file's place, reading it ends: opening never waits for
//! the other side of a FIFO or for a device, only a regular file is read, and
//! never more of it than is accepted. What can still hang is a file system whose
//! server is gone; [`read_in_time`] bounds that, too.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use hotsocket_sandbox::{ComponentBytes, run_on_thread};
use rustix::fs::OFlags;
use rustix::io::Errno;

/// How long reading a guest's file may take: a local disk needs less than a
/// second for the largest component.
pub const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Read at most one byte more than `max`, so that a huge file does not fill the
/// memory; whoever gets more than `max` bytes rejects them.
///
/// # Errors
/// As reading any file, and when the path leads to something else.
pub fn read(path: &Path, max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let at_most = (max as u64).saturating_add(1);
    open(path)?.take(at_most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The same on a thread of its own, with the hash of what was read, waited for at most [`READ_TIMEOUT`]. A thread
/// that hangs is left behind, and ends when its file system answers.
///
/// # Errors
/// As [`read`], and when the time is over.
pub async fn read_in_time(path: &Path, max: usize) -> io::Result<ComponentBytes> {
    let path = path.to_owned();
    let reading = run_on_thread("read", None, move || {
        read(&path, max).map(ComponentBytes::new)
    });
    match tokio::time::timeout(READ_TIMEOUT, reading).await {
        Ok(read) => read.flatten(),
        Err(_) => Err(no_answer(READ_TIMEOUT)),
    }
}

/// The file system has not answered for so long.
pub fn no_answer(time: Duration) -> io::Error {
    let time = crate::duration::show(time);
    let message = format!("its file system has not answered for {time}");
    io::Error::new(io::ErrorKind::TimedOut, message)
}

/// Open a regular file, and nothing else.
fn open(path: &Path) -> io::Result<File> {
    // Looked at first, as opening may already do something: a tape is rewound.
    regular(fs::metadata(path)?.file_type())?;
    // Without O_NONBLOCK, opening a FIFO that has been put there meanwhile would
    // wait for a writer (fifo(7)). It has no effect on regular files (open(2)).
    let file = OpenOptions::new()
        .read(true)
        .custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed())
        .open(path)?;
    regular(file.metadata()?.file_type())?;
    Ok(file)
}

fn regular(found: FileType) -> io::Result<()> {
    let what = match found {
        found if found.is_file() => return Ok(()),
        found if found.is_dir() => return Err(Errno::ISDIR.into()),
        found if found.is_fifo() => "a FIFO",
        found if found.is_socket() => "a socket",
        _ => "a device",
    };
    let message = format!("it is {what}, not a regular file");
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn only_a_regular_file_is_read_and_no_more_than_is_accepted() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), [7; 100]).expect("writable");
        assert_eq!(read(&at("file"), 100).expect("readable"), [7; 100]);
        assert_eq!(read(&at("file"), 10).expect("readable"), [7; 11]);
        rustix::fs::mkfifoat(rustix::fs::CWD, at("fifo"), rustix::fs::Mode::RWXU).expect("a FIFO");
        let _listening = UnixListener::bind(at("socket")).expect("a socket");
        for (path, message) in [
            (at("fifo"), "it is a FIFO, not a regular file"),
            (at("socket"), "it is a socket, not a regular file"),
            ("/dev/zero".into(), "it is a device, not a regular file"),
            (dir.path().into(), "Is a directory"),
            (at("none"), "No such file or directory"),
        ] {
            let error = read(&path, 100).expect_err("no regular file");
            assert_eq!(crate::os_error::message(&error), message);
        }
    }
}
