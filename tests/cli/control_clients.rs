//! The commands that talk to a server, when the other end, the directory of sockets or
//! the file that they are given is not what it should be.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::thread;

use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::process::Signal;

use crate::guests::obeying;
use crate::harness::files::copy_program;
use crate::harness::{Process, Ran, Serve, ask, hotsocket, run, serve, temp_dir, wait_for};

#[test]
fn a_server_that_was_stopped_is_not_waited_for_forever() {
    let server = Serve::prebuilt("echo").start();
    server.freeze();
    let pid = server.pid();
    let file = server.path("guest.wasm");
    let file = file.to_str().expect("UTF-8");
    for (command, changes) in [
        (&["status"][..], false),
        (&["history"], false),
        (&["rollback"], true),
        (&["swap", file], true),
    ] {
        let error = server
            .ask(&[command, &["--timeout", "1s"]].concat())
            .failure(1);
        assert!(
            error.contains(&format!("(process {pid}) has been silent for 1s: "))
                && error.contains(&format!("`kill -CONT {pid}` lets it continue")),
            "{error}"
        );
        assert_eq!(error.contains("hotsocket history"), changes, "{error}");
    }
    let error = server.ask(&["status", "--timeout", "1s", "--json"]);
    assert_eq!((error.code, error.stderr.as_str()), (1, ""));
    assert!(error.stdout.starts_with("{\"error\":"), "{}", error.stdout);
    server.signal(Signal::CONT);
    server.connect().ask("x", "x");
    server.ask(&["status", "--timeout", "1m"]).success();
    assert_eq!(server.ask(&["status", "--timeout", "10ms"]).code, 2);
}

/// A process that listens and never accepts fills its queue.
#[test]
fn a_server_whose_queue_is_full_is_not_waited_for_forever() {
    let dir = temp_dir();
    let path = dir.path().join("it.sock");
    let _listener = UnixListener::bind(&path).expect("ours");
    let at = path.to_str().expect("UTF-8");
    let args = ["status", "--timeout", "1s", "--control", at];
    let mut waiting = Vec::new();
    // Of `std` the queue has 4096 at most (net.core.somaxconn), perhaps 128.
    wait_for("a full queue", || {
        let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None);
        let socket = socket.expect("a socket");
        socket.set_nonblocking(true).expect("ours");
        let address = socket2::SockAddr::unix(&path).expect("a path");
        let full = socket.connect(&address).is_err();
        waiting.push(socket);
        full
    });
    let error = run(hotsocket().args(args)).failure(1);
    assert!(error.contains("has been silent for 1s"), "{error}");
}

#[test]
fn a_swap_that_takes_longer_than_the_timeout_is_waited_for() {
    let spinning = obeying(&[('l', "(loop $on (br $on))")]);
    let server = serve(spinning.build())
        .args(&["--cpu-budget", "3s"])
        .start();
    let mut busy = server.connect();
    busy.ask("x", "x");
    busy.send("l");
    let next = obeying(&[('z', "")]).build();
    // Open sessions are waited for, so until the budget is used up.
    let answer = server.swap(next, &["--timeout", "1s"]);
    assert!(
        answer["elapsed_ms"].as_u64() > Some(1000),
        "not long enough to show anything: {answer}"
    );
}

/// Answer one request with this, some time after it was sent.
fn answer_once(listener: UnixListener, answer: &'static [u8]) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        // Whoever looks for servers connects and says nothing.
        loop {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut request = [0; 4096];
            if stream.read(&mut request).expect("a request") > 0 {
                // It may have gone.
                let _ = stream.write_all(answer);
                return;
            }
        }
    })
}

/// The directory in which servers are looked for.
fn directory(runtime: &Path, mode: u32) -> std::path::PathBuf {
    let path = runtime.join("hotsocket");
    fs::create_dir(&path).expect("ours");
    fs::set_permissions(&path, Permissions::from_mode(mode)).expect("ours");
    path
}

