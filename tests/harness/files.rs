//! Ways in which a file is replaced by another one, and programs written to be started.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use super::run;

/// A copy that may be executed, by anybody. Another process writes it: had this one the
/// file open for writing, then a process that another test starts at that moment would
/// inherit the descriptor until it executes its own program, and to execute the copy
/// would fail with ETXTBSY (execve(2)).
pub fn copy_program(from: impl AsRef<Path>, to: &Path) {
    let mut install = Command::new("install");
    install.args(["-m", "755", "--"]).arg(from.as_ref()).arg(to);
    run(&mut install).success();
}

/// A shell script that may be executed.
pub fn write_script(path: &Path, script: &str) {
    let text = path.with_extension("text");
    fs::write(&text, format!("#!/bin/sh\n{script}\n")).expect("written");
    copy_program(&text, path);
    fs::remove_file(text).expect("removed");
}

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
