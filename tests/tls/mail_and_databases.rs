//! STARTTLS of SMTP and the SSLRequest of PostgreSQL, with their real clients.

use std::process::{Command, Stdio};

use super::{Authority, Secure, secured};
use crate::harness::{Serve, lacks_program, run, skip};

fn start(guest: &str) -> Secure {
    let authority = Authority::new("an authority");
    let serve = secured(Serve::prebuilt(guest), &authority);
    std::fs::write(serve.path("ca.pem"), &authority.pem).expect("written");
    let server = serve.args(&["--tls-mode", "starttls"]).start();
    Secure { server, authority }
}

#[test]
fn swaks_delivers_mail_under_tls() {
    if lacks_program("swaks") {
        return;
    }
    // Debian's package only recommends it.
    let perl = run(Command::new("perl").args(["-MNet::SSLeay", "-e", "1"]));
    if perl.code != 0 {
        return skip("no `Net::SSLeay` for `swaks`");
    }
    let secure = start("smtp");
    let swaks = |tls: &[&str]| {
        run(Command::new("swaks")
            .args(["--server", "127.0.0.1", "--helo", "test", "--timeout", "60"])
            .args(["--port", &secure.server.port().to_string()])
            .args(["--from", "me@example.org", "--to", "you@example.org"])
            .args(tls)
            .current_dir(secure.server.dir()))
    };
    let ran = swaks(&["--tls", "--tls-verify", "--tls-ca-path", "ca.pem"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("TLS started with cipher"), "{ran:?}");
    // It is offered, and not required.
    let ran = swaks(&[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("250 STARTTLS"), "{ran:?}");
    let lines = "from me@example.org to you@example.org";
    secure.server.stdout.wait_count(lines, 2);
}

#[test]
fn psql_asks_for_tls_and_gets_it() {
    if lacks_program("psql") {
        return;
    }
    let secure = start("postgres");
    let psql = |mode: &str| {
        let port = secure.server.port();
        let place = format!(
            "hostaddr=127.0.0.1 host=a.test port={port} user=me dbname=any sslmode={mode} sslrootcert=ca.pem"
        );
        run(Command::new("psql")
            .args(["--no-psqlrc", "-At", "-c", "\\conninfo"])
            .args(["-c", "select count(*) from queries"])
            .arg(place)
            .env("PGCONNECT_TIMEOUT", "30")
            .current_dir(secure.server.dir()))
    };
    for (mode, is_secure) in [("disable", false), ("require", true), ("verify-full", true)] {
        let ran = psql(mode);
        assert_eq!(ran.code, 0, "{mode}: {ran:?}");
        assert_eq!(
            ran.stdout.contains("SSL connection"),
            is_secure,
            "{mode}: {ran:?}"
        );
        assert!(ran.stdout.ends_with("\n0\n"), "{mode}: {ran:?}");
    }
}

#[test]
fn openssl_starts_both() {
    if lacks_program("openssl") {
        return;
    }
    for (guest, protocol) in [("smtp", "smtp"), ("postgres", "postgres")] {
        let secure = start(guest);
        let ran = run(Command::new("openssl")
            .args(["s_client", "-starttls", protocol, "-servername", "a.test"])
            .args(["-connect", &secure.server.addresses[0].to_string()])
            .args([
                "-CAfile",
                "ca.pem",
                "-verify_return_error",
                "-verify_hostname",
                "a.test",
            ])
            .current_dir(secure.server.dir())
            .stdin(Stdio::null()));
        let text = [&*ran.stdout, &*ran.stderr].concat();
        assert!(text.contains("Verification: OK"), "{guest}: {text}");
        assert!(text.contains("TLSv1.3"), "{guest}: {text}");
    }
}

/// What comes with the command is in plain text, and must not count under TLS.
#[test]
fn the_examples_take_nothing_that_comes_with_the_command() {
    let mail = start("smtp");
    let mut client = mail.server.connect();
    client.send("EHLO x\r\nSTARTTLS\r\nMAIL FROM:<a@b>\r\n");
    let hello = "220 hotsocket\r\n250-hotsocket\r\n250 STARTTLS\r\n";
    client.expect_rest(format!("{hello}554 nothing comes with STARTTLS\r\n"));
    // And what was said before it is forgotten.
    let mut client = mail.server.connect();
    client.expect("220 hotsocket\r\n");
    client.ask("MAIL FROM:<a@b>\r\n", "250 ok\r\n");
    client.ask("STARTTLS\r\n", "220 go ahead\r\n");
    let mut client = mail
        .authority
        .client()
        .handshake(client)
        .expect("a handshake");
    client.ask("RCPT TO:<c@d>\r\n", "503 not now\r\n");
    client.ask("EHLO x\r\n", "250 hotsocket\r\n");
    client.ask("STARTTLS\r\n", "503 not now\r\n");
    let database = start("postgres");
    let mut client = database.server.connect();
    let request = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
    client.send([&request[..], &[0, 0, 0, 9, 0, 3, 0, 0, 0]].concat());
    let rest = client.rest().expect("FIN");
    assert!(rest.starts_with(b"E"), "{rest:?}");
}
