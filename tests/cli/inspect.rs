//! `hotsocket inspect`: what a file is.

use std::path::Path;

use crate::guests::{component, guest, wayward};
use crate::harness::{Ran, hotsocket, prebuilt_path, repo, run, temp_dir};

fn inspect(path: &Path) -> Ran {
    run(hotsocket().arg("inspect").arg(path))
}

fn inspect_bytes(bytes: &[u8]) -> Ran {
    let dir = temp_dir();
    let path = dir.path().join("it.wasm");
    std::fs::write(&path, bytes).expect("written");
    inspect(&path)
}

#[test]
fn a_guest_made_with_the_sdk_needs_nothing() {
    for name in ["hello", "echo", "shout", "lines", "counter"] {
        let told = inspect(&prebuilt_path(name)).success();
        let path = prebuilt_path(name).display().to_string();
        assert!(
            told.starts_with(&format!("{path} is a hotsocket guest\n")),
            "{told}"
        );
        for part in [
            &format!("name     {name}\n"),
            "language rust, hotsocket SDK ",
            "exports  hotsocket:socket/handler@0.1.0\n",
            "listening, open, data, drained, end, timer, close, save\n",
            "hotsocket:socket/connection@0.1.0",
            "grants   nothing\n",
        ] {
            assert!(told.contains(part), "{part}\n{told}");
        }
        assert!(!told.contains("wasi:"), "it imports no WASI\n{told}");
    }
}

#[test]
fn a_guest_made_without_the_sdk_is_recognised() {
    let told = inspect_bytes(&guest().build()).success();
    assert!(
        told.contains(" is a hotsocket guest\n") && !told.contains("language"),
        "{told}"
    );
}

#[test]
fn what_a_guest_would_need_granted_is_named() {
    let told = inspect_bytes(&wayward()).success();
    let grants = told
        .lines()
        .find(|line| line.starts_with("grants "))
        .expect("a line");
    assert!(
        grants.contains("--dir") && grants.contains("--env"),
        "{grants}"
    );
    assert!(told.contains("wasi:cli/exit@0.2."), "{told}");
}

#[test]
fn a_component_of_another_world_is_shown_and_is_no_guest() {
    let told = inspect_bytes(&component("(component)")).success();
    assert!(told.contains(" is a component, but not a guest"), "{told}");
    assert!(
        told.contains("exports  nothing\n") && told.contains("imports  nothing\n"),
        "{told}"
    );
}

#[test]
fn what_is_no_component_is_an_error() {
    for (bytes, why) in [
        (&b"\0asm\x01\0\0\0"[..], "is a core WebAssembly module"),
        (b"text", "is text"),
        (b"", "is empty"),
    ] {
        let told = inspect_bytes(bytes).failure(1);
        assert!(told.contains(why), "{told}");
    }
    assert!(
        inspect(Path::new("/nowhere.wasm"))
            .failure(1)
            .starts_with("cannot read /nowhere.wasm")
    );
    assert!(
        inspect(&repo("tests"))
            .failure(1)
            .starts_with("cannot read")
    );
}
