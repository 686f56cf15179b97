//! `smtp`, with swaks, and while code is swapped in the middle of a mail.

use std::process::Command;

use crate::guests::differing;
use crate::harness::{Serve, count_lines, lacks_program, prebuilt, run};

#[test]
fn swaks_delivers_mail() {
    if lacks_program("swaks") {
        return;
    }
    let server = Serve::prebuilt("smtp").start();
    let mut swaks = Command::new("swaks");
    swaks
        .args(["--server", "127.0.0.1", "--helo", "test", "--timeout", "60"])
        .args(["--port", &server.addresses[0].port().to_string()])
        .args(["--from", "me@example.org", "--body", ".\n..\nlast\n"])
        .args(["--to", "you@example.org,them@example.org"]);
    let ran = run(&mut swaks);
    assert_eq!(ran.code, 0, "{ran:?}");
    let line = server.stdout.wait("bytes from");
    let people = "me@example.org to you@example.org, them@example.org";
    assert!(line.ends_with(people), "{line}");
    assert_eq!(count_lines(&server.stop().stdout, "bytes from"), 1);
}

#[test]
fn a_mail_goes_on_through_swaps() {
    let server = Serve::prebuilt("smtp").start();
    let mut component = prebuilt("smtp");
    let mut swap = || {
        component = differing(std::mem::take(&mut component));
        assert_eq!(server.swap(component.clone(), &[])["migrated"], 1);
    };
    let mut client = server.connect();
    client.expect("220 hotsocket\r\n");
    client.ask(
        "HELO x\r\nMAIL FROM:<a@b>\r\nRCPT T",
        "250 hotsocket\r\n250 ok\r\n",
    );
    swap();
    client.ask("O:<c@d>\r\nDA", "250 ok\r\n");
    swap();
    client.ask("TA\r\n", "354 end with a dot\r\n");
    client.send("first\r\nsec");
    swap();
    client.send("ond\r\n.\r");
    swap();
    client.ask("\n", "250 taken\r\n");
    swap();
    client.ask("QUIT\r\n", "221 bye\r\n");
    client.expect_rest("");
    server.stdout.wait("13 bytes from a@b to c@d");
}

/// Bytes still come after this side has ended.
#[test]
fn a_mail_that_is_too_large_is_not_taken_at_its_end() {
    let server = Serve::prebuilt("smtp").start();
    let mut client = server.connect();
    client.send("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n");
    client.expect("220 hotsocket\r\n250 ok\r\n250 ok\r\n354 end with a dot\r\n");
    // It is too large with the last of these lines.
    client.send(format!("{}\r\n", "x".repeat(998)).repeat(512 * 1024 / 999 + 1));
    client.expect_rest("421 too large\r\n");
    client.send(".\r\n");
    drop(client);
    server.settle();
    assert_eq!(count_lines(&server.stop().stdout, "bytes from"), 0);
}
