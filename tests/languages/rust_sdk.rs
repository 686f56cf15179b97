//! The SDK's own tests: those in it, those of its examples, and the guests in
//! its documentation.
//!
//! The SDK is no default member of the workspace, so that a plain build does
//! not compile it; `cargo test` runs its tests from here.

use std::process::Command;

use crate::harness::repo;

#[test]
fn the_sdk_passes_its_own_tests() {
    let ran = Command::new(env!("CARGO"))
        .args(["test", "--release", "--package", "hotsocket-guest"])
        .current_dir(repo("."))
        .output()
        .expect("cargo, which has compiled this test");
    let told = String::from_utf8_lossy(&ran.stdout);
    assert!(
        ran.status.success(),
        "{told}\n{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    // In the crate, in its examples, in its documentation.
    let groups = told.matches("test result: ok. ");
    let empty = told.matches("test result: ok. 0 passed");
    assert!(groups.count() - empty.count() >= 3, "{told}");
}
