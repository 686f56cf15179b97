//! The tests that the documents name exist.

use std::fs;
use std::process::Command;

use crate::harness::{repo, run};

/// The names of all tests of this suite.
fn all_tests() -> Vec<String> {
    let suite = std::env::current_exe().expect("a path");
    let listed = run(Command::new(suite).arg("--list")).success();
    let names = listed
        .lines()
        .filter_map(|line| line.strip_suffix(": test"));
    names.map(str::to_owned).collect()
}

/// What stands in backticks in the last column of the tables of a document, line
/// by line.
fn last_column(document: &str) -> Vec<Vec<String>> {
    let rows = document.lines().filter_map(|line| line.strip_suffix(" |"));
    rows.filter_map(|row| row.rsplit_once(" | "))
        .map(|(_, cell)| cell.split('`').skip(1).step_by(2))
        .map(|spans| spans.map(str::to_owned).collect())
        .collect()
}

#[test]
fn tests_that_the_documents_name_exist() {
    let tests = all_tests();
    let exists = |name: &str| {
        // A test, a module, or the beginning of either.
        let start = name.strip_suffix('…').or(name.strip_suffix('*'));
        let module = format!("{name}::");
        tests.iter().any(|test| {
            test == name
                || test.starts_with(&module)
                || start.is_some_and(|start| test.starts_with(start))
        })
    };
    for (document, least) in [
        ("docs/limits.md", 20),
        ("docs/swap.md", 20),
        ("docs/topics.md", 10),
        ("docs/store.md", 10),
        ("docs/tls.md", 10),
        ("docs/listeners.md", 10),
        ("docs/inspector.md", 7),
    ] {
        let text = fs::read_to_string(repo(document)).expect("a document");
        let mut named = 0;
        for row in last_column(&text) {
            // A name without a module is in that of the name before it.
            let mut module = String::new();
            for name in row.into_iter().filter(|name| !name.contains(' ')) {
                let full = match name.rsplit_once("::") {
                    Some((before, _)) => {
                        module = format!("{before}::");
                        name
                    }
                    None => module.clone() + &name,
                };
                if full.contains("::") {
                    assert!(
                        exists(&full),
                        "{document} names {full}: there is no such test"
                    );
                    named += 1;
                }
            }
        }
        assert!(named >= least, "{document} names {named} tests");
    }
}
