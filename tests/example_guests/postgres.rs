//! `postgres`, in `guest/examples/postgres`, with psql, and while code is swapped.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use crate::guests::differing;
use crate::harness::{Client, Serve, Server, lacks_program, prebuilt, run};

fn start() -> Server {
    Serve::prebuilt("postgres").start()
}

fn psql(server: &Server, args: &[&str]) -> Command {
    let mut psql = Command::new("psql");
    psql.args([
        "--no-psqlrc",
        "-h",
        "127.0.0.1",
        "-U",
        "me",
        "-d",
        "any",
        "-At",
    ])
    .args(["-p", &server.addresses[0].port().to_string()])
    .args(args)
    .env("PGCONNECT_TIMEOUT", "30");
    psql
}

#[test]
fn psql_sees_a_table() {
    if lacks_program("psql") {
        return;
    }
    let server = start();
    let ran = run(&mut psql(
        &server,
        &[
            "-c",
            "begin; select count(*) from queries",
            "-c",
            "SELECT * FROM queries;",
        ],
    ));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(
        ran.stdout,
        "BEGIN\n1\n1|begin\n2|select count(*) from queries\n"
    );
    let ran = run(&mut psql(&server, &["-c", "drop table queries"]));
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("ERROR:  this server knows"), "{ran:?}");
}

#[test]
fn psql_keeps_its_table_through_swaps() {
    if lacks_program("psql") {
        return;
    }
    let server = start();
    let mut child = psql(&server, &[])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("psql");
    let mut input = child.stdin.take().expect("a pipe");
    let mut output = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut component = prebuilt("postgres");
    for asked in 0..20 {
        writeln!(input, "select count(*) from queries;").expect("psql reads");
        let answer = output.next().expect("a row").expect("text");
        assert_eq!(answer, asked.to_string());
        component = differing(component);
        assert_eq!(server.swap(component.clone(), &[])["migrated"], 1);
    }
    drop(input);
    assert!(child.wait().expect("its end").success());
}

#[test]
fn what_is_no_postgres_client_is_told_so_and_closed() {
    let server = start();
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\n\r\n");
    let answer = client.rest().expect("FIN");
    let answer = String::from_utf8_lossy(&answer);
    assert!(
        answer.starts_with('E') && answer.contains("08P01"),
        "{answer}"
    );
}

/// They would not fit into a snapshot.
#[test]
fn long_queries_do_not_lose_the_session_at_a_swap() {
    let server = start();
    let mut client = server.connect();
    let message = |kind: &[u8], body: &[u8]| {
        let length = (body.len() as u32 + 4).to_be_bytes();
        [kind, &length, body].concat()
    };
    client.send(message(b"", b"\0\x03\0\0user\0me\0\0"));
    let ready =
        |client: &mut Client| while client.read(1) != b"Z" || client.read(5) != b"\0\0\0\x05I" {};
    ready(&mut client);
    let long = format!("select '{}'\0", "x".repeat(600_000));
    for _ in 0..2 {
        client.send(message(b"Q", long.as_bytes()));
        ready(&mut client);
    }
    let answer = server.swap(differing(prebuilt("postgres")), &[]);
    assert_eq!(answer["migrated"], 1);
    client.send(message(b"Q", b"select count(*) from queries\0"));
    client.expect("T");
}
