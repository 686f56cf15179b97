//! Timers of a connection. Those of a successor are in `swap::in_flight`, their
//! limit in `limits::sizes`.

use crate::guests::{guest, obeying};
use crate::harness::serve;

#[test]
fn timers_ring_in_their_order() {
    let timers = guest()
        .data(
            "(call $set-timer (i32.const 3) (i64.const 60))
             (call $set-timer (i32.const 1) (i64.const 1))
             (call $set-timer (i32.const 2) (i64.const 30))
             (call $set-timer (i32.const 1) (i64.const 90))",
        )
        .body("timer", r#"(call $say-digit "" (local.get $id))"#);
    let server = serve(timers.build()).start();
    let mut client = server.connect();
    client.ask("x", "231");
    // Each rings once.
    client.end();
    client.expect_rest("");
}

/// They come back at once, as many as there may be. Before, nothing was read from the
/// peer any more, not even its FIN.
#[test]
fn timers_that_are_always_due_keep_nobody_from_reading() {
    let timers = obeying(&[(
        't',
        "(local.set $n (i32.const 64))
         (loop $more
           (local.set $n (i32.sub (local.get $n) (i32.const 1)))
           (call $set-timer (local.get $n) (i64.const 0))
           (br_if $more (local.get $n)))
         (call $say \"set\")",
    )])
    .body("timer", "(call $set-timer (local.get $id) (i64.const 0))");
    let server = serve(timers.build()).start();
    let mut client = server.connect();
    client.ask("t", "set");
    for _ in 0..10 {
        client.ask("x", "x");
    }
    server.connect().ask("y", "y");
    client.end();
    client.expect_rest("");
}
