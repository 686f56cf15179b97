//! Live hot swap: each guarantee and each fault by itself. The soak tries them
//! all at once.

mod bad_new_code;
mod bad_old_code;
mod file_watch;
mod generations;
mod in_flight;
mod policies;
mod random_sequences;
mod state;

pub use std::fs;

pub use serde_json::Value;

pub use crate::guests::{Guest, guest};
pub use crate::harness::{Ran, Server, serve, wait_for};

/// In `open`: go on with the predecessor's count.
pub const RESTORE: &str =
    "(if (local.get $has) (then (global.set $state (i32.load (local.get $at)))))";
/// Count events.
pub const COUNT: &str = "(global.set $state (i32.add (global.get $state) (i32.const 1)))";
/// The count as a snapshot.
pub const SAVE: &str = "(i32.store (i32.const 900) (global.get $state))
    (call $some (i32.const 900) (i32.const 4))";

/// A guest that answers each `data` with its name and how many there were, and
/// hands the count on.
pub fn talker(name: &str) -> Guest {
    guest()
        .body("open", &format!("{RESTORE} (call $ok)"))
        .data(&format!(
            "{COUNT} (call $say-digit {name:?} (global.get $state))"
        ))
        .body("save", SAVE)
}

/// A talker that does this in `open(migrated)`, and hands nothing on if that
/// ends it.
pub fn opening(name: &str, body: &str) -> Guest {
    talker(name).body(
        "open",
        &format!("(if (local.get $origin) (then {body})) {RESTORE} (call $ok)"),
    )
}

/// Ask for a swap, as a person does.
pub fn try_swap(server: &Server, guest: &Guest, args: &[&str]) -> Ran {
    let path = server.path("next.wasm");
    fs::write(&path, guest.build()).expect("writable");
    let path = path.to_str().expect("UTF-8");
    server.ask(&[&["swap", path, "--json"], args].concat())
}

/// The answer to a swap that succeeds.
pub fn swap(server: &Server, guest: &Guest, args: &[&str]) -> Value {
    serde_json::from_str(&try_swap(server, guest, args).success()).expect("JSON")
}

pub fn roll_back(server: &Server, args: &[&str]) -> Value {
    let ran = server.ask(&[&["rollback", "--json"], args].concat());
    serde_json::from_str(&ran.success()).expect("JSON")
}

pub fn history(server: &Server) -> Vec<Value> {
    let text = server.ask(&["history", "--json"]).success();
    let json: Value = serde_json::from_str(&text).expect("JSON");
    json["generations"].as_array().expect("generations").clone()
}

/// Connections on a generation.
pub fn on(server: &Server, generation: u64) -> u64 {
    let status = server.status();
    let generations = status["generations"].as_array().expect("generations");
    let found = generations
        .iter()
        .find(|found| found["number"] == generation);
    found.map_or(0, |found| found["connections"].as_u64().expect("a number"))
}
