//! `hotsocket new` and `hotsocket dev`: what authors of guests begin with, and
//! work with.
//!
//! What they compile is kept in the user's cache, as in `source`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::harness::{Client, Ran, Serve, Server, hotsocket, prebuilt, run, run_within, serve};
use crate::harness::{NOT_FETCHED, fetched, is_ci, skip, wait_within};

/// How long a build may take that has to compile everything.
pub const FIRST_BUILD: Duration = Duration::from_secs(1200);

/// Run the binary in a directory, and give it the time to compile.
fn in_dir(dir: &Path, args: &[&str]) -> Ran {
    run_within(FIRST_BUILD, hotsocket().args(args).current_dir(dir))
}

/// Whether what was to be built can be built here.
pub fn lacks_tools(test: &str, ran: &Ran) -> bool {
    let lacking = [
        (
            "no compiler for wasm32-wasip2",
            "a compiler for wasm32-wasip2",
        ),
        ("install Node 18", "Node"),
        ("needs the network", "the network"),
        ("needs Python 3", "Python"),
        ("python3-venv", "Python's venv"),
        ("from PyPI", "the network"),
        ("a guest in C needs", "a compiler for C"),
    ];
    for (told, tools) in lacking {
        if ran.code == 1 && ran.stderr.contains(told) {
            skip(test, tools);
            return true;
        }
    }
    false
}

/// A new guest passes the test that comes with it, builds and serves.
fn begins(language: &str, source: &str, component: &str) {
    let test = format!("a new guest in {language}");
    let fetches = match language {
        "js" => Some("javascript-"),
        "python" => Some("python-"),
        _ => None,
    };
    if fetches.is_some_and(|fetches| !fetched(fetches)) {
        return skip(&test, NOT_FETCHED);
    }
    // Always the same, so that the next run finds what this one built.
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("new-{language}"));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("a directory");
    let told = in_dir(&dir, &["new", "greeter", "--lang", language]).success();
    assert!(told.starts_with("made greeter: "), "{told}");
    let greeter = dir.join("greeter");
    let ran = in_dir(&greeter, &["test", source, "conversation.test"]);
    if lacks_tools(&test, &ran) {
        return;
    }
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let told = "ok      conversation.test  10 steps, 1 swap, ";
    assert!(ran.stdout.starts_with(told), "{}", ran.stdout);
    // As its README says.
    let readme = fs::read_to_string(greeter.join("README.md")).expect("a README");
    assert!(readme.contains(&format!("hotsocket test {source} conversation.test")));
    if fetches.is_some() && !is_ci() {
        // The same has been built for the conversation, and a build takes long.
        return;
    }
    let ran = in_dir(&greeter, &["build", source]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let server = serve(fs::read(greeter.join(component)).expect("it was built")).start();
    server.connect().ask("four", "4 bytes so far\n");
}

#[test]
fn a_new_guest_in_rust_builds_serves_and_passes_its_test() {
    begins("rust", ".", "greeter.wasm");
}

#[test]
fn a_new_guest_in_javascript_builds_serves_and_passes_its_test() {
    begins("js", ".", "server.wasm");
}

#[test]
fn a_new_guest_in_python_builds_serves_and_passes_its_test() {
    begins("python", "handler.py", "handler.wasm");
}

#[test]
fn new_changes_nothing_that_exists() {
    let dir = tempfile::tempdir().expect("a directory");
    let new = |name: &str| run(hotsocket().args(["new", name]).current_dir(dir.path()));
    new("chat").success();
    let manifest = dir.path().join("chat/Cargo.toml");
    fs::write(&manifest, "mine").expect("writable");
    assert!(new("chat").failure(1).contains("chat exists already"));
    assert_eq!(fs::read_to_string(&manifest).expect("there"), "mine");
    assert!(new("no/where").failure(1).contains("cannot make no/where"));
    assert!(
        new("two words")
            .failure(2)
            .contains("is no name for a guest")
    );
}

#[test]
fn dev_needs_a_source() {
    let dir = tempfile::tempdir().expect("a directory");
    let dev = |args: &[&str]| run(hotsocket().arg("dev").args(args).current_dir(dir.path()));
    assert!(dev(&[]).failure(1).contains("no guest's source in ."));
    assert!(dev(&["none.rs"]).failure(1).contains("cannot read none.rs"));
    let component = prebuilt("echo").display().to_string();
    assert!(
        dev(&[&component])
            .failure(1)
            .contains("has been built already")
    );
}

const GUEST: &str = r#"
use hotsocket_guest::{Connection, Handler, Snapshot, export};

#[derive(Default)]
pub struct Count(u8);

impl Handler for Count {
    fn data(&mut self, conn: &Connection, _: &[u8]) {
        self.0 += 1;
        conn.write(format!("{} WORD", self.0));
    }
    fn save(&self) -> Option<Snapshot> {
        Some(Snapshot::new(1, [self.0]))
    }
    fn restore(&mut self, snapshot: Snapshot) -> Result<(), String> {
        self.0 = snapshot.upgrade(1, &[])?[0];
        Ok(())
    }
}

export!(Count);
"#;

/// Wait until a line with this has come so many times; compilers take long.
#[track_caller]
fn wait_line(server: &Server, part: &str, count: usize) {
    let came = wait_within(FIRST_BUILD, || server.stderr.count(part) >= count);
    assert!(came, "{part:?} did not come {count} times");
}

#[test]
fn dev_swaps_what_is_saved_under_an_open_connection() {
    let serve = Serve::nothing();
    let source = serve.path("count.rs");
    let saying = |word: &str| GUEST.replace("WORD", word);
    let broken = GUEST.replace("fn data", "fn date");
    fs::write(&source, &broken).expect("writable");
    let server = serve.args(&["dev", "count.rs"]).start_when("");

    // It begins when there is something to begin with.
    let ended = "count.rs does not compile: see the messages above; waiting for the next save";
    let lacking = "no compiler for wasm32-wasip2";
    assert!(wait_within(FIRST_BUILD, || {
        server.stderr.count(ended) + server.stderr.count(lacking) > 0
    }));
    if server.stderr.count(lacking) > 0 {
        return skip("dev", "a compiler for wasm32-wasip2");
    }
    assert!(server.stderr.count("`date` is not a member of trait") > 0);
    fs::write(&source, saying("one")).expect("writable");
    wait_line(&server, "ready in", 1);
    let address = server.stderr.wait("listening on ");
    let address = address.rsplit(' ').next().expect("an address");
    let mut client = Client::connect(address.parse().expect("an address"));
    client.ask("x", "1 one");

    // Overwritten in place, with saves on the way that nobody needs.
    for word in ["three", "four", "two"] {
        fs::write(&source, saying(word)).expect("writable");
    }
    wait_line(&server, "swapped in ", 1);
    client.ask("x", "2 two");

    // A mistake is told, and what was there goes on.
    fs::write(&source, &broken).expect("writable");
    wait_line(&server, "see the messages above; generation 2 goes on", 1);
    client.ask("x", "3 two");

    // Renamed into place, as editors do.
    let new = server.path("new");
    fs::write(&new, saying("last")).expect("writable");
    fs::rename(&new, &source).expect("the same directory");
    wait_line(&server, "swapped in ", 2);
    client.ask("x", "4 last");
    let told = server.stderr.wait("swapped in ");
    assert!(
        told.contains(" s: build ") && told.contains(" s, swap "),
        "{told}"
    );
    server.stop();
}
