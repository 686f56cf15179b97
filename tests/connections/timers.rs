//! Timers of a connection. Those of a successor are in `swap::in_flight`, their
//! limit in `limits::sizes`.

use crate::guests::guest;
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