#[test]
fn what_a_server_says_does_not_steer_a_terminal() {
    const STATUS: &[u8] = b"  {\"answer\":\"status\",\"version\":\"\\u001b[2J\",\"pid\":1,
        \"uptime_s\":1,\"listeners\":[\"a\\nb\"],\"guest\":\"\xc2\x9b31m\",\"generation\":1,
        \"sha256\":\"\\u007f\",\"watching\":null,\"connections\":{\"open\":0,\"limit\":1,
        \"accepted\":0,\"refused\":0,\"faults\":0,\"restarts\":0,\"asleep\":0,\"hibernated\":0,
        \"woken\":0},\"memory\":{\"instances\":0,\"limit_each\":0},\"generations\":[],\"limits_reached\":{},\"dropped_lines\":0,
        \"dropped_lines_of\":{}}\n";
    const REPORT: &[u8] = b"{\"answer\":\"swap\",\"outcome\":\"swapped\",\"generation\":2,
        \"previous\":1,\"guest\":\"\\u001b]0;x\\u0007\\u202e\",\"sha256\":\"ab\",\"policy\":\"m\",
        \"migrated\":0,\"failed\":0,\"closed\":0,\"without_snapshot\":0,\"remaining\":0,
        \"compile_ms\":0,\"elapsed_ms\":0}\n";
    const HISTORY: &[u8] = b"{\"answer\":\"history\",\"generations\":[{\"generation\":1,
        \"guest\":\"a\\u001b[31m\",\"sha256\":\"x\",\"accepted\":0,\"outcome\":\"\\r\\n\",
        \"migrated\":0,\"failed\":0}]}\n";
    const ERROR: &[u8] =
        b"{\"answer\":\"error\",\"error\":\"\\u001b[31mfake\\nerror: \xc2\x9b\"}\n";
    let file = crate::harness::prebuilt_path("echo");
    let file = file.to_str().expect("UTF-8");
    for (args, answer, code, shown) in [
        (&["status"][..], STATUS, 0, "hotsocket \\x1b[2J"),
        (&["status"], STATUS, 0, "listening    a\\x0ab\n"),
        (&["status"], STATUS, 0, "guest        \\x9b31m\n"),
        (&["status", "--json"], STATUS, 0, "\"guest\":\"\\u009b31m\""),
        (
            &["swap", file],
            REPORT,
            0,
            "is \\x1b]0;x\\x07\\u{202e} (ab)",
        ),
        (
            &["swap", file, "--json"],
            REPORT,
            0,
            "\\u001b]0;x\\u0007\\u202e",
        ),
        (&["rollback"], REPORT, 0, "is \\x1b]0;x\\x07\\u{202e} (ab)"),
        (&["history"], HISTORY, 0, "a\\x1b[31m"),
        (
            &["status"],
            ERROR,
            1,
            "error: \\x1b[31mfake\\x0aerror: \\x9b\n",
        ),
        (&["swap", file, "--json"], ERROR, 1, "\\\\x1b[31mfake"),
    ] {
        let runtime = temp_dir();
        let path = directory(runtime.path(), 0o700).join("1.sock");
        // JSON of one line, as a server sends it.
        let answer: Vec<u8> = answer
            .iter()
            .copied()
            .filter(|byte| *byte != b'\n')
            .collect();
        let answer = [answer.as_slice(), b"\n"].concat().leak();
        let server = answer_once(UnixListener::bind(path).expect("ours"), answer);
        let ran = ask(runtime.path(), args);
        server.join().expect("no panic");
        let printed = format!("{}{}", ran.stdout, ran.stderr);
        assert!(
            ran.code == code && printed.contains(shown),
            "{args:?}: {ran:?}"
        );
        assert!(
            !printed.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'),
            "{ran:?}"
        );
    }
}

#[test]
fn what_a_component_names_does_not_steer_a_terminal() {
    let dir = temp_dir();
    fs::write(dir.path().join("\u{1b}[31mred.wasm"), "text").expect("written");
    let mut command = hotsocket();
    command
        .current_dir(dir.path())
        .args(["inspect", "\u{1b}[31mred.wasm"]);
    let error = run(&mut command).failure(1);
    assert!(error.starts_with("\\x1b[31mred.wasm is text"), "{error}");
}

