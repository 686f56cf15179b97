//! When calls take effect, and where they may not.

use super::{Orders, start};
use crate::guests::{differing, keeper};

#[test]
fn a_trap_or_a_rollback_undoes_nothing() {
    let server = start(&["--on-trap", "restart"]);
    let mut a = server.connect();
    a.send("trap k stays\n");
    server.stderr.wait("restarted");
    a.orders(&[("get k", "stays"), ("in b", "ok")]);
    server.swap(differing(keeper()), &[]);
    // Its first event.
    a.orders(&[("set k new", "ok")]);
    server.roll_back(&[]);
    a.orders(&[("get k", "new"), ("in ", "ok"), ("get k", "stays")]);
}

#[test]
fn nothing_is_changed_in_listening_and_in_save() {
    let server = start(&[]);
    server.stdout.wait("listening: Err(AccessDenied)");
    let mut a = server.connect();
    a.orders(&[("get begin", "none"), ("stubborn", "ok")]);
    server.swap(differing(keeper()), &[]);
    // What `save` was told is what the new code calls its bucket.
    a.orders(&[
        ("keys", ""),
        ("set k x", "ok"),
        ("in ", "ok"),
        ("get saved", "none"),
    ]);
    let mut b = server.connect();
    b.orders(&[("in nothing can be changed in `save` and `listening`", "ok")]);
}
