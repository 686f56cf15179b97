//! Committed components are build products: none may be older than its source.

use std::fs;
use std::path::Path;

use hotsocket::build::{section, sources_of_file, sources_of_package};
use wasmparser::{Parser, Payload};

use crate::harness::repo;

fn is_fresh(source: &Path, component: &Path) {
    let bytes =
        fs::read(component).unwrap_or_else(|error| panic!("{}: {error}", component.display()));
    let section = section(&bytes).expect("a section that names the sources");
    let sources = match source.is_dir() {
        true => sources_of_package(source),
        false => sources_of_file(source),
    };
    let sources = sources.expect("the source");
    assert!(
        section.sources.as_ref() == Some(&sources),
        "{} is older than its sources; run: hotsocket build {} -o {}",
        component.display(),
        source.display(),
        component.display()
    );
}

#[test]
fn prebuilt_components_are_not_older_than_their_sources() {
    let mut examples = 0;
    for entry in fs::read_dir(repo("guest/examples"))
        .expect("a directory")
        .flatten()
    {
        let source = entry.path();
        let is_rust = source
            .extension()
            .is_some_and(|extension| extension == "rs");
        if !is_rust && !source.join("Cargo.toml").exists() {
            continue;
        }
        let name = source.file_stem().expect("a name").to_owned();
        is_fresh(
            &source,
            &repo("guest/prebuilt").join(name).with_extension("wasm"),
        );
        examples += 1;
    }
    let prebuilt = fs::read_dir(repo("guest/prebuilt"))
        .expect("a directory")
        .count();
    assert_eq!(examples, prebuilt, "each component has a source");
}

/// What a guest imports is called through globals. Through a table, each instance
/// would have a page of memory for it.
#[test]
fn imports_take_no_table() {
    for entry in fs::read_dir(repo("guest/prebuilt")).expect("a directory") {
        let path = entry.expect("a file").path();
        let component = fs::read(&path).expect("a component");
        let payloads = Parser::new(0).parse_all(&component);
        let tables = payloads.filter(|part| matches!(part, Ok(Payload::TableSection(_))));
        assert!(tables.count() <= 1, "{}: its own only", path.display());
    }
}

#[test]
fn guests_of_the_tests_are_not_older_than_their_sources() {
    for name in ["soak", "wayward", "messenger", "forgetful", "keeper"] {
        let source = repo(&format!("tests/guests/{name}.rs"));
        is_fresh(&source, &source.with_extension("wasm"));
    }
}
