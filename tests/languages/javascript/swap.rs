//! Scripts under open connections: what is run again, what is kept, and that
//! the state is the same bytes in every language.

use super::{component_of, example, serve_script, serve_text};
use crate::harness::{Serve, prebuilt};

/// A greeting, a count that is kept, and a timer.
const GREETER: &str = r#"
const net = require('net');
let connections = 0;
net.createServer(async (socket) => {
  connections++;
  console.log('open', connections);
  socket.write('welcome to NAME\n');
  let { count } = socket.hotsocket?.state ? JSON.parse(socket.hotsocket.state) : { count: 0 };
  socket.hotsocket?.save(() => ({ count }));
  process.nextTick(() => console.log('tick'));
  await null;
  socket.write('second greeting\n');
  socket.on('data', (data) => {
    count += data.length;
    socket.write(`NAME ${socket.hotsocket.resumed} ${count} ${data}`);
  });
  socket.on('end', () => socket.end(`bye from NAME after ${count}\n`));
}).listen(3000, () => console.log('listening'));
console.log('top level');
"#;

#[test]
fn a_swap_keeps_the_state_and_greets_nobody_twice() {
    let text = |name| GREETER.replace("NAME", name);
    let (Some(old), Some(new)) = (
        component_of("greeter_old", &text("old")),
        component_of("greeter_new", &text("new")),
    ) else {
        return;
    };
    let server = serve_script(old).start();
    let mut client = server.connect();
    client.expect("welcome to old\nsecond greeting\n");
    client.ask("1234", "old false 4 1234");
    server.overwrite(new, 2);
    client.ask("56", "new migrated 6 56");
    let mut other = server.connect();
    other.expect("welcome to new\nsecond greeting\n");
    other.ask("7", "new false 1 7");
    client.end();
    client.expect_rest("bye from new after 6\n");
    drop(other);
    server.settle();
    assert_eq!(server.status()["generations"][1]["failed"], 0);
    // The top level has printed once, and the callback for each connection.
    assert_eq!(
        server.stop().stdout,
        "top level\nlistening\nopen 1\ntick\nopen 1\ntick\n"
    );
}

/// Number lines with one component, swap, go on with the other.
fn lines_go_on(first: Vec<u8>, second: Vec<u8>) {
    let server = serve_script(first).start();
    let mut client = server.connect();
    client.ask(b"one\ntwo\nthr\xc3", "1: one\n2: two\n");
    // The answer to a whole line shows that the half one has come, too.
    client.ask(b"\xa9e\nfo", "3: thr\u{e9}e\n");
    server.overwrite(&second, 2);
    client.ask("ur\n", "4: four\n");
    client.send("five");
    client.end();
    client.expect_rest("5: five");
    server.settle();
    assert_eq!(server.status()["generations"][1]["failed"], 0);
}

#[test]
fn a_count_goes_from_rust_to_javascript_and_back() {
    let Some(script) = example("lines") else {
        return;
    };
    let rust = prebuilt("lines");
    lines_go_on(rust.clone(), script.clone());
    lines_go_on(script, rust);
}

#[test]
fn examples_in_javascript_do_what_those_in_rust_do() {
    let (Some(hello), Some(echo), Some(lines)) =
        (example("hello"), example("echo"), example("lines"))
    else {
        return;
    };
    let visit = |server: Serve| {
        let server = server.start();
        let mut client = server.connect();
        client.ask("Gr\u{fc}\u{df}e\n", "Hello World from the server!");
        client.end();
        client.expect_rest("");
        let port = server.port().to_string();
        server.stop().stdout.replace(&port, "PORT")
    };
    assert_eq!(visit(serve_script(hello)), visit(Serve::prebuilt("hello")));

    let server = serve_script(echo).start();
    let mut client = server.connect();
    for bytes in [&b"one"[..], b"\0\xff\n", &[7; 100_000]] {
        client.ask(bytes, bytes);
    }
    client.end();
    client.expect_rest("");

    for server in [serve_script(lines), Serve::prebuilt("lines")] {
        let server = server.start();
        let mut client = server.connect();
        client.ask("one\n\nthr", "1: one\n2: \n");
        let long = "x".repeat(70_000);
        client.ask("ee\nfi", "3: three\n");
        client.end();
        client.expect_rest("4: fi");
        let mut client = server.connect();
        client.send(&long);
        client.expect("more than 65536 bytes in one piece\n");
        client.expect_over();
    }
}

