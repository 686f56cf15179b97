//! `kv`, in `guest/examples/kv`, with redis-cli and redis-benchmark, and while code is
//! swapped.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::guests::differing;
use crate::harness::{Client, Serve, Server, lacks_program, prebuilt, run, wait_for};

fn start() -> Server {
    Serve::prebuilt("kv").start()
}

fn tool(name: &str, server: &Server, args: &[&str]) -> Command {
    let mut tool = Command::new(name);
    tool.args(["-p", &server.addresses[0].port().to_string()])
        .args(args);
    tool
}

/// What redis-cli prints for a command.
fn cli(server: &Server, args: &[&str]) -> String {
    run(&mut tool("redis-cli", server, args)).success()
}

#[test]
fn redis_cli_sets_and_gets() {
    if lacks_program("redis-cli") {
        return;
    }
    let server = start();
    let mut component = prebuilt("kv");
    for (args, printed) in [
        (&["set", "k", "two words"][..], "OK\n"),
        (&["get", "k"], "two words\n"),
        (&["set", "k", "x", "NX"], "\n"),
        (&["set", "t", "x", "EX", "1000"], "OK\n"),
        (&["ttl", "t"], "1000\n"),
        (&["incrby", "n", "41"], "41\n"),
        (&["incr", "n"], "42\n"),
        (&["mget", "k", "none", "n"], "two words\n\n42\n"),
        (&["del", "k", "none"], "1\n"),
        (&["exists", "k", "n"], "1\n"),
        (
            &["-3", "hello", "3"],
            "server redis\nversion 7.0.0\nproto 3\n",
        ),
        (&["select", "1"], "ERR DB index is out of range\n\n"),
    ] {
        let found = cli(&server, args);
        assert!(found.starts_with(printed), "{args:?}: {found}");
        component = differing(component);
        server.swap(component.clone(), &[]);
    }
    let pairs: Vec<_> = (0..3000).map(|number| format!("key:{number}")).collect();
    let mut set = vec!["mset"];
    pairs.iter().for_each(|key| set.extend([key.as_str(), "x"]));
    cli(&server, &set);
    let scanned = cli(&server, &["--scan", "--pattern", "key:*"]);
    assert_eq!(scanned.lines().count(), 3000);
    assert_eq!(cli(&server, &["keys", "[nt]"]).lines().count(), 2);
}

#[test]
fn redis_cli_stays_subscribed_through_swaps() {
    if lacks_program("redis-cli") {
        return;
    }
    let server = start();
    let mut child = tool(
        "redis-cli",
        &server,
        &["--csv", "psubscribe", "news.*", "weather"],
    )
    .stdin(Stdio::null())
    .stdout(Stdio::piped())
    .spawn()
    .expect("redis-cli");
    let output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut lines = output.lines().map(|line| line.expect("text"));
    let reading = lines.next();
    assert!(reading.is_some_and(|line| line.starts_with("Reading messages")));
    assert_eq!(lines.next().as_deref(), Some(r#""psubscribe","news.*",1"#));
    assert_eq!(lines.next().as_deref(), Some(r#""psubscribe","weather",2"#));
    let mut component = prebuilt("kv");
    for number in 0..10 {
        let text = format!("{number} of 10");
        assert_eq!(cli(&server, &["publish", "news.a b", &text]), "1\n");
        let expected = format!(r#""pmessage","news.*","news.a b","{text}""#);
        assert_eq!(lines.next(), Some(expected));
        component = differing(component);
        assert_eq!(server.swap(component.clone(), &[])["migrated"], 1);
        assert_eq!(cli(&server, &["publish", "news", "for nobody"]), "0\n");
    }
    child.kill().expect("it runs");
    child.wait().expect("its end");
}

#[test]
fn redis_benchmark_loses_nothing_while_code_is_swapped() {
    if lacks_program("redis-benchmark") {
        return;
    }
    let server = start();
    for pipeline in ["1", "50"] {
        let args = [
            "-t",
            "set,get,incr,mset,ping",
            "-n",
            "10000",
            "-q",
            "-P",
            pipeline,
        ];
        let mut child = tool("redis-benchmark", &server, &args)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-benchmark");
        let mut component = prebuilt("kv");
        let mut swaps = 0;
        while child.try_wait().expect("a child").is_none() {
            component = differing(component);
            server.swap(component.clone(), &[]);
            swaps += 1;
        }
        assert!(child.wait().expect("its end").success());
        assert!(swaps > 0);
    }
    let mut client = server.connect();
    client.ask("GET counter:__rand_int__\r\n", "$5\r\n20000\r\n");
    assert_eq!(server.connections("faults"), 0);
}

#[test]
fn half_of_a_command_survives_a_swap() {
    let server = start();
    let mut client = server.connect();
    client.ask(
        "PING\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$900000\r\n",
        "+PONG\r\n",
    );
    let mut component = prebuilt("kv");
    let mut other = server.connect();
    for _ in 0..9 {
        client.send("x".repeat(100_000));
        component = differing(component);
        assert_eq!(server.swap(component.clone(), &[])["failed"], 0);
        other.ask("EXISTS k\r\n", ":0\r\n");
    }
    client.ask("\r\n", "+OK\r\n");
    other.ask("SET k y XX\r\n", "+OK\r\n");
    assert_eq!(server.connections("faults"), 0);
}

/// Replies wait for a client that does not read them, and not in memory.
#[test]
fn a_client_that_does_not_read_gets_no_more_than_it_takes() {
    let server = start();
    let mut client = server.connect();
    let value = "x".repeat(500_000);
    client.ask(
        format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$500000\r\n{value}\r\n"),
        "+OK\r\n",
    );
    let memory = || {
        server.status()["memory"]["instances"]
            .as_u64()
            .expect("a number")
    };
    let asked = 200;
    let sent = client.send_meanwhile("GET k\r\n".repeat(asked) + "PING\r\n");
    wait_for("it to be read", || sent.is_finished());
    let mut other: Client = server.connect();
    other.ask("PING\r\n", "+PONG\r\n");
    assert!(memory() < 20 << 20, "{}", memory());
    server.swap(differing(prebuilt("kv")), &[]);
    client.end();
    for _ in 0..asked {
        let reply = client.read("$500000\r\n".len() + value.len() + 2);
        assert!(reply.starts_with(b"$500000\r\nxxx"));
    }
    client.expect_rest("+PONG\r\n");
    assert_eq!(server.limit_reached("max-queue"), 0);
}

#[test]
fn large_values_are_read_one_after_the_other() {
    let server = start();
    let mut client = server.connect();
    let value = "x".repeat(900_000);
    client.ask(
        format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$900000\r\n{value}\r\n"),
        "+OK\r\n",
    );
    client.send("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n".repeat(40));
    for _ in 0..40 {
        client.expect(format!("$900000\r\n{value}\r\n"));
    }
}

#[test]
fn a_number_without_end_is_none() {
    let server = start();
    for endless in ["*", "*1\r\n$"] {
        let mut client = server.connect();
        client.send(endless.to_owned() + &"0".repeat(1000));
        let answer = client.rest().expect("FIN");
        assert!(answer.starts_with(b"-ERR Protocol error"), "{answer:?}");
    }
}

#[test]
fn who_is_refused_goes_on_as_before() {
    let server = start();
    let mut client = server.connect();
    client.ask("HELLO 3 AUTH default x\r\n", "-ERR syntax error\r\n");
    client.ask("GET none\r\n", "$-1\r\n");
}
