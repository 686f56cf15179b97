//! Guests in each language: built from source by the real binary, and served.
//! `between` swaps them for one another on an open connection.
//!
//! A build in Python takes long, so what was built is kept in the target
//! directory, as long as its sources are the same; with `CI=true` each is built
//! once in a run.

mod between;
mod c;
mod framing;
mod full_queue;
mod javascript;
mod own_copies;
mod python;
mod rust_sdk;
mod same_bytes;
mod topics;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::harness::{
    Client, FIRST_BUILD, Fetched, Serve, build, is_ci, kept, lacks_tools, repo, serve,
};

/// The component of a source, unless it can't be built here.
fn built(source: &Path) -> Option<Vec<u8>> {
    // One at a time: each build has all processors to itself. What this run has built.
    static BUILT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let mut of_this_run = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let name = source.file_name().expect("a name").to_string_lossy();
    let kept = kept(&format!("{name}.wasm"));
    let sources = hotsocket::build::sources_of_file(source).expect("the source");
    let fresh = |component: &[u8]| {
        let section = hotsocket::build::section(component);
        section.is_some_and(|section| section.sources.as_ref() == Some(&sources))
    };
    if (!is_ci() || of_this_run.contains(source))
        && let Some(component) = fs::read(&kept).ok().filter(|kept| fresh(kept))
    {
        return Some(component);
    }
    if Fetched::of(source).is_some_and(Fetched::is_missing) {
        return None;
    }
    let ran = build(source, &kept);
    if lacks_tools(&ran) {
        return None;
    }
    assert_eq!(ran.code, 0, "{ran:?}");
    let component = fs::read(&kept).expect("it was built");
    assert!(fresh(&component), "it names its sources");
    of_this_run.insert(source.to_owned());
    Some(component)
}

/// The component of a source in any of the other languages.
pub fn component_of(source: &Path) -> Option<Vec<u8>> {
    match source
        .extension()
        .is_some_and(|extension| extension == "js")
    {
        true => javascript::component(source),
        false => built(source),
    }
}

fn example(name: &str) -> PathBuf {
    repo(&format!("guest/examples/{name}"))
}

/// Serve a guest that may take long to compile.
pub fn serve_large(component: impl AsRef<[u8]>) -> Serve {
    serve(component).patience(FIRST_BUILD)
}

/// The three examples do in every language what they do in Rust, byte for byte.
fn does_what_rust_does(kind: &str) {
    for (name, talk) in [
        ("echo", echo as fn(&mut Client) -> Vec<u8>),
        ("hello", hello),
        ("lines", lines),
    ] {
        let Some(component) = built(&example(&format!("{name}.{kind}"))) else {
            return;
        };
        let visit = |serve: Serve| {
            let server = serve.start();
            let port = server.port().to_string();
            let mut answers = Vec::new();
            for _ in 0..2 {
                let mut client = server.connect();
                answers.extend(talk(&mut client));
                client.end();
                answers.extend(client.rest().expect("FIN"));
            }
            let said = server.stop().stdout;
            (answers, said.replacen(&port, "PORT", 1))
        };
        let expected = visit(Serve::prebuilt(name));
        let got = visit(serve_large(component));
        assert!(!expected.0.is_empty());
        assert!(got.0 == expected.0, "{name}.{kind} answers differently");
        assert_eq!(got.1, expected.1, "{name}.{kind} prints differently");
    }
}

fn echo(client: &mut Client) -> Vec<u8> {
    let mut answers = Vec::new();
    for bytes in [&b"one"[..], b"\0\xff\n", &[7; 200_000]] {
        client.send(bytes);
        answers.extend(client.read(bytes.len()));
    }
    answers
}

fn hello(client: &mut Client) -> Vec<u8> {
    let mut answers = Vec::new();
    for bytes in [
        &b"Hello"[..],
        b"two\nlines\n",
        "Gr\u{fc}\u{df}e \u{1f30d}".as_bytes(),
        b"\xe2\x82x\xf0\x9f\x9a\xc0\x80\xed\xa0\x80\xf4\x90\x80\x80\xff",
        b"\0%s %d\x1b[31m",
        &[b'x'; 50],
        &[b'y'; 51],
        &[0xe2; 300],
    ] {
        client.send(bytes);
        answers.extend(client.read("Hello World from the server!".len()));
    }
    answers
}

fn lines(client: &mut Client) -> Vec<u8> {
    let mut answers = Vec::new();
    // Lines up to the longest; each ends in one that is short, by which we know that
    // all before it were answered.
    for size in [0, 1, 65_535, 65_536] {
        client.send(vec![b'z'; size]);
        client.send(format!("\nend {size}\n"));
        let end = format!(": end {size}\n").into_bytes();
        while !answers.ends_with(&end) {
            answers.extend(client.read(1));
        }
    }
    client.send("th\nhalf");
    answers
}
