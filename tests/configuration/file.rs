//! What a file may say, what overrides it, and what `hotsocket config` prints.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use crate::harness::{ask, hotsocket, prebuilt, repo, run, temp_dir};

/// What `hotsocket config` prints for this file and these flags.
fn in_force(text: &str, flags: &[&str]) -> String {
    let dir = temp_dir();
    fs::write(dir.path().join("a.toml"), text).expect("writable");
    let mut command = hotsocket();
    command.current_dir(dir.path()).env("SECRET", "hunter2");
    run(command.args(["config", "--config", "a.toml"]).args(flags)).success()
}

/// The line of a key.
fn line<'a>(text: &'a str, key: &str) -> &'a str {
    let start = format!("{key} =");
    let mut lines = text.lines();
    let line = lines.find(|line| line.trim_start_matches("# ").starts_with(&start));
    line.unwrap_or_else(|| panic!("no {key} in:\n{text}"))
}

/// The comment at the end of a line.
fn whence(line: &str) -> &str {
    line.rsplit_once("# ").expect("a comment").1
}

#[test]
fn every_flag_is_a_key_and_every_value_says_whence_it_comes() {
    let help = run(hotsocket().args(["serve", "--help"])).success();
    let flags = help.lines().filter_map(|line| {
        let line = line.trim_start();
        let start = line
            .find("--")
            .filter(|at| line.starts_with('-') && *at < 5)?;
        let name = &line[start + 2..];
        Some(name.split([' ', '.', '[']).next().unwrap_or(name))
    });
    let printed = in_force("", &[]);
    let mut count = 0;
    for flag in flags.filter(|flag| !["help", "config", "version"].contains(flag)) {
        let line = line(&printed, flag);
        assert!(whence(line).starts_with("default"), "{line}");
        count += 1;
    }
    assert!(count > 50, "{count} flags in:\n{help}");
    let text =
        "[node]\nmax-stack = \"1M\"\n[[service]]\nmax-queue = 1000000\nidle-timeout = \"5m\"\n";
    let printed = in_force(text, &["--max-queue", "2M", "-v"]);
    assert_eq!(whence(line(&printed, "max-stack")), "a.toml:2");
    assert_eq!(whence(line(&printed, "idle-timeout")), "a.toml:5");
    assert_eq!(whence(line(&printed, "max-queue")), "command line");
    assert!(line(&printed, "max-queue").contains("\"2M\""));
    assert_eq!(whence(line(&printed, "verbose")), "command line");
}

#[test]
fn what_is_printed_is_a_file_that_says_the_same() {
    let text = r#"
[node]
control = "here.sock"
log-level = "warn"
[[service]]
name = "one"
listen = ["127.0.0.1:0", "unix:a.sock,mode=660"]
set = { A = "x \"y\" \\ =", B = { env = "SECRET" } }
env = ["SECRET"]
max-per-peer = 7
nagle = true
[[service]]
name = "two"
port = [3001]
on-swap = "drain=5s"
rollback-after = "never"
[[service.listener]]
name = "in"
listen = "*:3002"
keepalive = "30s"
"#;
    let uncommented = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let values = lines.map(|line| line.rsplit_once(" # ").map_or(line, |(value, _)| value));
        values
            .map(|value| value.trim_end().to_owned() + "\n")
            .collect::<String>()
    };
    let once = uncommented(&in_force(text, &[]));
    assert_eq!(uncommented(&in_force(&once, &[])), once);
    assert!(!once.contains("hunter2"), "a secret:\n{once}");
    assert!(once.contains("keepalive = \"30s\""), "{once}");
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_a_hint() {
    let dir = temp_dir();
    let file = dir.path().join("a.toml");
    for (text, expected) in [
        (
            "[node]\nmax-queue = 1\n",
            "a.toml:2:1: max-queue belongs into [[service]]",
        ),
        (
            "[[service]]\nmax-conections = 5\n",
            "a.toml:2:1: unknown key max-conections; did you mean max-connections?",
        ),
        (
            "[[sevice]]\n",
            "unknown table sevice; did you mean service?",
        ),
        ("max-queue = 1\n", "max-queue belongs into [[service]]"),
        (
            "[service]\n",
            "a.toml:1:2: there may be several services: write [[service]]",
        ),
        (
            "[[service]]\n\n  max-queue = 0\n",
            "a.toml:3:3: max-queue: 0 is out of range",
        ),
        (
            "[[service]]\nmax-queue = true\n",
            "a.toml:2:13: max-queue: takes a number or a string",
        ),
        (
            "[[service]]\nnagle = 1\n",
            "a.toml:2:9: nagle: takes true or false",
        ),
        (
            "[[service]]\non-trap = \"x\"\n",
            "on-trap: \"x\" is none of close, restart",
        ),
        (
            "[[service]]\nlisten = \"é\"\nmax-queue = 1 1\n",
            "a.toml:3:13: ",
        ),
        (
            "[[service]]\nset = { A = { env = \"NOT_SET_HERE\" } }\n",
            "NOT_SET_HERE, which is not set",
        ),
        (
            "[[service]]\nset = { A = { file = \"none\" } }\n",
            "none: No such file",
        ),
        ("[[service]]\nstore-sync = \"always\"\n", "store is missing"),
        (
            "[[service]]\nname = \"a b\"\n",
            "name: has from 1 to 64 letters",
        ),
        (
            "[[service]]\n[[service.listener]]\nname = \"x\"\n",
            "lacks an address",
        ),
        (
            "[[service]]\nname = \"a\"\nport = 1\n[[service]]\nname = \"a\"\nport = 2\n",
            "a.toml:4:1: two services are called a",
        ),
        (
            "[[service]]\nname = \"a\"\nport = 3000\n[[service]]\nname = \"b\"\nport = 3000\n",
            "127.0.0.1:3000 is listened on twice: by service a and by b",
        ),
        (
            "[[service]]\nname = \"a\"\nport = 3000\n[[service]]\nname = \"b\"\nlisten = \"*:3000\"\n",
            "127.0.0.1:3000 (service a) and *:3000 (service b) cannot both be listened on",
        ),
        (
            "[node]\nlog-level = \"debug\"\nquiet = true\n",
            "cannot be combined with",
        ),
    ] {
        fs::write(&file, text).expect("writable");
        let path = file.to_str().expect("UTF-8");
        let ran = ask(dir.path(), &["check", path]);
        assert_eq!(ran.code, 2, "{text}{}", ran.stderr);
        assert!(ran.stderr.contains(expected), "{text}{}", ran.stderr);
        let served = ask(dir.path(), &["serve", "--config", path]).failure(2);
        assert!(served.contains(expected), "{text}{served}");
    }
}

