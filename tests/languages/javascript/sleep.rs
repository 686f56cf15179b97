//! Scripts whose instance is put to sleep while they are quiet: their timers ring as if
//! it had been awake, and what cannot be carried keeps it awake.

use super::{component_of, serve_script};
use crate::harness::wait_for;

/// Timers of all kinds. An answer tells whether the instance has slept before.
const SCRIPT: &str = r#"
const net = require('net');
net.createServer((s) => {
  let { n } = JSON.parse(s.hotsocket.state ?? '{"n":0}');
  s.hotsocket.save(() => ({ n }));
  const login = setTimeout(() => s.end('login timeout\n'), 4000);
  const beat = setInterval(() => s.write(`beat ${s.hotsocket.resumed}\n`), 3000);
  setImmediate(() => s.write('hello\n'));
  s.setTimeout(10_000, () => s.end('idle\n'));
  s.on('data', (data) => {
    n++;
    if (String(data) === 'login') clearTimeout(login);
    if (String(data) === 'rest') clearInterval(beat);
    if (String(data) === 'later') setTimeout(() => s.write(`later ${s.hotsocket.resumed}\n`), 5000);
    s.write(`${n} ${s.hotsocket.resumed}\n`);
  });
}).listen(3000);
"#;

fn converse(conversation: &str) {
    if let Some(component) = component_of("sleeps", SCRIPT) {
        super::converse(component, conversation);
    }
}

#[test]
fn a_timer_rings_when_it_would_have_rung_without_sleep() {
    converse(
        r#"
        open
        expect "hello\n"
        wait 2s
        send "x"
        expect "1 woken\n"
        wait 1s
        expect "beat woken\n"
        wait 980ms
        expect nothing
        wait 30ms
        expect "login timeout\n"
        expect end
        "#,
    );
}

#[test]
fn a_timer_that_was_cleared_does_not_ring_after_sleep() {
    converse(
        r#"
        send "login"
        expect "hello\n1 false\n"
        wait 3s
        expect "beat woken\n"
        wait 3s
        expect "beat woken\n"
        wait 1s
        send "rest"
        expect "2 woken\n"
        wait 5s
        send "x"
        expect "3 woken\n"
        wait 9980ms
        expect nothing
        wait 30ms
        expect "idle\n"
        expect end
        "#,
    );
}

#[test]
fn a_timer_of_a_later_event_keeps_the_instance_awake() {
    converse(
        r#"
        send "login"
        expect "hello\n1 false\n"
        send "rest"
        expect "2 false\n"
        send "later"
        expect "3 false\n"
        wait 5s
        expect "later false\n"
        wait 1s
        send "x"
        expect "4 woken\n"
        "#,
    );
}

#[test]
fn status_says_why_an_instance_stays_awake() {
    let Some(component) = component_of("sleeps", SCRIPT) else {
        return;
    };
    let server = serve_script(component)
        .args(&["--hibernate-after", "20ms"])
        .start();
    let why = "a timer runs that the connection callback has not set";
    let reasons = || server.status()["connections"]["stays_awake"].clone();
    let mut client = server.connect();
    client.expect("hello\n");
    wait_for("an instance that sleeps", || {
        server.connections("asleep") == 1
    });
    client.ask("later", "1 woken\n");
    wait_for("the reason", || reasons()[why] == 1);
    assert_eq!(server.connections("asleep"), 0);
    drop(client);
    server.settle();
    assert_eq!(reasons().as_object().expect("a map").len(), 0);

    let Some(component) = component_of(
        "keeps_nothing",
        "require('net').createServer((s) => {\n\
           s.on('data', () => s.pause());\n\
           setInterval(() => {}, 1e9);\n\
           s.write('hello');\n\
         }).listen(3000);\n",
    ) else {
        return;
    };
    // Also with unread bytes, which are a snapshot of their own. Without a timer
    // nothing would wake it, as the host reads nothing from a peer that is paused.
    let server = serve_script(component)
        .args(&["--hibernate-after", "20ms"])
        .start();
    let mut client = server.connect();
    client.expect("hello");
    client.send("one");
    let reasons = || server.status()["connections"]["stays_awake"].clone();
    let why = "the script keeps no state with socket.hotsocket.save";
    wait_for("the reason", || reasons()[why] == 1);
    client.send("two");
    wait_for("the reason", || reasons()[why] == 1);
    assert_eq!(server.connections("hibernated"), 0);
}
