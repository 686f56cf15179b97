//! Chooses the servers that are measured, and builds hotsocket.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Args;
use crate::Result;
use crate::subject::Subject;

/// The servers, the one to compare with first.
pub fn subjects(args: &Args, checkout: &Path) -> Result<Vec<Subject>> {
    let echo = checkout.join("guest/prebuilt/echo.wasm").canonicalize()?;
    let binary = match &args.hotsocket {
        Some(path) => path
            .canonicalize()
            .map_err(|error| format!("{}: {error}", path.display()))?,
        None => build(checkout)?,
    };
    let mut subjects = vec![
        Subject::native(),
        Subject::hotsocket("hotsocket", binary, echo.clone()),
    ];
    for (name, path) in &args.also {
        subjects.push(Subject::hotsocket(name, path.canonicalize()?, echo.clone()));
    }
    if args.peers {
        match Subject::node() {
            Some(node) => subjects.push(node),
            None => eprintln!("Node is not installed: skipped"),
        }
    }
    Ok(subjects)
}

/// The release binary of this checkout.
fn build(checkout: &Path) -> Result<PathBuf> {
    // It is in the same directory as this program.
    let binary = std::env::current_exe()?.with_file_name("hotsocket");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args([
            "build",
            "--release",
            "--package",
            "hotsocket",
            "--bin",
            "hotsocket",
        ])
        .current_dir(checkout);
    if let Some(target) = binary.parent().and_then(Path::parent) {
        command.arg("--target-dir").arg(target);
    }
    let built = command
        .status()
        .map_err(|error| format!("cannot run cargo: {error}; use --hotsocket to name a binary"))?;
    match built.success() && binary.is_file() {
        true => Ok(binary),
        false => Err("building hotsocket failed; use --hotsocket to name a binary".into()),
    }
}