#[test]
fn a_file_that_is_too_large_is_refused_and_not_cut() {
    let dir = temp_dir();
    let file = dir.path().join("a.toml");
    let text = format!("#{}\n[[service]]\nno = 1\n", "x".repeat(1 << 20));
    fs::write(&file, text).expect("writable");
    let path = file.to_str().expect("UTF-8");
    for args in [&["check", path][..], &["serve", "--config", path]] {
        let ran = ask(dir.path(), args);
        assert_eq!(ran.code, 2, "{ran:?}");
        let told = "a.toml: it is larger than 1 MiB";
        assert!(ran.stderr.trim_end().ends_with(told), "{ran:?}");
    }
}

/// As text it would be another one.
#[test]
fn a_path_that_is_not_utf_8_is_refused() {
    let dir = temp_dir();
    let odd = dir.path().join(OsStr::from_bytes(b"odd\xff"));
    fs::create_dir(&odd).expect("ours");
    fs::write(odd.join("echo.wasm"), prebuilt("echo")).expect("ours");
    let file = odd.join("a.toml");
    fs::write(&file, "[[service]]\nguest = \"echo.wasm\"\n").expect("ours");
    let serve = |arg: &OsStr, path: &OsStr| {
        let mut command = hotsocket();
        command.arg("serve").arg(arg).arg(path);
        run(command.env("XDG_RUNTIME_DIR", dir.path())).failure(2)
    };
    let told = "odd\u{fffd}/echo.wasm is not UTF-8: rename it";
    let given = serve(OsStr::new("--"), odd.join("echo.wasm").as_os_str());
    assert!(given.ends_with(told), "{given}");
    let named = serve(OsStr::new("--config"), file.as_os_str());
    assert!(named.contains("guest: the path "), "{named}");
    assert!(named.ends_with(told), "{named}");
}

#[test]
fn all_that_is_wrong_is_listed_at_once() {
    let dir = temp_dir();
    let file = dir.path().join("a.toml");
    let text = "[[service]]\nmax-queue = 0\nmax-timers = 99999\ncpu-budget = \"x\"\nno = 1\n";
    fs::write(&file, text).expect("writable");
    let path = file.to_str().expect("UTF-8");
    let ran = ask(dir.path(), &["check", path]);
    let lines: Vec<_> = ran.stderr.lines().collect();
    assert_eq!(lines.len(), 4, "{}", ran.stderr);
    for (line, number) in lines.iter().zip(2..) {
        assert!(line.contains(&format!("a.toml:{number}:1: ")), "{line}");
    }
    let served = ask(dir.path(), &["serve", "--config", path]).failure(2);
    assert!(
        served.contains("; and 3 more: `hotsocket check"),
        "{served}"
    );
}

/// Written again with `UPDATE_DOCUMENTS=1`.
#[test]
fn the_documentation_has_all_keys() {
    let path = repo("docs/configuration.md");
    let text = fs::read_to_string(&path).expect("a document");
    let (before, rest) = text.split_once("<!-- keys -->\n").expect("a mark");
    let (keys, after) = rest.split_once("<!-- end of keys -->").expect("a mark");
    let reference = run(hotsocket().args(["config", "--reference"])).success();
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        let new = format!("{before}<!-- keys -->\n{reference}<!-- end of keys -->{after}");
        fs::write(path, new).expect("writable");
        return;
    }
    assert_eq!(keys, reference, "write it again with UPDATE_DOCUMENTS=1");
}
