//! What a guest asks for through `hotsocket:environment`: settings, random bytes, and
//! lines with a level and fields. That all languages do the same is in
//! `languages::between`, the clock of `hotsocket test` too.

use serde_json::Value;

use crate::guests::guest;
use crate::harness::{Serve, hotsocket, prebuilt_path, run, serve, temp_dir};

#[test]
fn a_guest_reads_a_setting_and_status_names_it() {
    let args = ["--set", "greeting=old", "--set", "greeting=a secret = x"];
    let server = Serve::prebuilt("doorman").args(&args).start();
    server.connect().expect("a secret = x, who is there?\n");
    let status = server.status();
    assert_eq!(status["settings"], Value::from(vec!["greeting"]));
    assert!(!status.to_string().contains("a secret"), "{status}");
    let shown = server.ask(&["status"]).stdout;
    assert!(shown.contains("settings     greeting\n"), "{shown}");
    let inspected = run(hotsocket().arg("inspect").arg(prebuilt_path("doorman"))).stdout;
    assert!(inspected.contains("settings greeting ("), "{inspected}");
}

#[test]
fn a_setting_without_a_value_is_that_of_the_environment() {
    let server = Serve::prebuilt("doorman").args(&["--set", "PATH"]).start();
    assert_eq!(server.status()["settings"], Value::from(vec!["PATH"]));
}

#[test]
fn settings_out_of_their_limits_are_wrong_usage() {
    let long = format!("x={}", "v".repeat(65_537));
    let name = format!("{}=x", "n".repeat(129));
    for (given, error) in [
        ("=x", "the name of a setting has from 1 to 128 bytes"),
        (&name, "the name of a setting has from 1 to 128 bytes"),
        (&long, "the value of a setting has at most 65536 bytes"),
        ("not-set-anywhere", "not set in this environment"),
    ] {
        for command in ["serve", "dev", "test"] {
            let ran = run(hotsocket().args([command, "--set", given, "x.wasm", "x.test"]));
            assert!(ran.code == 2 && ran.stderr.contains(error), "{ran:?}");
        }
    }
    let mut many = hotsocket();
    for n in 0..257 {
        many.arg("--set").arg(format!("name-{n}=x"));
    }
    let error = run(&mut many).failure(2);
    let expected = "--set: (257 times) is out of range: it must be given for at most 256 names";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_line_with_fields_goes_the_way_of_printed_lines() {
    let server = Serve::prebuilt("doorman").args(&["--label"]).start();
    let mut client = server.connect();
    client.send("alice\n");
    let line = server.stdout.wait("came in");
    assert_eq!(line.trim_end(), "1 INFO came in name=alice after=0");
}

/// At 200,000 the memory of the guest is zero: fields without a name, with an empty
/// text.
#[test]
fn a_line_is_bounded_in_fields_and_length() {
    let logging = guest()
        .data(
            r#"(call $log (i32.const 2) "a message" (i32.const 200000) (i32.const 33))
               (call $log (i32.const 0) "unseen" (i32.const 200000) (i32.const 1))
               (call $log (i32.const 3) "failed" (i32.const 0) (i32.const 0))
               (call $say "ok")"#,
        )
        .with_environment();
    let server = serve(logging.build()).args(&["--max-line", "5"]).start();
    server.connect().ask("x", "ok");
    let line = server.stderr.wait("WARN a mes");
    assert_eq!(
        line.trim_end(),
        format!("WARN a mes{}", " =\"\"".repeat(32))
    );
    server.stderr.wait("ERROR faile");
    server
        .stderr
        .wait("guest prints lines that are too long; they are cut (--max-line)");
    assert_eq!(server.limit_reached("max-line"), 2);
    assert!(!server.stop().stdout.contains("unsee"), "below the level");
    let server = serve(logging.build()).args(&["-v"]).start();
    server.connect().ask("x", "ok");
    server.stdout.wait("DEBUG unseen =\"\"");
}

#[test]
fn a_guest_gets_64_kib_of_random_bytes_a_call() {
    let asking = guest()
        .data(
            r#"(call $random (i32.const 65536) (i32.const 1000))
               (if (i32.ne (i32.load (i32.const 1004)) (i32.const 65536)) (then (call $trap)))
               (if (i64.eq (i64.load (i32.load (i32.const 1000)))
                           (i64.load offset=8 (i32.load (i32.const 1000))))
                 (then (call $trap)))
               (call $say "ok")"#,
        )
        .body("end", "(call $random (i32.const 65537) (i32.const 1000))")
        .with_environment();
    let server = serve(asking.build()).start();
    let mut client = server.connect();
    client.ask("x", "ok");
    client.end();
    client.expect_over();
    server
        .stderr
        .wait("hotsocket:environment gives 64 KiB of random bytes a call");
}

/// Each run of a script begins with the same random bytes and its own settings.
#[test]
fn scripts_have_settings_and_reproducible_bytes() {
    let asking = guest()
        .data(
            r#"(call $random (i32.const 8) (i32.const 1000))
               (call $say (i32.load (i32.const 1000)) (i32.const 8))"#,
        )
        .with_environment();
    let dir = temp_dir();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("guest.wasm"), asking.build()).expect("written");
    // The first two numbers of SplitMix64 with the seed 0.
    let script = "send \"x\"\nexpect hex af cd 1d 7b 39 a8 20 e2\n\
                  swap\nother: send \"x\"\nother: expect hex f4 65 b9 a1 6a 9e 78 6e\n";
    std::fs::write(path("bytes.test"), script).expect("written");
    let script = path("bytes.test");
    let mut command = hotsocket();
    run(command
        .arg("test")
        .arg(path("guest.wasm"))
        .args([&script, &script]))
    .success();
    let script = "open\nexpect \"Hi, who is there?\\n\"\nset greeting \"Hello\"\n\
                  other: open\nother: expect \"Hello, who is there?\\n\"\n";
    std::fs::write(path("set.test"), script).expect("written");
    let script = path("set.test");
    let mut command = hotsocket();
    command
        .arg("test")
        .arg(prebuilt_path("doorman"))
        .args([&script, &script]);
    let passed = run(command.args(["--set", "greeting=Hi"])).success();
    assert_eq!(passed.matches("ok  ").count(), 2, "{passed}");
}
