//! What a guest prints: cut, limited, and passed on as it is.

use super::{Scene, obeying};
use crate::guests::wayward;
use crate::harness::serve;

#[test]
fn a_long_line_is_cut() {
    let wordy = obeying(&[(
        'p',
        r#"(memory.fill (i32.const 70000) (i32.const 97) (i32.const 5000))
           (call $print (i32.const 70000) (i32.const 5000))
           (call $error (i32.const 70000) (i32.const 5000))
           (call $print "short")"#,
    )]);
    let mut scene = Scene::start(&wordy, &["--max-line", "100"]);
    scene.client().send("p");
    scene.server.stdout.wait("short");
    scene.reached("max-line", 2, "lines that are too long");
    let cut = "a".repeat(100);
    assert_eq!(scene.server.stdout.wait("aaa"), cut);
    assert_eq!(scene.server.stderr.wait("aaa"), cut);
}

#[test]
fn too_many_lines_are_dropped_and_a_neighbours_are_not() {
    let wordy = obeying(&[
        (
            'p',
            r#"(loop $more
                 (call $print "much")
                 (global.set $state (i32.add (global.get $state) (i32.const 1)))
                 (br_if $more (i32.lt_u (global.get $state) (i32.const 500))))
               (call $say "done")"#,
        ),
        ('o', r#"(call $print "once") (call $say "done")"#),
    ]);
    let mut scene = Scene::start(&wordy, &["--max-lines", "10"]);
    scene.client().ask("p", "done");
    scene.client().ask("o", "done");
    scene.server.stdout.wait("once");
    // It may take the guest more than one second to print them.
    let printed = scene.server.stdout.count("much") as u64;
    assert!((10..500).contains(&printed), "{printed} lines");
    scene.reached("max-lines", 500 - printed, "prints too much");
}

#[test]
fn lines_are_passed_on_raw_to_a_pipe() {
    let wild = obeying(&[('p', "(call $print \"\u{1b}[2J\u{1b}]0;title\u{7} a\rb\")")]);
    let mut scene = Scene::start(&wild, &[]);
    scene.client().send("p");
    assert_eq!(
        scene.server.stdout.wait("title"),
        "\u{1b}[2J\u{1b}]0;title\u{7} a\rb"
    );
    scene.undisturbed();
}

#[test]
fn bytes_that_are_no_text_are_made_text_by_the_guests_sdk() {
    let server = serve(wayward()).start();
    server.connect().ask("raw", "true");
    let line = server.stdout.wait("[31mred");
    assert_eq!(line, "\u{fffd}\u{fffd}\u{1b}[31mred");
}
