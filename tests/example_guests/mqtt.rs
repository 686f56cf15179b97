//! `mqtt`, in `guest/examples/mqtt`, with mosquitto's and paho's clients, while code is
//! swapped, and over three nodes.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};

use serde_json::Value;

use crate::guests::differing;
use crate::harness::{
    NatsServer, PATIENCE, Process, Reader, Serve, Server, hotsocket, kept, lacks_program, prebuilt,
    prebuilt_path, repo, run, run_within, skip, temp_dir, wait_for,
};

fn start(args: &[&str]) -> Server {
    Serve::prebuilt("mqtt").args(args).start()
}

impl Server {
    fn mosquitto(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        let port = self.port().to_string();
        command.args(["-h", "127.0.0.1", "-p", &port]).args(args);
        command
    }

    /// A `mosquitto_sub` that has subscribed to so many patterns, as the first to do so.
    fn subscriber(&self, args: &[&str], patterns: &[&str]) -> Process {
        let process = self.start_subscriber(args);
        for pattern in patterns {
            self.wait_pattern(pattern, 1);
        }
        process
    }

    fn start_subscriber(&self, args: &[&str]) -> Process {
        Process::start("mosquitto_sub", &mut self.mosquitto("mosquitto_sub", args))
    }

    fn wait_pattern(&self, pattern: &str, subscribers: u64) {
        wait_for(&format!("{subscribers} subscribers to {pattern}"), || {
            let answer = self.ask(&["topics", "--json"]).success();
            let answer: Value = serde_json::from_str(&answer).expect("JSON");
            let mut topics = answer["topics"].as_array().expect("a list").iter();
            let found = topics.find(|topic| topic["pattern"] == pattern);
            found.map_or(0, |it| it["subscribers"].as_u64().expect("a number")) == subscribers
        });
    }

    fn publish(&self, args: &[&str]) {
        let ran = run(&mut self.mosquitto("mosquitto_pub", args));
        assert_eq!(ran.code, 0, "{ran:?}");
    }

    /// A client that publishes each line that it is given.
    fn publisher(&self, args: &[&str]) -> (Process, ChildStdin) {
        let mut command = self.mosquitto("mosquitto_pub", &["-l"]);
        command.args(args).stdin(Stdio::piped());
        let mut publisher =
            Process::start_with("mosquitto_pub", &mut command, Reader::Test, PATIENCE);
        let lines = publisher.child.stdin.take().expect("a pipe");
        (publisher, lines)
    }
}

#[test]
fn a_conversation_byte_by_byte() {
    for script in ["mqtt.test", "slow.test"] {
        let mut test = hotsocket();
        test.arg("test").arg(prebuilt_path("mqtt"));
        let told = run(test.arg(repo("guest/examples/mqtt").join(script))).success();
        assert!(told.starts_with("ok "), "{told}");
    }
}

#[test]
fn mosquittos_clients_meet_while_the_code_is_swapped() {
    if lacks_program("mosquitto_sub") {
        return;
    }
    let server = start(&[]);
    let all = ["-t", "sensors/#", "-q", "1", "-v"];
    let mut all = server.subscriber(&all, &["mqtt.*.sensors", "mqtt.*.sensors.>"]);
    let one = ["-t", "+/hall 1/t", "-v"];
    let mut one = server.subscriber(&one, &["mqtt.*.*.hall%201.t"]);
    let (mut publisher, mut lines) = server.publisher(&["-t", "sensors/hall 1/t", "-q", "1"]);
    let mut component = prebuilt("mqtt");
    for number in 0..8 {
        writeln!(lines, "{number}").expect("mosquitto_pub reads");
        all.stdout.wait(&format!("t {number}"));
        one.stdout.wait(&format!("t {number}"));
        component = differing(component);
        assert_eq!(server.swap(component.clone(), &[])["migrated"], 3);
    }
    server.publish(&["-t", "sensors", "-m", "the parent"]);
    server.publish(&["-t", "other", "-m", "nobody"]);
    all.stdout.wait("sensors the parent");
    drop(lines);
    assert_eq!(publisher.end().code, 0);
    for process in [&mut all, &mut one] {
        process.signal(rustix::process::Signal::TERM);
    }
    // Each once, in order, and nothing else.
    let expected: String = (0..8)
        .map(|it| format!("sensors/hall 1/t {it}\n"))
        .collect();
    assert_eq!(one.end().stdout, expected);
    assert_eq!(all.end().stdout, expected + "sensors the parent\n");
}

