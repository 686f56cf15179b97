//! Changes that depend on the value that there is, by many connections at once.

use std::thread;

use super::{Orders, start};

#[test]
fn numbers_are_counted() {
    let server = start(&[]);
    let mut a = server.connect();
    a.orders(&[
        ("add n 5", "5"),
        ("add n -7", "-2"),
        ("get n", "-2"),
        ("set n 9223372036854775806", "ok"),
        ("add n 1", "9223372036854775807"),
        ("add n 1", "error: the sum is out of range"),
        ("get n", "9223372036854775807"),
        ("set n 1.5", "ok"),
        ("add n 1", "error: the value is not a number"),
        ("get n", "1.5"),
    ]);
}

#[test]
fn a_value_is_swapped_if_nobody_has_changed_it() {
    let server = start(&[]);
    let (mut a, mut b) = (server.connect(), server.connect());
    a.orders(&[("see k", "ok"), ("current", "none")]);
    b.orders(&[("set k one", "ok")]);
    a.orders(&[
        ("swap mine", "changed"),
        ("current", "one"),
        ("swap mine", "ok"),
        ("get k", "mine"),
        ("see k", "ok"),
    ]);
    // Removed and set to the same value again: that is another one.
    b.orders(&[("delete k", "yes"), ("set k mine", "ok")]);
    a.orders(&[
        ("swap other", "changed"),
        ("swap other", "ok"),
        ("get k", "other"),
        ("see none", "ok"),
        ("swap made", "ok"),
        ("get none", "made"),
    ]);
    // What `current` gives is what counts.
    a.orders(&[("see k", "ok")]);
    b.orders(&[("set k two", "ok")]);
    a.orders(&[("current", "two"), ("swap three", "ok"), ("get k", "three")]);
}

#[test]
fn nothing_is_lost_between_many_connections() {
    let server = start(&[]);
    let connections = 20;
    let rounds = 200;
    thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let mut client = server.connect();
                for _ in 0..rounds {
                    client.send("add sum 3\nappend text x\n");
                    for _ in 0..2 {
                        while client.read(1)[0] != b'\n' {}
                    }
                }
            });
        }
    });
    let mut client = server.connect();
    let all = connections * rounds;
    client.orders(&[
        ("get sum", &(3 * all).to_string()),
        ("get text", &format!("{all} bytes")),
    ]);
}
