//! A warning of the build: a variable of the top level that is changed for a connection,
//! as each connection has a copy of its own.

use std::fs;
use std::path::Path;

use super::built;
use super::python::mishaps;
use crate::harness::{
    FIRST_BUILD, Fetched, Ran, build, hotsocket, kept, lacks_tools, run_within, temp_dir,
};

/// Build the first of these files, and return the names and places of the warnings;
/// `None` if it cannot be built here.
fn warnings(files: &[(&str, &str)]) -> Option<Vec<String>> {
    let (main, _) = files[0];
    if Fetched::of(Path::new(main)).is_some_and(Fetched::is_missing) {
        return None;
    }
    let dir = temp_dir();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).expect("written");
    }
    let ran = build(&dir.path().join(main), &dir.path().join("guest.wasm"));
    if lacks_tools(&ran) {
        return None;
    }
    assert_eq!(ran.code, 0, "{ran:?}");
    Some(warnings_in(&ran))
}

/// The names and places of the warnings among what a build has printed.
pub fn warnings_in(ran: &Ran) -> Vec<String> {
    let warnings = ran.stderr.lines().filter_map(|line| {
        let (found, rest) = line.strip_prefix("warning: ")?.split_once(" is changed ")?;
        assert!(
            rest.contains("its own copy") && rest.contains("docs/topics.md"),
            "{rest}"
        );
        Some(found.to_owned())
    });
    warnings.collect()
}

#[track_caller]
fn expect(files: &[(&str, &str)], expected: &[&str]) {
    if let Some(warnings) = warnings(files) {
        assert_eq!(warnings, expected);
    }
}

/// Found in every tutorial: each user of it would be alone, without a word.
#[test]
fn the_classic_chat_in_javascript_is_warned_of() {
    let chat = "const net = require('net');\n\
                const clients = [];\n\
                net.createServer((socket) => {\n\
                  clients.push(socket);\n\
                  socket.on('data', (data) => clients.forEach((client) => {\n\
                    if (client !== socket) client.write(data);\n\
                  }));\n\
                  socket.on('end', () => clients.splice(clients.indexOf(socket), 1));\n\
                }).listen(3000);\n";
    expect(&[("chat.js", chat)], &["chat.js:4: `clients`"]);
}

/// Whoever starts a server again may not be the one who saw it built.
#[test]
fn a_source_that_is_not_built_again_is_warned_of_again() {
    if Fetched::JavaScript.is_missing() {
        return;
    }
    let dir = temp_dir();
    let path = |name: &str| dir.path().join(name);
    let chat = "const clients = new Set();\n\
                require('net').createServer((socket) => clients.add(socket)).listen(3000);\n";
    fs::write(path("chat.js"), chat).expect("written");
    fs::write(path("chat.test"), "open\n").expect("written");
    for built in [true, false] {
        let mut command = hotsocket();
        command
            .arg("test")
            .args([path("chat.js"), path("chat.test")]);
        let ran = run_within(FIRST_BUILD, &mut command);
        if lacks_tools(&ran) {
            return;
        }
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(ran.stderr.contains("building "), built, "{ran:?}");
        let warnings = ran
            .stderr
            .matches("warning: chat.js:2: `clients` is changed");
        assert_eq!(warnings.count(), 1, "{ran:?}");
    }
}

#[test]
fn changes_in_functions_classes_and_modules_that_a_callback_uses_are_found() {
    let main = "import net from 'node:net';\n\
                import { EventEmitter } from 'node:events';\n\
                import { join } from './rooms.js';\n\
                let count: number = 0;\n\
                const bus = new EventEmitter();\n\
                const byPort: Record<number, net.Socket> = {};\n\
                class Lobby {\n\
                  members = new Set();\n\
                  add(one: net.Socket) { this.members.add(one); }\n\
                }\n\
                const lobby = new Lobby();\n\
                const server = net.createServer();\n\
                server.on('connection', serve);\n\
                function serve(socket: net.Socket) {\n\
                  count++;\n\
                  bus.on('said', (text) => socket.write(text));\n\
                  byPort[socket.remotePort!] = socket;\n\
                  lobby.add(socket);\n\
                  join('den', socket);\n\
                }\n\
                server.listen(3000);\n";
    let rooms = "const rooms = new Map();\n\
                 export function join(name, socket) {\n\
                   const room = rooms.get(name) ?? new Set();\n\
                   room.add(socket);\n\
                 }\n";
    expect(
        &[("main.ts", main), ("rooms.js", rooms)],
        &[
            "main.ts:15: `count`",
            "main.ts:16: `bus`",
            "main.ts:17: `byPort`",
            "main.ts:18: `lobby`",
            "rooms.js:4: `rooms`",
        ],
    );
}

#[test]
fn what_a_connection_does_to_its_own_is_not_warned_of() {
    let script = "const net = require('net');\n\
                  const LIMIT = 10;\n\
                  const names = ['a'];\n\
                  const clients = new Set();\n\
                  let cached;\n\
                  const limit = () => cached ??= LIMIT * 2;\n\
                  let ticks = 0;\n\
                  setInterval(() => { ticks++; }, 1000);\n\
                  names.push('b');\n\
                  net.createServer((socket) => {\n\
                    const clients = new Set([socket]);\n\
                    clients.add(socket);\n\
                    let ticks = 0;\n\
                    ticks += limit();\n\
                    socket.name = names.map((name) => name + ticks).filter(Boolean).reverse()[0];\n\
                    socket.on('data', (cached) => { cached = String(cached); process.env.X = cached; });\n\
                    for (const names of [[]]) names.push(1);\n\
                  }).listen(3000, () => { ticks = 1; });\n";
    expect(&[("own.js", script)], &[]);
}

/// What has been built is kept, so that this build only prints the warnings again.
#[test]
fn a_list_of_all_clients_in_python_is_warned_of() {
    let source = mishaps();
    if built(&source).is_none() {
        return;
    }
    let ran = build(&source, &kept("own-copies.py.wasm"));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(
        warnings_in(&ran),
        [
            "my-mishaps.1.py:22: `count`",
            "my-mishaps.1.py:23: `clients`",
            "my-mishaps.1.py:24: `rooms`",
        ]
    );
}
