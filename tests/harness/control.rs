//! What tests ask of a running server with the binary's other commands.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Ran, Server, ask, wait_for};

impl Server {
    /// Run another command on it; it is the only server in its directory.
    pub fn ask(&self, args: &[&str]) -> Ran {
        ask(self.dir(), args)
    }

    /// The same with `--json`; it must succeed.
    #[track_caller]
    pub fn ask_json(&self, args: &[&str]) -> Value {
        let ran = self.ask(&[args, &["--json"]].concat());
        serde_json::from_str(&ran.success()).expect("JSON")
    }

    pub fn control_socket(&self) -> PathBuf {
        self.path(&format!("hotsocket/{}.sock", self.pid()))
    }

    pub fn status(&self) -> Value {
        self.ask_json(&["status"])
    }

    /// One of the numbers about connections in `status`.
    pub fn connections(&self, what: &str) -> u64 {
        let status = self.status();
        status["connections"][what].as_u64().expect("a number")
    }

    /// Wait until so many connections are open.
    pub fn wait_open(&self, connections: u64) {
        wait_for(&format!("{connections} open connections"), || {
            self.connections("open") == connections
        });
    }

    /// Wait until all connections are over, so that their counters are final.
    /// Needs clients that have ended or been dropped.
    pub fn settle(&self) {
        self.wait_open(0);
    }

    /// How often a limit was reached so far.
    pub fn limit_reached(&self, limit: &str) -> u64 {
        self.status()["limits_reached"][limit].as_u64().unwrap_or(0)
    }

    /// Connections that are open on a generation.
    pub fn open_on(&self, generation: u64) -> u64 {
        let status = self.status();
        let generations = status["generations"].as_array().expect("generations");
        let found = generations
            .iter()
            .find(|found| found["number"] == generation);
        found.map_or(0, |found| found["connections"].as_u64().expect("a number"))
    }

    /// Every generation and what became of it.
    pub fn history(&self) -> Vec<Value> {
        let json = self.ask_json(&["history"]);
        json["generations"].as_array().expect("generations").clone()
    }

    /// Send a component, as a person does.
    pub fn try_swap(&self, guest: impl Into<Vec<u8>>, args: &[&str]) -> Ran {
        let path = self.path("next.wasm");
        fs::write(&path, guest.into()).expect("writable");
        self.try_swap_file(&path, args)
    }

    pub fn try_swap_file(&self, path: &Path, args: &[&str]) -> Ran {
        self.ask(&[&["swap", path.to_str().expect("UTF-8")], args].concat())
    }

    /// The answer to a swap that succeeds.
    #[track_caller]
    pub fn swap(&self, guest: impl Into<Vec<u8>>, args: &[&str]) -> Value {
        let ran = self.try_swap(guest, &[args, &["--json"]].concat());
        serde_json::from_str(&ran.success()).expect("JSON")
    }

    #[track_caller]
    pub fn roll_back(&self, args: &[&str]) -> Value {
        self.ask_json(&[&["rollback"], args].concat())
    }

    /// Overwrite the served file in place, and wait until the swap is over.
    /// `generation` is the number that the new code gets.
    pub fn overwrite(&self, guest: impl AsRef<[u8]>, generation: u64) {
        fs::write(self.path("guest.wasm"), guest).expect("writable");
        self.wait_swapped(generation);
    }

    pub fn wait_swapped(&self, generation: u64) {
        self.stderr
            .wait(&format!("swapped: generation {generation} is "));
    }
}
