//! Ways in which a file is replaced by another one.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;

/// As `mv` and most editors do it: another file, renamed into place.
pub fn rename_over(path: &Path, content: &[u8]) {
    let other = path.with_extension("new");
    fs::write(&other, content).expect("written");
    fs::rename(other, path).expect("renamed");
}

/// As vim does it: the old file is renamed away, the new one written in its
/// place, then the old one deleted.
pub fn save_like_an_editor(path: &Path, content: &[u8]) {
    let backup = path.with_extension("wasm~");
    fs::rename(path, &backup).expect("renamed");
    let mut file = File::create(path).expect("created");
    file.write_all(content).expect("written");
    file.sync_all().expect("synced");
    fs::remove_file(backup).expect("removed");
}

/// As `ln -sfn` does it: a new symlink renamed over the old one.
pub fn turn_link(link: &Path, target: &str) {
    let other = link.with_extension("link");
    symlink(target, &other).expect("a symlink");
    fs::rename(other, link).expect("renamed");
}