#[test]
fn what_is_retained_comes_later_and_a_will_at_the_end() {
    if lacks_program("mosquitto_sub") {
        return;
    }
    let server = start(&[]);
    for topic in ["state/a", "state/b", "state/c"] {
        server.publish(&["-t", topic, "-m", topic, "-r", "-q", "1"]);
    }
    server.publish(&["-t", "state/b", "-r", "-n"]);
    let will = ["--will-topic", "gone", "--will-payload", "by itself"];
    let leaver = ["-t", "state/#", "-v", "--retained-only"];
    let leaver = [&leaver[..], &will, &["--will-retain"]].concat();
    let leaver = server.subscriber(&leaver, &["mqtt.*.state.>"]);
    leaver.stdout.wait("state/a state/a");
    leaver.stdout.wait("state/c state/c");
    assert!(!leaver.stdout.has("state/b"));
    let witness = server.subscriber(&["-t", "gone", "-v"], &["mqtt.*.gone"]);
    leaver.signal(rustix::process::Signal::KILL);
    witness.stdout.wait("gone by itself");
    // Who says goodbye leaves no will.
    server.publish(
        &[
            &["-t", "x", "-m", "x"],
            &will[..2],
            &["--will-payload", "no"],
        ]
        .concat(),
    );
    server.publish(&["-t", "gone", "-m", "last"]);
    witness.stdout.wait("gone last");
    assert!(!witness.stdout.has("gone no"));
    let mut late = server.start_subscriber(&["-t", "gone", "-C", "1", "-v"]);
    assert_eq!(late.end().stdout, "gone by itself\n");
}

#[test]
fn a_password_is_asked_for() {
    if lacks_program("mosquitto_pub") {
        return;
    }
    let server = start(&["--set", "password=right"]);
    server.publish(&["-t", "a", "-m", "x", "-u", "me", "-P", "right"]);
    for login in [&["-u", "me", "-P", "wrong"][..], &[]] {
        let args = [&["-t", "a", "-m", "x"], login].concat();
        let ran = run(&mut server.mosquitto("mosquitto_pub", &args));
        assert!(ran.stderr.contains("bad user name or password"), "{ran:?}");
    }
    server.stderr.wait_count("refused a client why=Login", 2);
}

#[test]
fn what_is_no_mqtt_is_closed_and_half_a_packet_is_kept() {
    let server = start(&[]);
    let mut browser = server.connect();
    browser.send("GET / HTTP/1.1\r\n\r\n");
    browser.expect_reset();
    server.stderr.wait("why=\"no CONNECT\"");
    let mut client = server.connect();
    client.send(b"\x10\x0d\0\x04MQ");
    server.wait_open(1);
    assert_eq!(server.swap(differing(prebuilt("mqtt")), &[])["migrated"], 1);
    client.send(b"TT\x04\x02\0\x0a\0\x01c");
    client.expect([0x20, 2, 0, 0]);
    client.send(b"\x34\x05\0\x01a\0\x01");
    client.expect_reset();
    server.stderr.wait("QoS 2, which this server does not have");
}

/// Python with paho's client, or `None`; the test is then skipped.
fn python() -> Option<PathBuf> {
    if lacks_program("python3") {
        return None;
    }
    let place = kept("paho");
    let python = place.join("bin/python");
    let has_paho = |python: &PathBuf| {
        let mut import = Command::new(python);
        let ran = import.args(["-c", "import paho.mqtt.client"]).output();
        ran.is_ok_and(|ran| ran.status.success())
    };
    if !has_paho(&python) {
        let mut venv = Command::new("python3");
        let made = run_within(PATIENCE, venv.args(["-m", "venv"]).arg(&place));
        let mut pip = Command::new(&python);
        if made.code == 0 {
            pip.args(["-m", "pip", "install", "--quiet", "paho-mqtt==2.1.0"]);
            run_within(PATIENCE, &mut pip);
        }
        if made.code != 0 || !has_paho(&python) {
            skip("no `paho-mqtt` from PyPI");
            return None;
        }
    }
    Some(python)
}

