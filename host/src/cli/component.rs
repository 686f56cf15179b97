//! The component that a command is given, read within its limit: from a file, from
//! standard input (`-`), or from a pipe such as `<(…)` of a shell.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hotsocket_sandbox::LoadError;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::guest_file;

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {}: {}", name(.path), crate::os_error::message(.error))]
    Read {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("{} {error}", name(.path))]
    TooLarge { path: PathBuf, error: LoadError },
}

/// Read a component of at most so many bytes.
pub(super) fn read(path: &Path, max: usize) -> Result<Vec<u8>, Error> {
    let path = || path.to_owned();
    let read = match path().to_str() {
        Some("-") => read_stream(io::stdin().lock(), max),
        _ if is_pipe(&path()) => open_pipe(&path()).and_then(|pipe| read_stream(pipe, max)),
        _ => guest_file::read(&path(), max),
    };
    let bytes = read.map_err(|error| Error::Read {
        path: path(),
        error,
    })?;
    match bytes.len() > max {
        true => Err(Error::TooLarge {
            path: path(),
            error: LoadError::TooLarge { max },
        }),
        false => Ok(bytes),
    }
}

/// Open a pipe that somebody writes to. It may take long to write, as a compiler does;
/// whoever waits can press Ctrl-C.
fn open_pipe(path: &Path) -> io::Result<impl Read> {
    // Opening a FIFO that nobody has opened for writing would wait for ever, but not so
    // (fifo(7)). Then reading tells a pipe without a writer from one without data (pipe(7)).
    let mut pipe = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    let mut first = vec![0; 1];
    match pipe.read(&mut first) {
        Ok(0) => return Err(io::Error::other("it is a FIFO that nobody writes to")),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => first.clear(),
        Err(error) => return Err(error),
    }
    let flags = fcntl_getfl(&pipe)?;
    fcntl_setfl(&pipe, flags - OFlags::NONBLOCK)?;
    Ok(io::Cursor::new(first).chain(pipe))
}

fn is_pipe(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo())
}

/// At most one byte more than `max`, so that what has no end is found to be too large.
fn read_stream(stream: impl Read, max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let at_most = (max as u64).saturating_add(1);
    stream.take(at_most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// How a component is called in messages.
pub(super) fn name(path: &Path) -> String {
    match path.to_str() {
        Some("-") => "standard input".to_owned(),
        _ => path.display().to_string(),
    }
}
