//! Each import with arguments that no sane guest gives, and results of exports
//! that no sane guest returns.

use crate::guests::{guest, obeying};
use crate::harness::{Scene, count_lines, serve};

/// The last byte is no UTF-8.
const NO_TEXT: &str =
    "(i32.store8 (i32.const 512) (i32.const 97)) (i32.store8 (i32.const 513) (i32.const 255))";

#[test]
fn absurd_arguments_end_the_connection() {
    let no_text = |function: &str| {
        format!("{NO_TEXT} (call ${function} (i32.const 512) (i32.const 2)) (call $spin)")
    };
    let at_once = |name: &str, pointer: i32, length: i32| {
        format!("(call ${name} (i32.const {pointer}) (i32.const {length})) (call $spin)")
    };
    let mut bodies = vec![
        // Places for results outside the memory, or not aligned.
        "(call $write (i32.const 0) (i32.const 1) (i32.const -4))".to_owned(),
        "(call $write (i32.const 0) (i32.const 1) (i32.const 262144))".to_owned(),
        "(call $write (i32.const 0) (i32.const 1) (i32.const 3))".to_owned(),
        "(call $info (i32.const -4))".to_owned(),
        "(call $info (i32.const 1))".to_owned(),
        "(call $info (i32.const 262136))".to_owned(),
        "(call $write (i32.const -1) (i32.const -1) (i32.const 0))".to_owned(),
        "(call $write (i32.const 0) (i32.const -1) (i32.const 0))".to_owned(),
        "(call $write (i32.const 262144) (i32.const 1) (i32.const 0))".to_owned(),
    ];
    for name in ["print", "error", "panic"] {
        bodies.push(no_text(name));
        bodies.push(at_once(name, -1, 10));
        bodies.push(at_once(name, 0, -1));
        bodies.push(at_once(name, i32::MIN, i32::MIN));
    }
    let letters: Vec<char> = ('A'..).take(bodies.len()).collect();
    let orders: Vec<_> = letters
        .iter()
        .copied()
        .zip(bodies.iter().map(String::as_str))
        .collect();
    let mut scene = Scene::start(&obeying(&orders), &[]);
    for (at, (letter, body)) in orders.iter().enumerate() {
        let mut client = scene.client();
        client.send(letter.to_string());
        let rest = client.rest().expect("FIN");
        assert!(rest.is_empty(), "{body}: {rest:?}");
        scene.server.stderr.wait_count("in `data`", at + 1);
    }
    // None came as far as the loop.
    scene.counted("cpu-budget", 0);
    scene.total("faults", orders.len() as u64);
    scene.undisturbed();
    assert_eq!(count_lines(&scene.end().stderr, "in `data`"), orders.len());
}

#[test]
fn odd_arguments_that_are_valid_are_accepted() {
    let mut scene = Scene::start(
        &obeying(&[
            (
                'A',
                r#"(call $set-timer (i32.const -1) (i64.const -1))
                   (call $set-timer (i32.const 0) (i64.const 0x7fffffffffffffff))
                   (call $clear-timer (i32.const 12345))
                   (call $clear-timer (i32.const 0))
                   (call $say "A")"#,
            ),
            (
                'B',
                r#"(call $say (i32.const 0) (i32.const 0))
                   (call $say (i32.const 262144) (i32.const 0))
                   (call $print (i32.const 0) (i32.const 0))
                   (call $panic (i32.const 0) (i32.const 0))
                   (call $info (i32.const 262112))
                   (call $say "B")"#,
            ),
            (
                'C',
                r#"(loop $more
                     (call $hold-open)
                     (local.set $n (i32.add (local.get $n) (i32.const 1)))
                     (br_if $more (i32.lt_u (local.get $n) (i32.const 1000))))
                   (call $say "C") (call $end) (call $end) (call $say "not sent")"#,
            ),
        ]),
        &[],
    );
    let mut client = scene.client();
    client.ask("A", "A");
    client.ask("B", "B");
    client.send("C");
    client.expect_rest("C");
    scene.undisturbed();
    scene.total("faults", 0);
}

#[test]
fn what_open_returns_may_be_absurd() {
    for body in [
        // An error of 4 GB, one that begins nowhere, one that is no text.
        "(call $refuse (i32.const 0) (i32.const -1))",
        "(call $refuse (i32.const -1) (i32.const 1))",
        &format!("{NO_TEXT} (call $refuse (i32.const 513) (i32.const 1))"),
        // No result there, none aligned, none of its kind.
        "(i32.const -4)",
        "(i32.const 17)",
        "(i32.store8 (i32.const 16) (i32.const 7)) (i32.const 16)",
    ] {
        let server = serve(guest().body("open", body).build()).start();
        server.connect().expect_over();
        server.stderr.wait("guest trapped in `open`");
        server.settle();
        assert_eq!(server.connections("faults"), 1, "{body}");
    }
}

/// As large a reason as fits into its memory: cut, and one line.
#[test]
fn a_reason_of_megabytes_is_cut() {
    let wordy = guest().body(
        "open",
        "(drop (memory.grow (i32.const 320)))
         (memory.fill (i32.const 65536) (i32.const 98) (i32.const 20000000))
         (i32.store8 (i32.const 65546) (i32.const 10))
         (call $refuse (i32.const 65536) (i32.const 20000000))",
    );
    let server = serve(wordy.build()).start();
    server.connect().expect_over();
    let line = server.stderr.wait("bbbb");
    assert!(line.len() < 5000, "{} bytes", line.len());
    assert!(line.contains("bbb | bbb"), "it is one line");
}

#[test]
fn what_save_returns_may_be_absurd() {
    for body in [
        "(call $some (i32.const 0) (i32.const -1))",
        "(call $some (i32.const -1) (i32.const 1))",
        "(i32.const -4)",
        "(i32.const 18)",
        "(i32.store8 (i32.const 16) (i32.const 7)) (i32.const 16)",
    ] {
        let mut scene = Scene::start(&obeying(&[]).body("save", body), &[]);
        scene.server.overwrite(obeying(&[('z', "")]).build(), 2);
        scene
            .server
            .stderr
            .wait("no snapshot: guest trapped in `save`");
        scene.undisturbed();
    }
}

/// An allocator that lies about where there is room.
#[test]
fn an_absurd_allocator_ends_the_connection() {
    for lie in ["(i32.const -1)", "(i32.const 262143)", "(unreachable)"] {
        let server = serve(
            obeying(&[])
                .change(
                    "(result i32)\n      (local $at i32)",
                    "(result i32)\n      (local $at i32) (if (i32.gt_u (local.get $size) (i32.const 20)) (then (return LIE)))",
                )
                .change("LIE", lie)
                .build(),
        )
        .start();
        let mut client = server.connect();
        client.send("much of it, so that it doesn't fit");
        client.expect_over();
        server.stderr.wait("guest trapped in ");
    }
}