/// It pauses for good after the first bytes; the successor reads on.
const PAUSES: &str = r#"
require('net').createServer((socket) => {
  socket.setEncoding('utf8');
  socket.on('data', (text) => {
    socket.write(`NAME ${text.length} ${text}\n`);
    if (PAUSE) socket.pause();
  });
}).listen(3000);
"#;

#[test]
fn bytes_that_a_script_has_not_read_go_along() {
    let text = |name, pause| PAUSES.replace("NAME", name).replace("PAUSE", pause);
    let (Some(old), Some(new)) = (
        component_of("pauses_old", &text("old", "true")),
        component_of("pauses_new", &text("new", "false")),
    ) else {
        return;
    };
    let server = serve_script(old).start();
    let mut client = server.connect();
    // Half a character, and then bytes for a socket that is paused.
    client.ask(b"a\xe2\x82", "old 1 a\n");
    client.send(b"\xacb");
    // The script says nothing of them. That another connection is answered makes
    // it likely that they have come before the swap; if not, the test still holds.
    let mut witness = server.connect();
    witness.ask("w", "old 1 w\n");
    server.overwrite(new, 2);
    client.send("c");
    let mut got = client.read("new 2 \u{20ac}b\n".len());
    got.extend(client.read("new 1 c\n".len()));
    assert_eq!(String::from_utf8_lossy(&got), "new 2 \u{20ac}b\nnew 1 c\n");
    witness.ask("x", "new 1 x\n");
    drop((client, witness));
    server.settle();
    assert_eq!(server.status()["generations"][1]["failed"], 0);
}

#[test]
fn code_that_cannot_take_unread_bytes_does_not_get_them() {
    let Some(old) = component_of(
        "pauses_old",
        &PAUSES.replace("NAME", "old").replace("PAUSE", "true"),
    ) else {
        return;
    };
    let server = serve_script(old)
        .args(&["--rollback-after", "never"])
        .start();
    let mut client = server.connect();
    client.ask(b"a\xe2", "old 1 a\n");
    let lines = prebuilt("lines");
    server.overwrite(lines, 2);
    // The bytes are the old code's, so the connection is, too.
    server.stderr.wait("stays on generation 1");
    server.connect().ask("x\n", "1: x\n");
}

#[test]
fn timers_of_the_old_code_are_gone_and_the_new_code_sets_its_own() {
    let text = |name| {
        "let beats = 0;\n\
         require('net').createServer((socket) => {\n\
           setInterval(() => socket.write(`NAME ${++beats}\\n`), 100);\n\
         }).listen(3000);\n"
            .replace("NAME", name)
    };
    let (Some(old), Some(new)) = (
        component_of("beats_old", &text("old")),
        component_of("beats_new", &text("new")),
    ) else {
        return;
    };
    let server = serve_script(old).start();
    let mut client = server.connect();
    client.expect("old 1\nold 2\n");
    server.overwrite(new, 2);
    let mut seen = String::new();
    while !seen.ends_with("new 2\n") {
        seen.push(char::from(client.read(1)[0]));
    }
    let new = seen.find("new").expect("a beat of the new code");
    assert!(!seen[new..].contains("old"), "{seen}");
}

#[test]
fn a_script_restarts_from_its_last_snapshot() {
    let Some(server) = serve_text(
        "restarts",
        "require('net').createServer((socket) => {\n\
           let sum = Number(socket.hotsocket.state ?? 0);\n\
           socket.hotsocket.save(() => String(sum));\n\
           socket.on('data', (data) => {\n\
             if (String(data) === 'die') throw new Error('told to');\n\
             sum += Number(data);\n\
             socket.write(`${socket.hotsocket.resumed} ${sum}\\n`);\n\
           });\n\
         }).listen(3000);\n",
    ) else {
        return;
    };
    let server = server.args(&["--on-trap", "restart"]).start();
    let mut client = server.connect();
    client.ask("5", "false 5\n");
    client.send("die");
    server.stderr.wait("Error: told to");
    client.ask("3", "restarted 8\n");
}
