//! systemd's protocols: sockets that are handed over, and what a server says of itself.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::guests::wayward;
use crate::harness::{
    Client, PATIENCE, Process, Reader, Serve, hotsocket, lacks_program, prebuilt, serve, temp_dir,
    wait_for,
};

/// What a server under supervision says, as one datagram after the other.
struct Notified(UnixDatagram);

impl Notified {
    fn next(&self) -> String {
        let mut buffer = [0; 4096];
        let count = self.0.recv(&mut buffer).expect("a datagram in time");
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    }
}

#[test]
fn a_supervisor_hears_of_ready_and_stopping_and_of_each_beat() {
    let dir = temp_dir();
    let path = dir.path().join("notify");
    let notified = Notified(UnixDatagram::bind(&path).expect("a socket"));
    notified.0.set_read_timeout(Some(PATIENCE)).expect("a time");
    // The watchdog is of a process, whose number a shell knows before it becomes it.
    let mut command = Command::new("sh");
    command
        .args(["-c", "WATCHDOG_PID=$$ exec \"$@\"", "sh"])
        .arg(hotsocket().get_program())
        .args(["--listen", "127.0.0.1:0", "--control", "none"])
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "100000")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let server = Process::spawn("the server", &mut command, Reader::Test, PATIENCE);
    let ready = notified.next();
    assert!(ready.contains("READY=1"), "{ready}");
    assert!(ready.contains("STATUS=serving"), "{ready}");
    server.stderr.wait("ready in ");
    for _ in 0..3 {
        assert_eq!(notified.next().trim(), "WATCHDOG=1");
    }
    server.signal(Signal::TERM);
    while !notified.next().contains("STOPPING=1") {}
}

#[test]
fn sockets_of_systemd_are_served_by_their_names() {
    if lacks_program("systemd-socket-activate") {
        return;
    }
    let dir = temp_dir();
    let unix = dir.path().join("it.sock");
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address: SocketAddr = free.local_addr().expect("an address");
    drop(free);
    std::fs::write(dir.path().join("guest.wasm"), prebuilt("echo")).expect("written");
    let mut command = Command::new("systemd-socket-activate");
    command
        .args(["-l", &address.to_string(), "-l"])
        .arg(&unix)
        .arg("--fdname=tcp:local")
        .arg(hotsocket().get_program())
        .arg(dir.path().join("guest.wasm"))
        .args(["--control", "none"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let server = Process::spawn("systemd", &mut command, Reader::Test, PATIENCE);
    // The first connection starts the server, and waits for it.
    wait_for("systemd to listen", || TcpStream::connect(address).is_ok());
    Client::connect(address).ask("x", "x");
    server.stderr.wait(&format!("listening on {address} (tcp)"));
    server
        .stderr
        .wait(&format!("listening on unix:{} (local)", unix.display()));
    let mut other = UnixStream::connect(&unix).expect("it listens");
    other.set_read_timeout(Some(PATIENCE)).expect("a time");
    std::io::Write::write_all(&mut other, b"y").expect("taken");
    std::io::Read::read_exact(&mut other, &mut [0]).expect("an echo");
    assert!(!server.stderr.has("127.0.0.1:3000"), "no default address");
    server.signal(Signal::TERM);
    server.stderr.wait(" stopped");
    assert!(unix.exists(), "it is systemd's");
}

#[test]
fn signals_that_mean_something_to_other_servers_do_nothing() {
    let mut server = Serve::prebuilt("echo").start();
    let mut client = server.connect();
    client.ask("x", "x");
    for signal in [Signal::HUP, Signal::USR1, Signal::USR2] {
        server.signal(signal);
    }
    client.ask("y", "y");
    assert!(server.is_well());
}

/// npm and timeout(1) send two: to the process, and to its group.
#[test]
fn a_signal_that_comes_twice_at_once_is_one() {
    let mut server = serve(wayward()).start();
    let mut client = server.connect();
    client.ask("x", "x");
    server.signal(Signal::TERM);
    server.signal(Signal::TERM);
    server.stderr.wait("draining");
    // A second one would close it.
    client.ask("x", "x");
    client.end();
    client.expect_rest("");
    let ran = server.end();
    assert_eq!(ran.code, 0);
    assert!(!ran.stderr.contains("stopping"), "{}", ran.stderr);
}

/// By the names of services, as `FileDescriptorName=` has them.
#[test]
fn sockets_of_systemd_go_to_the_services_that_they_name() {
    if lacks_program("systemd-socket-activate") {
        return;
    }
    let dir = temp_dir();
    let addresses: [SocketAddr; 2] = std::array::from_fn(|_| {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        free.local_addr().expect("an address")
    });
    let file = "[node]\ncontrol = \"none\"\n\
                [[service]]\nname = \"count\"\nguest = \"counter.wasm\"\n\
                [[service]]\nname = \"echo\"\nguest = \"echo.wasm\"\n";
    std::fs::write(dir.path().join("hotsocket.toml"), file).expect("written");
    for guest in ["counter", "echo"] {
        let path = dir.path().join(format!("{guest}.wasm"));
        std::fs::write(path, prebuilt(guest)).expect("written");
    }
    let mut command = Command::new("systemd-socket-activate");
    command
        .current_dir(dir.path())
        .args(["-l", &addresses[0].to_string()])
        .args(["-l", &addresses[1].to_string()])
        .arg("--fdname=echo:count")
        .arg(hotsocket().get_program())
        .args(["serve", "--config", "hotsocket.toml"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let server = Process::spawn("systemd", &mut command, Reader::Test, PATIENCE);
    wait_for("systemd to listen", || {
        TcpStream::connect(addresses[0]).is_ok()
    });
    Client::connect(addresses[0]).ask("abc", "abc");
    Client::connect(addresses[1]).ask("abc", "3 bytes so far\n");
    server.signal(Signal::TERM);
    server.stderr.wait(" stopped");
}
