//! `hotsocket dev`: what is saved is built, and swapped under open connections.

use std::fs;

use crate::harness::{
    FIRST_BUILD, Fetched, Serve, hotsocket, lacks_tools_for, prebuilt_path, run, temp_dir,
    wait_for_within,
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
    server.stderr.wait("admin address 127.0.0.1:");
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

const C_GUEST: &str = r#"
#include <hotsocket.h>
#include <string.h>
#include "../shared/word.h"
void on_data(const uint8_t *data, size_t size) {
    (void)data, (void)size;
    hs_write(WORD, strlen(WORD));
}
"#;

#[test]
fn dev_watches_what_the_build_has_read_and_nothing_else() {
    let serve = Serve::nothing();
    for dir in ["guest", "shared"] {
        fs::create_dir(serve.path(dir)).expect("ours");
    }
    let word = serve.path("shared/word.h");
    let say = |said: &str| fs::write(&word, format!("#define WORD \"{said}\"\n")).expect("ours");
    say("one");
    fs::write(serve.path("guest/handler.c"), C_GUEST).expect("ours");
    let mut server = serve.args(&["dev", "guest"]).patience(FIRST_BUILD).spawn();
    wait_for_within(FIRST_BUILD, "the end of the first build", || {
        server.stderr.has("save a change to swap")
            || server.stderr.has("error: ")
            || server.stderr.has("waiting for the next save")
    });
    if lacks_tools_for(&server.stderr.text()) {
        return;
    }
    server.wait_ready();
    assert_eq!(server.status()["guest"], "guest/handler.c");
    let mut client = server.connect();
    client.ask("x", "one");
    // What came with nobody's build is no reason for one.
    for unrelated in [
        "guest/notes.txt",
        "guest/other.c",
        "guest/other.h",
        "shared/x.h",
    ] {
        fs::write(server.path(unrelated), "unrelated").expect("ours");
    }
    say("two");
    server.stderr.wait("swapped in ");
    client.ask("x", "two");
    let log = server.stop().stderr;
    assert!(log.contains("shared/word.h changed; building"), "{log}");
    assert_eq!(log.matches("changed; building").count(), 1, "{log}");
}

const TYPESCRIPT: &str = r#"
import net from 'node:net';
class Base { word: unknown = 'inherited'; }
class Derived extends Base { word: unknown; }
net.createServer((socket) => {
  socket.on('data', () => socket.write(String(new Derived().word)));
}).listen(3000);
"#;

#[test]
fn dev_swaps_what_other_settings_make_of_the_same_script() {
    if Fetched::JavaScript.is_missing() {
        return;
    }
    let serve = Serve::nothing();
    let base = serve.path("base.json");
    let defines = |is_so: bool| {
        let text =
            format!("{{ \"compilerOptions\": {{ \"useDefineForClassFields\": {is_so} }} }}\n");
        fs::write(&base, text).expect("ours");
    };
    defines(true);
    let settings = "{\n  // As of everyone here.\n  \"extends\": \"./base\",\n}\n";
    fs::write(serve.path("tsconfig.json"), settings).expect("ours");
    fs::write(serve.path("server.ts"), TYPESCRIPT).expect("ours");
    let server = serve.args(&["dev", "."]).patience(FIRST_BUILD).start();
    let mut client = server.connect();
    client.ask("x", "undefined");
    defines(false);
    server.stderr.wait("base.json changed; building");
    server.stderr.wait("swapped in ");
    client.ask("x", "inherited");
    server.stop();
}

#[test]
fn dev_says_that_a_script_names_another_port_and_swaps_no_two_builds_of_the_same() {
    if Fetched::JavaScript.is_missing() {
        return;
    }
    let serve = Serve::nothing().listen(&[]);
    let source = serve.path("server.js");
    let script = |word: &str, port: u16| {
        let text = format!(
            "const net = require('net');\nconst {{ word }} = require('./data.json');\n\
             net.createServer((socket) => socket.on('data', () => socket.write(word + '{word}')))\n\
             .listen({port});\n"
        );
        fs::write(&source, text).expect("ours");
    };
    // Free a moment ago, and taken by nobody else who asks for any.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("an address").port();
    fs::write(serve.path("data.json"), "{ \"word\": \"a\" }").expect("ours");
    script("1", port);
    drop(free);
    let server = serve.args(&["dev", "."]).patience(FIRST_BUILD).start();
    assert_eq!(server.status()["guest"], "server.js");
    let mut client = server.connect();
    client.ask("x", "a1");
    fs::write(server.path("data.json"), "{ \"word\": \"b\" }").expect("ours");
    server.stderr.wait("data.json changed; building");
    server.stderr.wait("swapped in ");
    client.ask("x", "b1");
    script("1", port);
    server
        .stderr
        .wait(", from the same sources; still serving generation 2");
    script("2", if port == 4000 { 4001 } else { 4000 });
    server.stderr.wait_count("swapped in ", 2);
    server
        .stderr
        .wait("but the server still listens on 127.0.0.1:");
    client.ask("x", "b2");
    server.stop();
}
