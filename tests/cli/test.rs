//! `hotsocket test`: conversations that are written in files.

mod between_steps;

use std::fs;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::guests::{guest, messenger, saying, wayward};
use crate::harness::{Ran, hotsocket, prebuilt, prebuilt_path, run, temp_dir};

/// A directory with guests and scripts.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Desk(temp_dir())
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        fs::write(self.0.path().join(name), content).expect("writable");
        self
    }

    /// Run it in another directory, so that relative paths mean something.
    fn test(&self, guest: &str, script: &str, flags: &[&str]) -> Ran {
        self.put("it.test", script);
        let path = |name| self.0.path().join(name);
        run(hotsocket()
            .arg("test")
            .args(flags)
            .args([path(guest), path("it.test")])
            .current_dir("/"))
    }

    fn succeeds(&self, guest: &str, script: &str) {
        let ran = self.test(guest, script, &[]);
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.starts_with("ok      "), "{}", ran.stdout);
    }

    /// It fails at this line, and everything of this is told.
    fn fails(&self, guest: &str, script: &str, line: usize, parts: &[&str]) {
        let ran = self.test(guest, script, &[]);
        let told = format!("{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.code, 1, "{told}");
        assert_eq!(ran.stderr, "", "{script}");
        let place = format!("it.test:{line}: ");
        assert!(ran.stdout.starts_with("failed  "), "{told}");
        assert!(told.contains(&place), "{place} is missing: {told}");
        for part in parts {
            assert!(told.contains(part), "{part:?} is missing: {told}");
        }
    }
}

#[test]
fn several_scripts_are_run_and_those_that_fail_are_counted() {
    let desk = Desk::new();
    desk.put("good.test", "send \"a\"\nexpect \"a\"\n")
        .put("bad.test", "send \"a\"\nexpect \"b\"\n");
    let ran = run(hotsocket()
        .arg("test")
        .arg(prebuilt_path("echo"))
        .args(["good.test", "bad.test", "good.test"])
        .current_dir(desk.0.path()));
    assert_eq!(ran.code, 1);
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert!(
        lines[0].starts_with("ok      good.test  2 steps, 0 swaps, "),
        "{ran:?}"
    );
    assert_eq!(
        lines[1..5],
        [
            "failed  bad.test:2: received other bytes than expected",
            "        expected  b",
            "        received  a",
            "                  ^ byte 1",
        ]
    );
    assert!(lines[5].starts_with("ok "), "{ran:?}");
    assert_eq!(lines[6], "1 of 3 conversations failed");
}

#[test]
fn a_step_that_is_not_met_fails_at_its_line() {
    let desk = Desk::new();
    desk.put("echo.wasm", prebuilt("echo"));
    let fails = |script, line, parts: &[&str]| desk.fails("echo.wasm", script, line, parts);
    fails(
        "send \"abc\\n\"\n\nexpect \"abd\\n\"",
        3,
        &["expected  abd\\n\n", "received  abc\\n\n", "    ^ byte 3\n"],
    );
    fails(
        "send \"ab\"\nexpect \"abc\"",
        2,
        &["timed out after 5s: received 2 of 3 bytes"],
    );
    fails(
        "send \"ab\"\nend\nexpect \"abc\"",
        3,
        &["ended the connection after 2 of 3 bytes"],
    );
    fails(
        "send \"ab\"\nexpect \"a\"",
        2,
        &["received bytes that no step expects: \"b\""],
    );
    fails("a: send \"ab\"", 1, &["received bytes on a that"]);
    fails("send \"a\"\nexpect nothing", 2, &["received bytes: \"a\""]);
    fails(
        "send \"a\"\nexpect end",
        2,
        &["expected an end, received bytes"],
    );
    fails("expect end", 1, &["timed out after 5s: expected an end"]);
    fails(
        "peer start-tls\nopen\nstart-tls",
        3,
        &["the guest has not asked for TLS"],
    );
    fails(
        "end\nexpect reset",
        2,
        &["expected a reset, received an end"],
    );
    fails("end\nexpect nothing", 2, &["but the host ended"]);
    fails("send \"a\"\nprint \"b\"", 2, &["no guest printed \"b\""]);
    desk.put("hello.wasm", prebuilt("hello"));
    desk.fails(
        "hello.wasm",
        "open\nprint \"b\"",
        2,
        &["no guest printed \"b\"", "printed   Client connected"],
    );
    fails("open\nfault", 2, &["timed out after 5s: expected a fault"]);
    fails(
        "open\nrollback",
        2,
        &["rollback failed: no earlier generation is kept"],
    );
}

