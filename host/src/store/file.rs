//! The file that a store is kept in: a database of `redb`, in which a batch of changes is
//! there whole or not at all.
//!
//! It is read once, when the server starts. A file that is not there is made under
//! another name first, so that one that was begun and not finished is never found.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use hotsocket_sandbox::key_value::StoreError;
use redb::backends::FileBackend;
use redb::{Builder, Database, ReadableDatabase, ReadableTable, TableDefinition, TableError};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::os_error;

/// What says that the file is one of ours, and how it is to be read.
const HEAD: TableDefinition<&str, u64> = TableDefinition::new("hotsocket");
const FORMAT: &str = "format";
const CURRENT: u64 = 1;
/// By bucket and key: when it is gone, in milliseconds since 1970, or 0, and the value.
const KEYS: TableDefinition<(&str, &str), (u64, &[u8])> = TableDefinition::new("keys");
/// Pages that are kept in memory, in bytes. What is read is in memory anyway.
const CACHE: usize = 16 << 20;

/// Why a file is not used, or could not be written. Follows the file's name.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("is in use by another server")]
    InUse,
    #[error("is empty; remove it, and a new one is made")]
    Empty,
    #[error("is not a store of hotsocket")]
    Foreign,
    #[error("is a store of a newer hotsocket (format {0})")]
    Newer(u64),
    #[error("is damaged: {0}")]
    Damaged(String),
    #[error("has more than it may: {0}")]
    Full(#[from] StoreError),
    #[error("cannot be used: {}", os_error::message(.0))]
    Io(#[from] io::Error),
}

impl From<redb::Error> for FileError {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::DatabaseAlreadyOpen => FileError::InUse,
            redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                FileError::Foreign
            }
            redb::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                FileError::Damaged("it is too short".to_owned())
            }
            redb::Error::Io(error) => FileError::Io(error),
            redb::Error::UpgradeRequired(_) => FileError::Foreign,
            redb::Error::Corrupted(why) => FileError::Damaged(why),
            other => FileError::Io(io::Error::other(other.to_string())),
        }
    }
}

/// A key as it is in the file.
pub struct Row<'a> {
    pub bucket: &'a str,
    pub key: &'a str,
    /// Milliseconds since 1970; `None`: never.
    pub end: Option<u64>,
    pub value: &'a [u8],
}

/// See the module's documentation.
pub struct File {
    path: PathBuf,
    /// `None` after an error: then it has to be opened again.
    database: Option<Database>,
}

impl File {
    /// Open a file, or make it.
    ///
    /// # Errors
    /// When it is in use, or none of ours.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        if !path.try_exists()? {
            create(path)?;
        }
        Ok(File {
            database: Some(open(path)?),
            path: path.to_owned(),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Read all of it.
    ///
    /// # Errors
    /// When it cannot be read, or `take` fails.
    pub fn read(
        &mut self,
        mut take: impl FnMut(Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), FileError> {
        let read = self.database()?.begin_read().map_err(redb::Error::from)?;
        let keys = match read.open_table(KEYS) {
            Ok(keys) => keys,
            Err(TableError::TableDoesNotExist(_)) => return Ok(()),
            Err(error) => return Err(redb::Error::from(error).into()),
        };
        for row in keys.iter().map_err(redb::Error::from)? {
            let (key, value) = row.map_err(redb::Error::from)?;
            let ((bucket, key), (end, value)) = (key.value(), value.value());
            take(Row {
                bucket,
                key,
                end: Some(end).filter(|end| *end > 0),
                value,
            })?;
        }
        Ok(())
    }

    /// Write a batch: each key with what it is now, or `None` if it is gone. When this
    /// returns, it is on the disk.
    ///
    /// # Errors
    /// When the file cannot be written. It has what it had before.
    pub fn write<'a>(
        &mut self,
        changes: impl Iterator<Item = (&'a str, &'a str, Option<(Option<u64>, &'a [u8])>)>,
    ) -> Result<(), FileError> {
        let written = write(self.database()?, changes);
        if written.is_err() {
            self.database = None;
        }
        Ok(written?)
    }

    fn database(&mut self) -> Result<&Database, FileError> {
        // It must still be there: one that is made now would have the last changes only.
        match self.database.take() {
            Some(database) => Ok(self.database.insert(database)),
            None => Ok(self.database.insert(open(&self.path)?)),
        }
    }
}

fn write<'a>(
    database: &Database,
    changes: impl Iterator<Item = (&'a str, &'a str, Option<(Option<u64>, &'a [u8])>)>,
) -> Result<(), redb::Error> {
    let write = database.begin_write()?;
    {
        let mut keys = write.open_table(KEYS)?;
        for (bucket, key, now) in changes {
            match now {
                Some((end, value)) => {
                    keys.insert((bucket, key), (end.unwrap_or(0), value))?;
                }
                None => {
                    keys.remove((bucket, key))?;
                }
            }
        }
    }
    write.commit()?;
    Ok(())
}

fn open(path: &Path) -> Result<Database, FileError> {
    let metadata = fs::metadata(path)?;
    if metadata.is_file() && metadata.len() == 0 {
        return Err(FileError::Empty);
    }
    let database = Builder::new()
        .set_cache_size(CACHE)
        // Reads all of it, and finds what would make redb panic later.
        .set_check_integrity_on_open(true)
        .open(path)
        .map_err(redb::Error::from)?;
    let read = database.begin_read().map_err(redb::Error::from)?;
    let head = match read.open_table(HEAD) {
        Ok(head) => head,
        Err(TableError::Storage(error)) => return Err(redb::Error::from(error).into()),
        Err(_) => return Err(FileError::Foreign),
    };
    let format = head.get(FORMAT).map_err(redb::Error::from)?;
    match format.map(|format| format.value()) {
        Some(CURRENT) => Ok(database),
        Some(newer) => Err(FileError::Newer(newer)),
        None => Err(FileError::Foreign),
    }
}

/// Make an empty one, which only this user may read.
fn create(path: &Path) -> Result<(), FileError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    let made = make(&new).and_then(|()| {
        match renameat_with(CWD, &new, CWD, path, RenameFlags::NOREPLACE) {
            // Another server has made it meanwhile.
            Err(Errno::EXIST) => Ok(()),
            renamed => Ok(renamed.map_err(io::Error::from)?),
        }
    });
    // Its name is gone if all went well.
    let _ = fs::remove_file(&new);
    made?;
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    fs::File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(())
}

fn make(path: &Path) -> Result<(), FileError> {
    // Whatever is there is left from another time, or a link to a file that somebody wants
    // to have emptied.
    let _ = fs::remove_file(path);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let fill = || {
        let database = Builder::new().create_with_backend(FileBackend::new(file)?)?;
        let write = database.begin_write()?;
        write.open_table(HEAD)?.insert(FORMAT, CURRENT)?;
        write.commit()?;
        database.close()?;
        Ok(())
    };
    fill().map_err(|error: redb::Error| FileError::from(error))
}

#[cfg(test)]
mod tests;
