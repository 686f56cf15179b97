//! What an event has asked for happens when it has succeeded, or not at all.

use super::{Orders, connect, start};

#[test]
fn an_event_that_fails_has_published_nothing() {
    let server = start(&["--on-trap", "restart"]);
    let [mut a, mut b] = connect(&server);
    a.order("event t");
    for (number, order) in ["publish t no!", "event x no!", "will t no!"]
        .iter()
        .enumerate()
    {
        b.send(format!("{order}\n"));
        server.stderr.wait_count("restarted", number + 1);
        b.ask("?\n", "what?\n");
    }
    b.ask("count x\n", "0\n");
    b.order("publish t yes");
    a.expect_line("1 t 2 yes");
    b.send("end\n");
    b.expect_rest("");
    a.ask("?\n", "what?\n");
}

/// In order with one another.
#[test]
fn requests_are_carried_out_in_their_order() {
    let server = start(&[]);
    let [mut a, mut b] = connect(&server);
    b.order("event t");
    // One event, if it comes in one piece; the order is the same if not.
    a.send("publish t 1\nevent t\nleave t\npublish t 2\n");
    a.expect("ok\nok\nok\nok\n");
    b.expect_line("1 t 1 1");
    b.expect_line("2 t 1 2");
    a.ask("count t\n", "1\n");
}

#[test]
fn what_is_published_in_close_is_published() {
    let server = start(&[]);
    let [mut a, b] = connect(&server);
    a.order("event closed");
    drop(b);
    a.expect("1 closed 2 2\n\n");
}