#[test]
fn a_mistake_in_a_script_is_wrong_usage() {
    let desk = Desk::new();
    desk.put("echo.wasm", prebuilt("echo"));
    let told = |script: &str| desk.test("echo.wasm", script, &[]).failure(2);
    assert!(told("send \"a\"\nexpect a").contains("it.test:2: `expect` takes \"text\" in quotes"));
    assert!(told("# nothing").contains("it.test:1: the script has no steps"));
    desk.put("latin.test", b"send \"\xff\"");
    let latin = desk.0.path().join("latin.test");
    let ran = run(hotsocket()
        .arg("test")
        .arg(prebuilt_path("echo"))
        .arg(latin));
    assert!(ran.failure(2).contains("write other bytes as \\xNN"));
    // A guest that isn't one is no mistake of usage.
    desk.put("no.wasm", "no guest");
    let told = desk.test("no.wasm", "open", &[]).failure(1);
    assert!(
        told.contains("no.wasm is text, not a WebAssembly component"),
        "{told}"
    );
    let told = desk.test("echo.wasm", "swap none.wasm", &[]).failure(1);
    assert!(told.contains("none.wasm"), "{told}");
}

#[test]
fn timers_ring_when_they_are_due_and_cost_no_time() {
    let desk = Desk::new();
    let ticking = guest()
        .body(
            "open",
            "(call $ok) (call $set-timer (i32.const 1) (i64.const 3600000))",
        )
        .body(
            "timer",
            "(call $say \"tick\") (call $set-timer (i32.const 1) (i64.const 3600000))",
        )
        .build();
    desk.put("ticking.wasm", ticking);
    let begun = Instant::now();
    desk.succeeds(
        "ticking.wasm",
        "open\nwait 59m\nexpect nothing\nwait 2m\nexpect \"tick\"\nwait 10h\nexpect \"tick\" * 10\n\
         swap\nexpect nothing\nwait 1h\nexpect \"tick\"",
    );
    // A guest that waits in WASI is waited for, too.
    desk.put("wayward.wasm", wayward());
    desk.succeeds("wayward.wasm", "send \"sleep 4000\"\nexpect \"slept\"");
    desk.fails(
        "wayward.wasm",
        "send \"sleep 6000\"\nexpect \"slept\"",
        2,
        &["log       ERROR connection 1 from 127.0.0.1:50000: "],
    );
    assert!(
        begun.elapsed() < Duration::from_secs(30),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_conversation_without_end_is_ended_by_its_limits() {
    let desk = Desk::new();
    let set = "(call $set-timer (i32.const 1) (i64.const 1))";
    let busy = guest()
        .body("open", &format!("(call $ok) {set}"))
        .body("timer", set)
        .build();
    desk.put("busy.wasm", busy);
    let ran = desk.test("busy.wasm", "open\nwait 24h", &["--time-limit", "500ms"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stdout.contains("it.test:2: timed out after 500ms"),
        "{ran:?}"
    );
    desk.put("spinning.wasm", guest().data("(call $spin)").build());
    desk.fails(
        "spinning.wasm",
        "send \"x\"\nexpect \"x\"",
        2,
        &["--cpu-budget"],
    );
}

#[test]
fn a_guest_that_dies_is_a_failure_unless_it_is_expected() {
    let desk = Desk::new();
    desk.put("dying.wasm", guest().data("unreachable").build());
    let send = "open\nsend \"x\"\nexpect end\n";
    desk.fails(
        "dying.wasm",
        send,
        2,
        &["no `fault` step expects it", "log       ERROR"],
    );
    desk.succeeds("dying.wasm", &format!("{send}fault\n"));
    desk.succeeds("dying.wasm", &format!("{send}fault \"unreachable\"\n"));
    let wrong = format!("{send}fault \"memory\"\n");
    desk.fails("dying.wasm", &wrong, 4, &["log contains \"memory\""]);
    // One fault is one fault.
    desk.fails(
        "dying.wasm",
        &format!("{send}fault\nother: send \"x\""),
        5,
        &["no `fault` step"],
    );
    let ran = desk.test(
        "dying.wasm",
        "send \"x\"\nfault\nexpect nothing",
        &["--on-trap", "restart"],
    );
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn a_swap_is_a_real_migration() {
    let desk = Desk::new();
    fs::create_dir(desk.0.path().join("next")).expect("a directory");
    desk.put("one.wasm", saying("one"))
        .put("next/two.wasm", saying("two"))
        .put("next/deadly.wasm", guest().data("unreachable").build())
        .put(
            "next/refusing.wasm",
            guest().body("open", "(call $refuse \"not me\")").build(),
        );
    // Paths are relative to the script.
    desk.succeeds(
        "one.wasm",
        "send \"x\"\nexpect \"one\"\nswap next/two.wasm\nsend \"x\"\nexpect \"two\"\n\
         rollback\nsend \"x\"\nexpect \"one\"\nother: send \"x\"\nother: expect \"one\"",
    );
    // What kills the new code is given to the old, and the script must know.
    desk.succeeds(
        "one.wasm",
        "open\nswap next/deadly.wasm\nsend \"x\"\nexpect \"one\"\nfault \"back on generation 1\"",
    );
    let refused = "open\nswap next/refusing.wasm\n";
    desk.fails("one.wasm", refused, 2, &["no `fault` step", "not me"]);
    let refused = format!("{refused}fault \"stays on generation 1\"\nsend \"x\"\nexpect \"one\"");
    desk.succeeds("one.wasm", &refused);
    // State goes along: to a script's own guest, and from one to another.
    desk.put("lines.wasm", prebuilt("lines"));
    desk.put("counter.wasm", prebuilt("counter"));
    desk.succeeds(
        "lines.wasm",
        "send \"a\\nb\"\nexpect \"1: a\\n\"\nswap\nswap lines.wasm\nsend \"c\\n\"\nexpect \"2: bc\\n\"\n\
         swap counter.wasm\nsend \"c\"\nexpect \"1 bytes so far\\n\"",
    );
}

#[test]
fn messages_are_published_and_seen() {
    let desk = Desk::new();
    desk.put("messenger.wasm", messenger());
    // From outside to both ways of a subscription, with an instance that sleeps.
    let script = "a: send \"event t\\n\"\na: expect \"ok\\n\"\nb: send \"direct t\\n\"\n\
                  b: expect \"ok\\n\"\nwait 1m\npublish t \"one\"\na: expect \"1 t 0 one\\n\"\n\
                  b: expect \"one\"\npublished closed \"1\\n\"";
    let order = "swap\na: send \"end\\n\"\na: expect end\na: end\n";
    let (before, after) = script.split_at(script.find("published").expect("there"));
    let script = format!("{before}{order}{after}");
    desk.put("it.test", &script);
    let ran = desk.test("messenger.wasm", &script, &["--hibernate-after", "1s"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    desk.fails(
        "messenger.wasm",
        "send \"publish t x\\n\"\nexpect \"ok\\n\"\npublished t \"y\"",
        3,
        &["no guest published t \"y\"", "published t \"x\""],
    );
    // An event that fails has published nothing, and what comes from outside is no guest's.
    desk.fails(
        "messenger.wasm",
        "send \"publish t x!\\n\"\nfault\npublish t \"x!\"\npublished t \"x!\"",
        4,
        &["no guest published t"],
    );
}

#[test]
fn each_script_has_topics_of_its_own() {
    let desk = Desk::new();
    desk.put("messenger.wasm", messenger());
    let counts =
        "send \"event t\\n\"\nexpect \"ok\\n\"\nsend \"count t\\n\"\nexpect \"1\\n\"\nabort";
    desk.put("one.test", counts).put("two.test", counts);
    let path = |name| desk.0.path().join(name);
    let paths = ["messenger.wasm", "one.test", "two.test", "one.test"].map(path);
    let ran = run(hotsocket().arg("test").args(paths));
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn a_fin_and_a_reset_are_told_apart() {
    let desk = Desk::new();
    desk.put("aborting.wasm", guest().data("(call $abort)").build());
    desk.succeeds("aborting.wasm", "send \"x\"\nexpect reset");
    let ending = guest()
        .data("(call $say \"bye\") (call $end)")
        .body("end", "(call $print \"it ended\")")
        .body("close", "(call $print \"closed\") (call $say \"farewell\")")
        .build();
    desk.put("ending.wasm", ending);
    desk.succeeds(
        "ending.wasm",
        "send \"x\"\nexpect \"bye\"\nexpect end\nend\nprint \"it ended\"\nprint \"closed\"",
    );
    desk.succeeds("ending.wasm", "open\nabort\nprint \"closed\"");
    desk.succeeds(
        "ending.wasm",
        "open\nstop\nexpect \"farewell\"\nexpect end\nprint \"closed\"",
    );
}

#[test]
fn instances_hibernate_on_the_clock_of_the_script() {
    let desk = Desk::new();
    desk.put("lines.wasm", prebuilt("lines"));
    let script = "send \"a\\nb\"\nexpect \"1: a\\n\"\nwait 1h\nexpect nothing\n\
                  send \"c\\n\"\nexpect \"2: bc\\n\"\nwait 1h\nswap\nend\nexpect end";
    let ran = desk.test("lines.wasm", script, &["--hibernate-after", "1m"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}

/// What the peer sends does not put off the end of its patience that we write to.
#[test]
fn a_peer_that_sends_and_reads_nothing_is_reset_in_time() {
    let desk = Desk::new();
    desk.put("echo.wasm", prebuilt("echo")).succeeds(
        "echo.wasm",
        "send \"a\"\nexpect \"a\"\nstall\nsend \"b\"\nwait 20s\nsend \"c\"\nwait 9s\n\
         send \"d\"\nexpect reset\n",
    );
}
