//! Guests that are scripts for Node.
//!
//! They are built as `hotsocket serve FILE.js` builds them, into the user's
//! cache, where the next run finds them. The packages for that come from npm,
//! once. `same_as_node` compares scripts with what Node makes of them, `http` those with
//! servers on HTTP; `sleep` puts them to sleep, `swap` swaps them, `midway` does both in the
//! middle of something; `packages` has servers made of packages from npm, `errors` has those
//! that fail, `build` the command line.

mod build;
mod errors;
mod http;
mod image;
mod long_text;
mod midway;
mod packages;
mod same_as_node;
mod sleep;
mod swap;

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::harness::{
    Fetched, Serve, hotsocket, kept, lacks_tools_for, repo, run, serve, temp_dir,
};

/// One build at a time: two of one file would write the same component.
static BUILDING: Mutex<()> = Mutex::new(());

/// The component of a script; `None` if this machine cannot build it, for which
/// the test is skipped.
pub fn component(script: &Path) -> Option<Vec<u8>> {
    if Fetched::JavaScript.is_missing() {
        return None;
    }
    let _turn = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    match hotsocket::build::cached(script) {
        Ok(component) => Some(fs::read(component).expect("it was built")),
        Err(error) => {
            assert!(lacks_tools_for(&error.to_string()), "{error}");
            None
        }
    }
}

/// The component of a script that is given as text.
pub fn component_of(name: &str, text: &str) -> Option<Vec<u8>> {
    let dir = kept("javascript");
    fs::create_dir_all(&dir).expect("a directory");
    let script = dir.join(format!("{name}.js"));
    // Written again it would be built again.
    if fs::read_to_string(&script).is_ok_and(|found| found == text) {
        return component(&script);
    }
    fs::write(&script, text).expect("written");
    component(&script)
}

/// A first-party example.
fn example(name: &str) -> Option<Vec<u8>> {
    component(&repo(&format!("guest/examples/{name}.js")))
}

/// Serve a component with an engine in it, which takes its time to compile.
fn serve_script(component: Vec<u8>) -> Serve {
    serve(component).args(&["--compile-timeout", "10m"])
}

/// A server of a script that is given as text.
fn serve_text(name: &str, text: &str) -> Option<Serve> {
    Some(serve_script(component_of(name, text)?))
}

/// Hold a conversation, written for `hotsocket test`, on its simulated clock. Instances are
/// put to sleep after 100 ms.
fn converse(component: Vec<u8>, conversation: &str) {
    let dir = temp_dir();
    let path = |name| dir.path().join(name);
    fs::write(path("it.wasm"), component).expect("written");
    fs::write(path("it.test"), conversation).expect("written");
    let ran = run(hotsocket()
        .args(["test", "--hibernate-after", "100ms"])
        .args(["--compile-timeout", "10m"])
        .args([path("it.wasm"), path("it.test")]));
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}
