//! The configuration file: what it may say, several services, and reading it again under
//! open connections.

mod check;
mod file;
mod many_reloads;
mod reload;
mod reload_listeners;
mod removed;
mod services;

use std::fs;
use std::path::Path;

use crate::harness::{Serve, Server, prebuilt};

/// A server with this file, which has the guests in its directory.
fn with_file(text: &str, guests: &[&str]) -> Serve {
    let serve = Serve::nothing().listen(&[]);
    for guest in guests {
        let path = serve.path(&format!("{guest}.wasm"));
        fs::write(path, prebuilt(guest)).expect("writable");
    }
    fs::write(serve.path("hotsocket.toml"), text).expect("writable");
    serve.args(&["--config", "hotsocket.toml"])
}

/// Put another file in place of the server's, at once.
fn replace(server: &Server, text: &str) {
    replace_in(server.dir(), text);
}

fn replace_in(dir: &Path, text: &str) {
    let new = dir.join("new.toml");
    fs::write(&new, text).expect("writable");
    fs::rename(new, dir.join("hotsocket.toml")).expect("writable");
}
