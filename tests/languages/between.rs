//! One guest in several languages: each version does the same, and an open
//! connection goes from one to the next with its state.

use std::fs;
use std::path::Path;

use super::own_copies::warnings_in;
use super::{built, example, serve_large};
use crate::harness::{
    FIRST_BUILD, Fetched, Ran, hotsocket, lacks_tools, prebuilt, repo, run_within,
};

/// Have this conversation with a guest, given as its source; `None` if it cannot
/// be built here, for which the test is skipped.
fn converse(source: &Path, script: &Path, args: &[&str]) -> Option<Ran> {
    if Fetched::of(source).is_some_and(Fetched::is_missing) {
        return None;
    }
    let mut command = hotsocket();
    command.arg("test").arg(source).arg(script).args(args);
    let ran = run_within(FIRST_BUILD, &mut command);
    if lacks_tools(&ran) {
        return None;
    }
    assert!(ran.stdout.starts_with("ok      "), "{ran:?}");
    assert_eq!(ran.code, 0, "{ran:?}");
    // What the project gives people to begin with has no mistakes.
    assert!(warnings_in(&ran).is_empty(), "{ran:?}");
    Some(ran)
}

#[test]
fn a_guest_passes_the_same_conversation_in_every_language() {
    let examples = fs::read_dir(repo("guest/examples")).expect("a directory");
    for source in examples.flatten().map(|entry| entry.path()) {
        let extension = source.extension().unwrap_or_default().to_string_lossy();
        let script = source.with_extension("test");
        if ["js", "py", "c"].contains(&&*extension) && script.exists() {
            converse(&source, &script, &[]);
        }
    }
}

#[test]
fn a_checkpoint_is_where_a_restart_begins_in_every_language() {
    let script = repo("tests/languages/checkpoint.test");
    for kind in ["rs", "c", "js", "py"] {
        let args = ["--on-trap", "restart"];
        converse(&example(&format!("doorman.{kind}")), &script, &args);
    }
}

#[test]
fn half_a_character_goes_through_a_swap_in_every_language() {
    let script = repo("tests/languages/half_character.test");
    for kind in ["rs", "c", "js", "py"] {
        converse(&example(&format!("doorman.{kind}")), &script, &[]);
    }
}

#[test]
fn what_is_known_of_a_peer_outlives_a_trap() {
    let source = repo("tests/languages/peer/trap.c");
    let args = ["--on-trap", "restart"];
    converse(&source, &source.with_extension("test"), &args);
}

#[test]
fn the_store_is_the_same_in_c_javascript_and_python() {
    let script = repo("tests/languages/store/keeper.test");
    for kind in ["c", "js", "py"] {
        let source = repo(&format!("tests/languages/store/keeper.{kind}"));
        converse(&source, &script, &[]);
    }
}

#[test]
fn one_conversation_goes_on_from_language_to_language() {
    if Fetched::Python.is_missing() {
        return;
    }
    let source = repo("guest/examples/lines.js");
    let script = repo("tests/languages/across.test");
    if let Some(ran) = converse(&source, &script, &[]) {
        assert!(ran.stdout.contains("4 swaps"), "{ran:?}");
    }
}

#[test]
fn state_survives_swaps_between_languages() {
    let Some(in_c) = built(&example("lines.c")) else {
        return;
    };
    let Some(in_python) = built(&example("lines.py")) else {
        return;
    };
    // Compiled once before, so that the swaps below are not timed out.
    serve_large(&in_python).start().stop();
    let server = serve_large(prebuilt("lines")).start();
    let mut client = server.connect();
    client.ask("one\ntw", "1: one\n");
    server.overwrite(&in_python, 2);
    client.ask("o\nthr", "2: two\n");
    server.overwrite(&in_c, 3);
    client.ask("ee\nfo", "3: three\n");
    server.overwrite(&in_python, 4);
    client.ask("ur\nfi", "4: four\n");
    server.overwrite(prebuilt("lines"), 5);
    client.ask("ve\nsi", "5: five\n");
    server.overwrite(&in_c, 6);
    client.ask("x\n", "6: six\n");
    assert_eq!(server.connections("open"), 1);
    client.end();
    client.expect_rest("");
}
