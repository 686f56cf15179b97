//! `hotsocket dev`: what is saved is built, and swapped under open connections.

use std::fs;

use crate::harness::{
    FIRST_BUILD, Serve, hotsocket, lacks_tools_for, prebuilt_path, run, temp_dir, wait_for_within,
};

#[test]
fn dev_needs_a_source() {
    let dir = temp_dir();
    let dev = |args: &[&str]| run(hotsocket().arg("dev").args(args).current_dir(dir.path()));
    assert!(dev(&[]).failure(1).contains("no guest source in ."));
    assert!(dev(&["none.rs"]).failure(1).contains("cannot read none.rs"));
    let component = prebuilt_path("echo").display().to_string();
    assert!(
        dev(&[&component])
            .failure(1)
            .contains("is already a component")
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

#[test]
fn dev_swaps_what_is_saved_under_an_open_connection() {
    let serve = Serve::nothing();
    let source = serve.path("count.rs");
    let saying = |word: &str| GUEST.replace("WORD", word);
    let broken = GUEST.replace("fn data", "fn date");
    fs::write(&source, &broken).expect("writable");
    let mut server = serve
        .args(&["dev", "count.rs"])
        .patience(FIRST_BUILD)
        .spawn();

    // It begins when there is something to begin with.
    let ended = "count.rs does not compile: see the messages above; waiting for the next save";
    let lacking = "no compiler for wasm32-wasip2";
    wait_for_within(FIRST_BUILD, "the end of the first build", || {
        server.stderr.has(ended) || server.stderr.has(lacking)
    });
    if lacks_tools_for(&server.stderr.text()) {
        return;
    }
    assert!(server.stderr.has("`date` is not a member of trait"));
    fs::write(&source, saying("one")).expect("writable");
    server.wait_ready();
    let mut client = server.connect();
    client.ask("x", "1 one");

    // Overwritten in place, with saves on the way that nobody needs.
    for word in ["three", "four", "two"] {
        fs::write(&source, saying(word)).expect("writable");
    }
    server.stderr.wait("swapped in ");
    client.ask("x", "2 two");

    // A mistake is logged, and the code before is still served.
    fs::write(&source, &broken).expect("writable");
    server.stderr.wait("above; still serving generation 2");
    client.ask("x", "3 two");

    // Renamed into place, as editors do.
    let new = server.path("new");
    fs::write(&new, saying("last")).expect("writable");
    fs::rename(&new, &source).expect("the same directory");
    server.stderr.wait_count("swapped in ", 2);
    client.ask("x", "4 last");
    let told = server.stderr.wait("swapped in ");
    assert!(
        told.contains(" s: build ") && told.contains(" s, swap "),
        "{told}"
    );
    server.stop();
}