#[test]
fn paho_publishes_and_subscribes_while_the_code_is_swapped() {
    let Some(python) = python() else {
        return;
    };
    let server = start(&[]);
    let script = server.path("paho_client.py");
    fs::write(&script, include_str!("paho_client.py")).expect("written");
    let mut command = Command::new(python);
    command.arg("-u").arg(script).arg(server.port().to_string());
    let mut client = Process::start("paho", &mut command);
    client.stdout.wait("subscribed");
    let mut component = prebuilt("mqtt");
    for number in 1..10 {
        client.stdout.wait(&format!("{}00 have come", number));
        component = differing(component);
        server.swap(component.clone(), &[]);
    }
    let ran = client.end();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.ends_with("done\n"), "{ran:?}");
    assert_eq!(server.connections("faults"), 0);
    assert!(server.stderr.has("its client has connected again"));
}

#[test]
fn clients_meet_over_three_nodes() {
    if lacks_program("mosquitto_sub") {
        return;
    }
    let Some(nats) = NatsServer::start(&[]) else {
        return;
    };
    let node = || start(&["--topics", &nats.url()]);
    let (one, two, three) = (node(), node(), node());
    let same = ["-t", "t/#", "-v", "-i", "same", "-q", "1"];
    let mut first = one.start_subscriber(&same);
    let second = two.start_subscriber(&["-t", "+/x", "-v"]);
    nats.wait_subscribed("hotsocket.mqtt.*.t.>", 1);
    nats.wait_subscribed("hotsocket.mqtt-clients.same", 1);
    nats.wait_subscribed("hotsocket.mqtt.*.*.x", 1);
    let (_publisher, mut lines) = three.publisher(&["-t", "t/x", "-q", "1"]);
    let mut component = prebuilt("mqtt");
    for number in 0..4 {
        writeln!(lines, "{number}").expect("mosquitto_pub reads");
        first.stdout.wait(&format!("t/x {number}"));
        second.stdout.wait(&format!("t/x {number}"));
        component = differing(component);
        for server in [&one, &two, &three] {
            server.swap(component.clone(), &[]);
        }
    }
    // Any client of NATS is one of MQTT, too.
    nats.connect().publish("hotsocket.mqtt.0.t.x", "from NATS");
    first.stdout.wait("t/x from NATS");
    second.stdout.wait("t/x from NATS");
    // The same client connects to another node: the first is closed. It tries again, and
    // so on, until it ends.
    let takes_over = three.start_subscriber(&same);
    one.stderr
        .wait("closed a client client=same why=\"its client has connected again\"");
    first.signal(rustix::process::Signal::TERM);
    first.end();
    drop(takes_over);
    let expected: String = (0..4).map(|it| format!("t/x {it}\n")).collect();
    assert_eq!(second.stdout.text(), expected + "t/x from NATS\n");
}

#[test]
fn what_is_retained_on_one_node_is_on_all_that_share_the_store() {
    if lacks_program("mosquitto_sub") {
        return;
    }
    let dir = temp_dir();
    let place = dir.path().display().to_string();
    let Some(nats) = NatsServer::start(&["-js", "-sd", &place]) else {
        return;
    };
    let store = format!("{}/mqtt", nats.url());
    let node = || {
        let node = start(&["--topics", &nats.url(), "--store", &store]);
        wait_for("its store", || {
            node.status()["store"]["nats"] == "connected"
        });
        node
    };
    let (one, two) = (node(), node());
    one.publish(&["-t", "state/door 1", "-m", "open", "-r", "-q", "1"]);
    for filter in ["state/door 1", "state/+", "#"] {
        let mut late = two.start_subscriber(&["-t", filter, "-C", "1", "-v"]);
        assert_eq!(late.end().stdout, "state/door 1 open\n");
    }
}

/// More than a client may have without acknowledging it.
#[test]
fn all_that_is_retained_comes() {
    if lacks_program("mosquitto_sub") {
        return;
    }
    let server = start(&[]);
    let large = "x".repeat(60_000);
    for number in 1..=9 {
        let topic = format!("large/{number}");
        server.publish(&["-t", &topic, "-m", &large, "-r", "-q", "1"]);
    }
    let mut late = server.start_subscriber(&["-t", "large/+", "-q", "1", "-C", "9", "-F", "%t %l"]);
    let mut lines: Vec<_> = late.end().stdout.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    let expected: Vec<_> = (1..=9)
        .map(|number| format!("large/{number} 60000"))
        .collect();
    assert_eq!(lines, expected);
}
