//! `hotsocket open`: what it prints and what it gives a browser; where the token is seen,
//! and where not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::harness::files::write_script;
use crate::harness::{
    Server, hotsocket, lacks_program, prebuilt, prebuilt_path, run, serve, skip, temp_dir,
};

fn start() -> Server {
    serve(prebuilt("echo"))
        .args(&["--admin", "127.0.0.1:0"])
        .start()
}

/// As on a machine with a desktop, or without one.
fn open(server: &Server, display: &str) -> Command {
    let mut command = hotsocket();
    command
        .arg("open")
        .env("XDG_RUNTIME_DIR", server.dir())
        .env("DISPLAY", display)
        .env_remove("WAYLAND_DISPLAY");
    command
}

#[test]
fn open_prints_the_link_where_there_is_no_desktop() {
    let server = start();
    let admin = super::address(&server);
    let printed = run(&mut open(&server, "")).success();
    let link = printed.trim_end();
    let (page, token) = link.split_once("#token=").expect("a token");
    assert_eq!(page, format!("http://{admin}/"));
    assert!(token.len() >= 32, "{token}");
    assert_eq!(run(open(&server, ":9").arg("--print")).success(), printed);
    let json = server.ask_json(&["open"]);
    assert_eq!(
        (json["link"].as_str(), json["token"].as_str()),
        (Some(link), Some(token))
    );

    let headers = format!("Host: localhost\r\nAuthorization: Bearer {token}\r\n");
    let session = super::get_with(admin, "/api/session", &headers);
    assert!(session.body.contains("\"token\":true"), "{session:?}");
    // Nothing else says it.
    for args in [["status"].as_slice(), &["config"], &["list"], &["history"]] {
        let said = server.ask(args);
        assert!(!said.stdout.contains(token) && !said.stderr.contains(token));
    }
    for path in [
        "/",
        "/status",
        "/metrics",
        "/api/session",
        "/api/connections",
    ] {
        assert!(!super::get(admin, path).body.contains(token), "{path}");
    }
    let line = fs::read(format!("/proc/{}/cmdline", server.pid())).expect("it runs");
    assert!(!String::from_utf8_lossy(&line).contains(token));
    let token = token.to_owned();
    let log = server.stop().stderr;
    assert!(!log.contains(&token), "{log}");
}

#[test]
fn open_gives_a_browser_a_file_that_only_its_user_can_read() {
    let server = start();
    let programs = temp_dir();
    let (opener, given) = (
        programs.path().join("xdg-open"),
        programs.path().join("given"),
    );
    write_script(&opener, &format!("echo \"$@\" >{}", given.display()));
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", programs.path().display());
    let said = run(open(&server, ":9").env("PATH", &path)).success();
    let page = format!("http://{}/", super::address(&server));
    let opened =
        format!("opened {page} in the browser; if nothing appears: `hotsocket open --print`\n");
    assert_eq!(said, opened);
    let given = fs::read_to_string(given).expect("it was started");
    assert!(!given.contains("token"), "{given}");
    let file = given.trim_end();
    let mode = fs::metadata(file).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = fs::read_to_string(file).expect("a text");
    assert!(text.contains(&format!("url={page}#token=")), "{text}");

    write_script(&opener, "exit 3");
    let failed = run(open(&server, ":9").env("PATH", &path)).failure(1);
    assert!(failed.contains("--print prints the link"), "{failed}");

    // One that becomes the browser, which is there for as long as this directory.
    let here = programs.path().display();
    write_script(&opener, &format!("while [ -d {here} ]; do sleep 0.1; done"));
    let said = run(open(&server, ":9").env("PATH", &path)).success();
    assert_eq!(said, opened);
}

#[test]
fn open_says_what_to_do_where_there_is_nothing_to_open() {
    let server = serve(prebuilt("echo")).start();
    let error = run(&mut open(&server, "")).failure(1);
    assert!(error.contains("--admin 127.0.0.1:9300"), "{error}");
    drop(server);
    let serve = serve(prebuilt("echo"));
    let socket = format!("unix:{}", serve.path("admin.sock").display());
    let server = serve.args(&["--admin", &socket]).start();
    let error = run(&mut open(&server, "")).failure(1);
    assert!(
        error.contains(&socket) && error.contains("--admin 127.0.0.1:9300"),
        "{error}"
    );
}

/// Prints what a program, which may be a shell with the server, prints on a terminal until the
/// server is ready.
const TERMINAL: &str = r#"
import os, pty, sys
child, terminal = pty.fork()
if child == 0:
    os.execv(sys.argv[1], sys.argv[1:])
seen = b""
try:
    while b"ready in" not in seen:
        seen += os.read(terminal, 4096)
except OSError:
    pass
os.killpg(child, 15)
sys.stdout.buffer.write(seen)
"#;

#[test]
fn a_persons_terminal_shows_the_link_at_the_start() {
    if lacks_program("python3") {
        return skip("python3");
    }
    let dir = temp_dir();
    let terminal = |before: &[&str], args: &[&str]| {
        let mut python = Command::new("python3");
        python.args(["-c", TERMINAL]).args(before);
        python.arg(hotsocket().get_program());
        python.args(args).arg(prebuilt_path("echo"));
        run(python
            .env("XDG_RUNTIME_DIR", dir.path())
            .current_dir(dir.path()))
        .success()
    };
    let listen = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    // As somebody starts it, from a shell, which has another process for it.
    let shell = ["/bin/sh", "-c", "\"$@\"; exit", "sh"];
    let shown = terminal(&shell, &listen);
    assert_eq!(shown.matches("/#token=").count(), 1, "{shown}");
    // As `docker run -t` starts it, which keeps what it says.
    let shown = terminal(&[], &listen);
    assert!(!shown.contains("#token="), "{shown}");
    assert!(shown.contains("`hotsocket open --print`"), "{shown}");
    // Who has chosen the token knows it.
    fs::write(dir.path().join("token"), "0123456789abcdef\n").expect("writable");
    let shown = terminal(
        &shell,
        &[&listen[..], &["--admin-token-file", "token"]].concat(),
    );
    assert!(!shown.contains("0123456789abcdef"), "{shown}");
}
