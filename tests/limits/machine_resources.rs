//! What the machine has no more of: descriptors, address space, pool slots.
//! The new connection is refused, that is told once, the open ones go on.

use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use crate::guests::Guest;
use crate::guests::obeying;
use crate::harness::{Client, Lines, ask, hotsocket, serve, wait_for};

/// A server under a limit of the shell's.
struct Confined {
    child: Child,
    stderr: Lines,
    address: SocketAddr,
    dir: tempfile::TempDir,
}

impl Confined {
    fn start(limit: &str, guest: &Guest, args: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("guest.wasm");
        std::fs::write(&path, guest.build()).expect("written");
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(format!("ulimit {limit}; exec \"$@\""))
            .arg("sh")
            .arg(hotsocket().get_program())
            .arg(path)
            .args(["--listen", "127.0.0.1:0"])
            .args(args)
            .env("XDG_RUNTIME_DIR", dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a shell");
        let stderr = Lines::collect("stderr", child.stderr.take().expect("piped"));
        let line = stderr.wait("listening on ");
        let address = line
            .rsplit(' ')
            .next()
            .and_then(|address| address.parse().ok());
        stderr.wait("ready in ");
        Confined {
            child,
            stderr,
            address: address.expect("an address"),
            dir,
        }
    }

    fn status(&self) -> serde_json::Value {
        serde_json::from_str(&ask(self.dir.path(), &["status", "--json"]).success()).expect("JSON")
    }

    fn control(&self) -> UnixStream {
        let path = self
            .dir
            .path()
            .join(format!("hotsocket/{}.sock", self.child.id()));
        UnixStream::connect(path).expect("its socket")
    }
}

impl Drop for Confined {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("--- stderr of the server\n{}---", self.stderr.text());
        }
    }
}

#[test]
fn the_limit_of_connections_is_lowered_to_the_files_there_may_be() {
    let server = Confined::start("-n 100", &obeying(&[]), &["--max-connections", "1000"]);
    let line = server.stderr.wait("room for 36 connections only");
    assert!(line.contains("ulimit -n 1064"), "{line}");
    assert_eq!(server.status()["connections"]["limit"], 36);
    // All of them fit, and the next one waits.
    let mut clients: Vec<_> = (0..37).map(|_| Client::connect(server.address)).collect();
    clients.iter_mut().for_each(|client| client.send("x"));
    clients[..36]
        .iter_mut()
        .for_each(|client| client.expect("x"));
    drop(clients.remove(0));
    clients[35].expect("x");
    assert_eq!(server.stderr.count("cannot accept"), 0);
}

#[test]
fn the_soft_limit_is_raised_to_the_hard_one() {
    let server = Confined::start("-S -n 100", &obeying(&[]), &["--max-connections", "200"]);
    assert_eq!(server.stderr.count("connections only"), 0);
    assert_eq!(server.status()["connections"]["limit"], 200);
}

#[test]
fn without_descriptors_accepting_pauses_and_recovers() {
    let server = Confined::start("-n 70", &obeying(&[]), &["--max-connections", "6"]);
    let mut open = Client::connect(server.address);
    open.ask("x", "x");
    // The control socket's clients take what is left.
    let hanging: Vec<_> = (0..60).map(|_| server.control()).collect();
    let descriptors = format!("/proc/{}/fd", server.child.id());
    wait_for("the last descriptor", || {
        std::fs::read_dir(&descriptors).expect("it runs").count() >= 70
    });
    let mut new: Vec<_> = (0..5).map(|_| Client::connect(server.address)).collect();
    new.iter_mut().for_each(|client| client.send("new"));
    server.stderr.wait("cannot accept connections: ");
    open.ask("y", "y");
    drop(hanging);
    new.iter_mut().for_each(|client| client.expect("new"));
    server.stderr.wait("accepting connections again");
    open.ask("z", "z");
    assert!(crate::harness::limits_reached(&server.status(), "descriptors") > 0);
    // Once, not every 50 ms, and again only if it has recovered in between.
    let told = server.stderr.count("cannot accept connections");
    assert_eq!(told, server.stderr.count("accepting connections again"));
    assert!(told <= 3, "{told} times");
}

/// Connect until some have been refused; the open ones, all of which still
/// answer.
fn crowd(address: SocketAddr, at_most: usize) -> (Vec<Client>, usize) {
    let (mut open, mut refused) = (Vec::new(), 0);
    while refused < 10 {
        let mut client = Client::connect(address);
        // It may have been refused before it could say anything.
        let _ = std::io::Write::write(&mut client.stream, b"x");
        let mut byte = [0];
        match std::io::Read::read(&mut client.stream, &mut byte) {
            Ok(1) => open.push(client),
            _ => refused += 1,
        }
        assert!(open.len() < at_most, "there is room for {}", open.len());
    }
    open.iter_mut().for_each(|client| client.ask("y", "y"));
    (open, refused)
}

#[test]
fn without_address_space_new_connections_are_refused() {
    let limit = format!("-v {}", 1_200_000);
    let server = Confined::start(&limit, &obeying(&[]), &[]);
    server.stderr.wait("ulimit -v");
    let (mut open, refused) = crowd(server.address, 5000);
    assert!(open.len() > 20, "only {} fit", open.len());
    let line = server.stderr.wait(" refused: ");
    assert!(line.contains("no room for another instance"), "{line}");
    assert_eq!(server.stderr.count(" refused: "), 1);
    assert_eq!(
        crate::harness::limits_reached(&server.status(), "room"),
        refused as u64
    );
    open.truncate(5);
    wait_for("room again", || server.status()["connections"]["open"] == 5);
    Client::connect(server.address).ask("x", "x");
    open.iter_mut().for_each(|client| client.ask("y", "y"));
}

/// Each instance takes sixteen of the pool's memories, of which there are a few
/// more than connections.
#[test]
fn without_pool_slots_new_connections_are_refused() {
    let many = obeying(&[]).change(
        "(core module $guest",
        &format!(
            "{} (core module $guest",
            "(core instance (instantiate $spare))".repeat(15)
        ),
    );
    let many = many.change(
        "(core module $heap",
        r#"(core module $spare (memory 1)) (core module $heap"#,
    );
    let server = serve(many.build())
        .args(&["--max-connections", "200"])
        .start();
    let (mut open, refused) = crowd(server.addresses[0], 100);
    assert!(open.len() > 10, "only {} fit", open.len());
    let line = server.stderr.wait(" refused: ");
    assert!(line.contains("no room for another instance"), "{line}");
    assert_eq!(server.stderr.count(" refused: "), 1);
    assert_eq!(crate::harness::reached(&server, "room"), refused as u64);
    open.truncate(5);
    server.wait_open(5);
    server.connect().ask("x", "x");
    open.iter_mut().for_each(|client| client.ask("y", "y"));
}
