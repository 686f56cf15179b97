//! Text and lists that a guest passes in one call, and what the host allocates
//! for an instance.

use crate::guests::{Guest, guest, obeying};
use crate::harness::{Scene, serve};

/// All of 30 MB of memory, as text in the guest's encoding.
const ALL: &str = "(drop (memory.grow (i32.const 500)))
    (call $print (i32.const 65536) (i32.const 15000000))
    (call $say \"printed\")";

/// Its text is in UTF-16.
fn in_utf16(guest: Guest) -> Guest {
    guest
        .change(
            r#"(canon lower (func $the-output "print") (memory $memory))"#,
            r#"(canon lower (func $the-output "print") (memory $memory) string-encoding=utf16)"#,
        )
        .change(
            r#"(canon lower (func $the-output "error") (memory $memory))"#,
            r#"(canon lower (func $the-output "error") (memory $memory) string-encoding=utf16)"#,
        )
}

#[test]
fn text_in_utf16_is_printed() {
    let guest = in_utf16(obeying(&[(
        'p',
        "(i64.store (i32.const 256) (i64.const 0x0021_00e9_0069_0048))
         (call $print (i32.const 256) (i32.const 4))
         (call $say \"printed\")",
    )]));
    let scene = Scene::start(&guest, &[]);
    scene.client().ask("p", "printed");
    scene.server.stdout.wait("Hié!");
}

/// Before, the host converted it: 45 MB of its own memory for this text.
#[test]
fn of_text_that_is_too_long_only_the_beginning_is_looked_at() {
    for guest in [obeying(&[('p', ALL)]), in_utf16(obeying(&[('p', ALL)]))] {
        let mut scene = Scene::start(&guest, &["--max-line", "1K"]);
        let before = scene.server.peak_resident();
        let mut client = scene.client();
        client.ask("p", "printed");
        scene.server.stdout.wait("\0\0\0\0");
        scene.reached("max-line", 1, "(--max-line)");
        // The guest has not touched its memory, and the host neither.
        let grown = scene.server.peak_resident().saturating_sub(before);
        assert!(grown < 8 << 20, "the server grew by {grown} bytes");
        client.ask("x", "x");
    }
}

#[test]
fn a_reason_to_refuse_that_is_too_long_is_not_copied() {
    let refusing = guest()
        .body(
            "open",
            "(drop (memory.grow (i32.const 500)))
             (call $refuse (i32.const 65536) (i32.const 30000000))",
        )
        .build();
    let server = serve(refusing).start();
    let before = server.peak_resident();
    server.connect().expect_rest("");
    server.stderr.wait("refused the connection");
    let grown = server.peak_resident().saturating_sub(before);
    assert!(grown < 8 << 20, "the server grew by {grown} bytes");
}

#[test]
fn a_snapshot_beyond_four_times_the_limit_is_not_copied() {
    let large = |letter| {
        obeying(&[(letter, "")])
            .body(
                "save",
                "(drop (memory.grow (i32.const 500)))
                 (call $some (i32.const 65536) (i32.const 30000000))",
            )
            .build()
    };
    let mut scene = Scene::start(large('y'), &[]);
    let before = scene.server.peak_resident();
    scene.server.overwrite(large('z'), 2);
    scene.reached("transfer", 1, "passed too much in one call");
    let grown = scene.server.peak_resident().saturating_sub(before);
    assert!(grown < 16 << 20, "the server grew by {grown} bytes");
}

/// Sixteen bytes of the host for each of them. Before, they were free.
#[test]
fn globals_count_as_memory() {
    let globals = "(global (mut i64) (i64.const 0))".repeat(40_000);
    let many = obeying(&[]).change("(global $state", &format!("{globals} (global $state"));
    let told = serve(many.build())
        .args(&["--max-memory", "600K"])
        .fail()
        .failure(1);
    assert!(
        told.contains("failed its trial") && told.contains("--max-memory"),
        "{told}"
    );
    let mut scene = Scene::start(&many, &["--max-memory", "2M"]);
    let memory = scene.server.status()["memory"]["instances"].as_u64();
    assert!(memory > Some(256 * 1024 + 640_000), "{memory:?}");
    scene.undisturbed();
}
