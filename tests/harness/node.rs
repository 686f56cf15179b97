//! A script that runs under Node.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::{Lines, Process, wait_for};

/// See the module's documentation. The script listens on a port that it takes
/// from the variable `PORT`, and prints the real one in its first line.
pub struct Node {
    pub address: SocketAddr,
    /// What it prints to standard output.
    pub printed: Lines,
    _process: Process,
}

impl Node {
    pub fn start(script: &Path, env: &[(&str, &Path)]) -> Self {
        let mut command = Command::new("node");
        command.envs(env.iter().copied());
        let process = Process::start("node", command.arg(script).env("PORT", "0"));
        let printed = process.stdout.clone();
        wait_for("the port that node listens on", || {
            printed.text().contains('\n')
        });
        let text = printed.text();
        let first = text.lines().next().unwrap_or_default();
        let digits = first.trim_start_matches(|c: char| !c.is_ascii_digit());
        let digits = digits.split(|c: char| !c.is_ascii_digit()).next();
        let port = digits.unwrap_or_default().parse().expect("a port");
        Node {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            printed,
            _process: process,
        }
    }
}
