//! `hotsocket new`: the project it creates builds, serves and passes its own test.

use std::fs;
use std::path::Path;

use crate::harness::{
    FIRST_BUILD, Fetched, Ran, hotsocket, is_ci, kept, lacks_tools, run, run_within, serve,
    temp_dir,
};

/// Run the binary in a directory, and give it the time to compile.
fn in_dir(dir: &Path, args: &[&str]) -> Ran {
    run_within(FIRST_BUILD, hotsocket().args(args).current_dir(dir))
}

/// A new guest passes the test that comes with it, builds and serves.
fn begins(language: &str, component: &str) {
    let fetches = match language {
        "js" => Some(Fetched::JavaScript),
        "python" => Some(Fetched::Python),
        _ => None,
    };
    if fetches.is_some_and(Fetched::is_missing) {
        return;
    }
    // Always the same, so that the next run finds what this one built.
    let dir = kept(&format!("new-{language}"));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("a directory");
    let told = in_dir(&dir, &["new", "greeter", "--lang", language]).success();
    assert!(told.starts_with("created greeter: "), "{told}");
    let greeter = dir.join("greeter");
    let ran = in_dir(&greeter, &["test", ".", "conversation.test"]);
    if lacks_tools(&ran) {
        return;
    }
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let told = "ok      conversation.test  10 steps, 1 swap, ";
    assert!(ran.stdout.starts_with(told), "{}", ran.stdout);
    assert!(!ran.stderr.contains("warning: "), "{}", ran.stderr);
    // As its README says.
    let readme = fs::read_to_string(greeter.join("README.md")).expect("a README");
    assert!(readme.contains("hotsocket test . conversation.test"));
    if fetches.is_some() && !is_ci() {
        // The same has been built for the conversation, and a build takes long.
        return;
    }
    let ran = in_dir(&greeter, &["build"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let server = serve(fs::read(greeter.join(component)).expect("it was built")).start();
    server.connect().ask("four", "4 bytes so far\n");
}

#[test]
fn a_new_guest_in_rust_builds_serves_and_passes_its_test() {
    begins("rust", "greeter.wasm");
}

#[test]
fn a_new_guest_in_javascript_builds_serves_and_passes_its_test() {
    begins("js", "server.wasm");
}

#[test]
fn a_new_guest_in_python_builds_serves_and_passes_its_test() {
    begins("python", "handler.wasm");
}

#[test]
fn a_new_guest_in_c_builds_serves_and_passes_its_test() {
    begins("c", "handler.wasm");
}

#[test]
fn new_changes_nothing_that_exists() {
    let dir = temp_dir();
    let new = |name: &str| run(hotsocket().args(["new", name]).current_dir(dir.path()));
    new("chat").success();
    let manifest = dir.path().join("chat/Cargo.toml");
    fs::write(&manifest, "mine").expect("writable");
    assert!(new("chat").failure(1).contains("chat already exists"));
    assert_eq!(fs::read_to_string(&manifest).expect("there"), "mine");
    assert!(new("no/where").failure(1).contains("cannot create no/"));
    assert!(
        new("two words")
            .failure(2)
            .contains("is not a valid name for a")
    );
}
