//! TLS that begins when the guest says so (`--tls-mode starttls`, `hotsocket:tls`). The
//! real clients of SMTP and PostgreSQL are in `example_guests`; handshakes that never end
//! are in [`ends`].

mod ends;

use super::{Authority, Secure, TlsClient, secured};
use crate::guests::{COUNT, Guest, RESTORE, SAVE, guest, messenger, obeying};
use crate::harness::{Client, Serve, count_lines, serve, wait_for};
use crate::inspector::{Viewer, briefs};

/// It answers with itself. At `s` it says `go` and has TLS begin; at `w` it says more right
/// afterwards; at `d` it asks for TLS and says what came of it; at `!` it dies.
fn asking() -> Guest {
    obeying(&[
        ('s', r#"(call $say "go") (drop (call $secure))"#),
        (
            'w',
            r#"(call $say "go") (drop (call $secure)) (call $say "under TLS")"#,
        ),
        ('d', r#"(call $say-digit "tls " (call $secure))"#),
        ('!', "(call $trap)"),
    ])
    .prints_closed()
    .with_start_tls()
}

fn start(serve: Serve) -> Secure {
    let authority = Authority::new("an authority");
    let serve = secured(serve, &authority).args(&["--tls-mode", "starttls", "--access-log"]);
    let server = serve.start();
    Secure { server, authority }
}

impl Secure {
    fn handshake(&self, client: Client) -> TlsClient {
        let config = self.authority.client();
        config.handshake(client).expect("a handshake")
    }

    /// A client that has asked for TLS, and has not begun its handshake.
    fn asked(&self) -> Client {
        let mut client = self.server.connect();
        client.ask("s", "go");
        client
    }
}

#[test]
fn the_next_bytes_are_the_handshake() {
    let mut secure = start(serve(asking().build()));
    let mut client = secure.server.connect();
    client.ask("plain", "plain");
    client.ask("s", "go");
    let mut client = secure.handshake(client);
    client.ask("x", "x");
    client.ask("d", "tls 2");
    client.end();
    client.expect_rest("");
    secure.server.stdout.wait("closed 0");
    // Whoever does not want it needs none.
    let mut client = secure.server.connect();
    client.ask("plain", "plain");
    client.end();
    client.expect_rest("");
    assert!(secure.server.is_well());
}

#[test]
fn a_viewer_sees_where_tls_begins_and_what_is_under_it() {
    let secure = start(serve(asking().build()));
    let mut client = secure.server.connect();
    client.ask("plain", "plain");
    let mut viewer = Viewer::of(&secure.server, Some(1));
    client.ask("s", "go");
    let mut client = secure.handshake(client);
    client.ask("x", "x");
    client.end();
    client.expect_rest("");
    let seen = viewer.until(|record| record["mark"] == "closed");
    assert_eq!(
        briefs(&seen)[..3],
        ["data s > go", "* secured", "data x > x"]
    );
    assert_eq!(seen[0]["effects"], serde_json::json!(["start TLS"]));
    assert_eq!(seen[1]["text"], "TLS has begun: TLSv1.3");
}

#[test]
fn what_is_written_afterwards_is_sent_under_tls() {
    let secure = start(serve(asking().build()));
    let mut client = secure.server.connect();
    client.ask("w", "go");
    let mut client = secure.handshake(client);
    client.expect("under TLS");
    client.ask("x", "x");
    // So much that it would go to the socket during the event, before and after.
    let large = "(call $say (i32.const 0) (i32.const 65536))";
    let body = format!(r#"{large} (call $say "go") (drop (call $secure)) {large}"#);
    let secure = start(serve(guest().data(&body).with_start_tls().build()));
    let mut client = secure.server.connect();
    client.send("x");
    client.read(65_536);
    client.expect("go");
    let mut client = secure.handshake(client);
    let mut got = vec![0; 65_536];
    std::io::Read::read_exact(
        &mut rustls::Stream::new(&mut client.tls, &mut client.tcp.stream),
        &mut got,
    )
    .expect("all");
}

#[test]
fn it_may_begin_in_any_event() {
    let say = r#"(call $say "go") (drop (call $secure))"#;
    let timers = "(call $set-timer (i32.const 1) (i64.const 0)) (call $set-timer (i32.const 2) (i64.const 0))";
    let in_timers = obeying(&[('t', timers)])
        .body("timer", say)
        .with_start_tls();
    let in_open = obeying(&[])
        .body("open", &format!("{say} (call $ok)"))
        .with_start_tls();
    for (guest, asked) in [(in_timers, "t"), (in_open, "")] {
        let secure = start(serve(guest.build()));
        let mut client = secure.server.connect();
        client.ask(asked, "go");
        let mut client = secure.handshake(client);
        if asked == "t" {
            // That of the second timer.
            client.expect("go");
        }
        client.ask("x", "x");
    }
    // The end of this side comes under TLS, too.
    let ending = guest().data(&format!("{say} (call $end)")).with_start_tls();
    let secure = start(serve(ending.build()));
    let mut client = secure.server.connect();
    client.ask("x", "go");
    secure.handshake(client).expect_rest("");
}

/// CVE-2011-0411: what comes before the handshake is in plain text.
#[test]
fn plain_text_behind_the_command_ends_the_connection() {
    let secure = start(serve(asking().build()));
    let mut client = secure.asked();
    client.send("MAIL FROM:<somebody@on.the.way>\r\n");
    let alert = client.rest().expect("FIN");
    assert_eq!(alert, [0x15, 3, 3, 0, 2, 2, 50], "decode_error");
    secure
        .server
        .stderr
        .wait("goes on in plain text where TLS was to begin");
    secure.server.stderr.wait("closed: plain-text");
    secure.server.stdout.wait("closed 7");
    // Damaged TLS is something else.
    let mut client = secure.asked();
    client.send([0x16, 3, 1, 0, 4, 9, 9, 9, 9]);
    let _ = client.rest();
    secure.server.stderr.wait("closed: handshake");
    // And so is a peer that leaves.
    let mut client = secure.asked();
    client.end();
    client.expect_rest("");
    secure.server.stderr.wait_count("closed: handshake", 2);
    secure.server.stdout.wait_count("closed 7", 3);
}

#[test]
fn a_swap_in_the_middle_of_the_handshake_takes_place() {
    let args = ["--handshake-timeout", "1h", "--rollback-after", "never"];
    let secure = start(serve(asking().build()).args(&args));
    let named = |name: &str, then: &str| {
        let body = format!(r#"(call $say {name:?}) {then}"#);
        guest().data(&body).prints_closed().with_start_tls().build()
    };
    let client = secure.asked();
    assert_eq!(secure.server.swap(named("new", ""), &[])["migrated"], 1);
    let mut client = secure.handshake(client);
    client.ask("x", "new");
    // And one whose new code does not stand its first event, which is under TLS.
    let mut second = secure.server.connect();
    second.ask("x", "new");
    assert_eq!(secure.server.ask(&["rollback"]).code, 0);
    second.ask("s", "go");
    client.ask("x", "x");
    assert_eq!(
        secure.server.swap(named("bad", "(call $trap)"), &[])["migrated"],
        2
    );
    let mut second = secure.handshake(second);
    second.ask("x", "x");
    second.ask("d", "tls 2");
}

/// In `open` of new code it is an effect like all others.
#[test]
fn what_is_asked_for_in_probation_waits_for_the_first_event() {
    let opening = |body: &str| {
        let open = "(if (local.get $origin) (then (drop (call $secure)))) (call $ok)";
        guest()
            .body("open", open)
            .data(body)
            .with_start_tls()
            .build()
    };
    let secure = start(serve(asking().build()).args(&["--rollback-after", "never"]));
    let mut client = secure.server.connect();
    client.ask("plain", "plain");
    let bad = opening("(call $trap)");
    assert_eq!(secure.server.swap(bad, &[])["migrated"], 1);
    client.ask("plain again", "plain again");
    let good = opening(r#"(call $say-digit "good " (call $secure))"#);
    assert_eq!(secure.server.swap(good, &[])["migrated"], 1);
    client.send("x");
    // A handshake in the same read would be a part of the event.
    wait_for("the event", || {
        let list = secure.server.ask_json(&["top"]);
        list["connections"]["connections"][0]["received"] == "plainplain againx".len()
    });
    let mut client = secure.handshake(client);
    client.expect("good 3");
    client.ask("x", "good 2");
}

#[test]
fn an_event_that_fails_has_not_asked() {
    let dying = obeying(&[('t', r#"(drop (call $secure)) (call $trap)"#)]).with_start_tls();
    let secure = start(serve(dying.build()).args(&["--on-trap", "restart"]));
    let mut client = secure.server.connect();
    client.send("t");
    secure.server.stderr.wait("restarted from the snapshot");
    client.ask("plain", "plain");
}

#[test]
fn a_guest_learns_why_it_cannot_begin() {
    let errors = obeying(&[
        (
            '2',
            r#"(call $say "go") (drop (call $secure)) (call $say-digit "again " (call $secure))"#,
        ),
        (
            'e',
            r#"(call $end) (call $print-digit "ended " (call $secure))"#,
        ),
        ('c', r#"(call $say-digit "can " (call $can-start-tls))"#),
        ('d', r#"(call $say-digit "tls " (call $secure))"#),
    ])
    .with_start_tls()
    .build();
    let secure = start(serve(&errors));
    let mut client = secure.server.connect();
    client.ask("c", "can 1");
    client.ask("2", "go");
    let mut client = secure.handshake(client);
    client.expect("again 3");
    client.ask("c", "can 0");
    client.ask("d", "tls 2");
    let mut client = secure.server.connect();
    client.send("e");
    secure.server.stdout.wait("ended 4");
    // A listener without certificates, and one that has spoken TLS from the first byte on.
    let plain = serve(&errors).start();
    plain.connect().ask("c", "can 0");
    plain.connect().ask("d", "tls 1");
    let implicit = super::start(serve(&errors));
    implicit.client().ask("d", "tls 2");
    let refused = Serve::prebuilt("echo")
        .args(&["--tls-mode", "starttls"])
        .fail();
    assert!(refused.stderr.contains("--tls-cert"), "{}", refused.stderr);
    // A guest that cannot ask leaves everything in plain text.
    let echo = start(Serve::prebuilt("echo"));
    echo.server
        .stderr
        .wait("its connections stay in plain text");
}

#[test]
fn it_belongs_to_the_connection() {
    let counting = |name: &str| {
        let data = format!(
            r#"(if (i32.eq (i32.load8_u (local.get $at)) (i32.const 115))
                 (then (call $say "go") (drop (call $secure)))
                 (else {COUNT} (call $say-digit {name:?} (global.get $state))))"#
        );
        guest()
            .body("open", &format!("{RESTORE} (call $ok)"))
            .data(&data)
            .body("save", SAVE)
            .with_start_tls()
            .build()
    };
    let secure = start(serve(counting("A")).args(&["--hibernate-after", "50ms"]));
    let mut client = secure.server.connect();
    client.ask("x", "A1");
    client.ask("s", "go");
    let mut client = secure.handshake(client);
    client.ask("x", "A2");
    let asleep = || wait_for("it sleeps", || secure.server.connections("asleep") == 1);
    asleep();
    client.ask("x", "A3");
    assert_eq!(secure.server.swap(counting("B"), &[])["migrated"], 1);
    client.ask("x", "B4");
    asleep();
    assert_eq!(secure.server.ask(&["rollback"]).code, 0);
    client.ask("x", "A5");
}

/// As `serve` does at the start: its connections are in plain text for ever.
#[test]
fn a_guest_that_begins_no_tls_is_warned_of_at_each_swap() {
    let secure = start(serve(asking().build()));
    let server = &secure.server;
    let warning = "begins no TLS, as it does not import hotsocket:tls";
    assert!(!server.stderr.has(warning));
    server.swap(guest().data(r#"(call $say "1")"#).build(), &[]);
    server.stderr.wait_count(warning, 1);
    server.swap(asking().build(), &[]);
    let ran = server.ask(&["rollback"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    server.stderr.wait_count(warning, 2);
    let ran = secure.server.stop();
    assert_eq!(count_lines(&ran.stderr, warning), 2);
}

#[test]
fn new_certificates_are_taken_up() {
    let secure = start(serve(asking().build()));
    let client = secure.asked();
    secure
        .authority
        .issue_until(&["a.test"], 2080)
        .write_to(secure.server.dir(), "a");
    secure
        .server
        .stderr
        .wait("was reloaded: it is valid until 2080-01-01");
    secure.handshake(client).ask("x", "x");
}

/// As ports 465 and 587 of a mail server.
#[test]
fn each_listener_has_its_mode() {
    let authority = Authority::new("an authority");
    let serve = Serve::nothing().listen(&[]);
    authority.issue(&["a.test"]).write(&serve, "a");
    std::fs::write(serve.path("guest.wasm"), asking().build()).expect("written");
    let text = r#"
[[service]]
guest = "guest.wasm"
tls-cert = "a.pem"
tls-key = "a.key"
[[service.listener]]
name = "implicit"
listen = "127.0.0.1:0"
[[service.listener]]
name = "later"
listen = "127.0.0.1:0"
tls-mode = "starttls"
"#;
    std::fs::write(serve.path("hotsocket.toml"), text).expect("written");
    let server = serve.args(&["--config", "hotsocket.toml"]).start();
    let status = server.status();
    let named = &status["services"][0]["named_listeners"];
    let client = |name: &str| {
        let address = named[name].as_str().expect("an address");
        Client::connect(address.parse().expect("an address"))
    };
    let config = authority.client();
    let mut implicit = config.handshake(client("implicit")).expect("a handshake");
    implicit.ask("d", "tls 2");
    let mut later = client("later");
    later.ask("s", "go");
    config.handshake(later).expect("a handshake").ask("x", "x");
}

/// A handshake may take long, and what an event asks for besides does not wait for it.
#[test]
fn what_is_asked_for_with_tls_is_done_at_once() {
    let secure = start(serve(messenger()));
    let mut client = secure.server.connect();
    client.send("event t\npublish other one\nstart-tls\n");
    client.expect("ok\nok\ngo\n");
    wait_for("the message", || {
        secure.server.ask_topics()["published"] == 1
    });
    assert_eq!(secure.server.ask(&["publish", "t"]).code, 0);
    let mut client = secure.handshake(client);
    client.expect("1 t 0 \n");
}
