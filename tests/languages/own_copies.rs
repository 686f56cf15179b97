//! A warning of the build: a variable of the top level that is changed for a connection,
//! as each connection has a copy of its own.

use std::fs;
use std::path::Path;

use crate::harness::{FIRST_BUILD, Fetched, hotsocket, lacks_tools, run_within, temp_dir};

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
    let mut command = hotsocket();
    command.arg("build").arg(dir.path().join(main));
    let ran = run_within(FIRST_BUILD, &mut command);
    if lacks_tools(&ran) {
        return None;
    }
    assert_eq!(ran.code, 0, "{ran:?}");
    let warnings = ran.stderr.lines().filter_map(|line| {
        let (found, rest) = line.strip_prefix("warning: ")?.split_once(" is changed ")?;
        assert!(
            rest.contains("its own copy") && rest.contains("docs/topics.md"),
            "{rest}"
        );
        Some(found.to_owned())
    });
    Some(warnings.collect())
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

#[test]
fn a_list_of_all_clients_in_python_is_warned_of() {
    let guest = "from hotsocket import Handler\n\
                 clients = []\n\
                 rooms = {}\n\
                 count = 0\n\
                 WORDS = ['a']\n\
                 WORDS.append('b')\n\
                 class Chat(Handler):\n\
                 \x20   def open(self, conn):\n\
                 \x20       global count\n\
                 \x20       count += 1\n\
                 \x20       clients.append(conn)\n\
                 \x20       rooms['x'] = conn\n\
                 \x20       self.words = list(WORDS)\n\
                 \x20       self.words.append('c')\n\
                 \x20   def data(self, conn, rooms):\n\
                 \x20       count = 0\n\
                 \x20       count += 1\n";
    expect(
        &[("chat.py", guest)],
        &[
            "chat.py:10: `count`",
            "chat.py:11: `clients`",
            "chat.py:12: `rooms`",
        ],
    );
}

/// None of what the project gives people to begin with.
#[test]
fn examples_and_templates_cause_no_warning() {
    for name in [
        "chat", "doorman", "echo", "hello", "lines", "silence", "whoami",
    ] {
        let path = super::example(&format!("{name}.js"));
        let text = fs::read_to_string(path).expect("an example");
        expect(&[(&format!("{name}.js"), &text)], &[]);
    }
    let path = crate::harness::repo("guest/templates/js/server.js");
    let text = fs::read_to_string(path).expect("a template");
    expect(&[("server.js", &text)], &[]);
}