#[test]
fn a_directory_that_others_can_enter_is_trusted_by_neither_end() {
    let refused = |ran: Ran, why: &str| {
        let error = ran.failure(1);
        assert!(
            error.contains(why) && error.contains("--control PATH"),
            "{error}"
        );
    };
    let serve = |runtime: &Path| Serve::prebuilt("echo").runtime_dir(runtime).fail();
    for mode in [0o777, 0o1777, 0o755, 0o710] {
        let runtime = temp_dir();
        let path = directory(runtime.path(), mode);
        let _listener = UnixListener::bind(path.join("1.sock")).expect("ours");
        refused(ask(runtime.path(), &["status"]), "others can enter it");
        refused(serve(runtime.path()), "others can enter it");
    }
    // A link to one that is private.
    let (runtime, elsewhere) = (temp_dir(), temp_dir());
    let path = directory(elsewhere.path(), 0o700);
    drop(UnixListener::bind(path.join("2000000000.sock")).expect("ours"));
    symlink(&path, runtime.path().join("hotsocket")).expect("ours");
    refused(ask(runtime.path(), &["status"]), "it is a symlink");
    refused(serve(runtime.path()), "it is a symlink");
    assert!(
        path.join("2000000000.sock").exists(),
        "nothing is removed through it"
    );
    // Another user's, which only root can make.
    if rustix::process::geteuid().is_root() {
        let runtime = temp_dir();
        chown(directory(runtime.path(), 0o700), Some(65534), None).expect("as root");
        refused(ask(runtime.path(), &["status"]), "another user (65534)");
        refused(serve(runtime.path()), "another user (65534)");
    }
}

#[test]
fn nothing_is_sent_to_another_users_process() {
    // Only root can start one.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let dir = temp_dir();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).expect("ours");
    // Where another user can execute it.
    let binary = dir.path().join("hotsocket");
    copy_program(hotsocket().get_program(), &binary);
    let path = dir.path().join("it.sock");
    let mut command = std::process::Command::new(&binary);
    command
        .args([
            "--listen",
            "127.0.0.1:0",
            "--code-cache",
            "none",
            "--control",
        ])
        .arg(&path)
        .current_dir(dir.path())
        .uid(65534)
        .gid(65534);
    let server = Process::start("another user's server", &mut command);
    server.stderr.wait("ready in ");
    let at = path.to_str().expect("UTF-8");
    let error = run(hotsocket().args(["status", "--control", at])).failure(1);
    assert!(
        error.contains("belongs to another user (65534); nothing was sent"),
        "{error}"
    );
    // Root's own is trusted by it, but not the other way round.
    let mut client = std::process::Command::new(&binary);
    client
        .args(["status", "--control", at])
        .uid(65534)
        .gid(65534);
    run(&mut client).success();
}

#[test]
fn only_regular_files_of_limited_size_are_read() {
    let server = Serve::prebuilt("echo").start();
    let fifo = server.path("fifo");
    mkfifoat(CWD, &fifo, Mode::RWXU).expect("a FIFO");
    let huge = server.path("huge.wasm");
    let file = fs::File::create(&huge).expect("a file");
    // Nothing is written, so no space is taken.
    file.set_len(5 << 30).expect("a size");
    let script = server.path("a.test");
    fs::write(&script, "end\n").expect("written");
    let script = script.to_str().expect("UTF-8");
    for (path, why) in [
        (Path::new("/dev/zero"), "a device, not a regular file"),
        // `swap` and `inspect` read from a pipe, if it has a writer.
        (&fifo, "it is a FIFO"),
        (server.dir(), "directory"),
        (&huge, "is too large: at most 268435456 bytes"),
    ] {
        let path = path.to_str().expect("UTF-8");
        for command in [
            &["swap", path][..],
            &["inspect", path],
            &["test", path, script],
            &["serve", "--listen", "127.0.0.1:0", path],
        ] {
            // Most look for a source in a directory.
            let why = match Path::new(path) == server.dir() && command[0] != "inspect" {
                true => "no guest source in ",
                false => why,
            };
            let ran = server.ask(command);
            assert_eq!(ran.code, 1, "{command:?}: {ran:?}");
            assert!(ran.stderr.contains(why), "{command:?}: {ran:?}");
        }
    }
    for path in ["/dev/zero", fifo.to_str().expect("UTF-8")] {
        let guest = server.path("guest.wasm");
        let ran = server.ask(&["test", guest.to_str().expect("UTF-8"), path]);
        assert!(ran.failure(2).contains("not a regular file"));
    }
    for name in ["zero.rs", "zero.py", "zero.c", "zero.js"] {
        let source = server.path(name);
        symlink("/dev/zero", &source).expect("ours");
        for command in ["build", "serve"] {
            let source = source.to_str().expect("UTF-8");
            let error = server.ask(&[command, source]).failure(1);
            assert!(error.contains("neither a regular file nor"), "{error}");
        }
    }
    let guest = server.path("guest.wasm");
    for command in ["swap", "inspect"] {
        let ran = server.ask(&[
            command,
            guest.to_str().expect("UTF-8"),
            "--max-component",
            "1K",
        ]);
        assert!(ran.failure(1).contains("raise --max-component"));
    }
}
