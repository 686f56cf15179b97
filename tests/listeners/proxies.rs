//! Behind real proxies: HAProxy and nginx.

use std::fmt::Write;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Client, Process, Serve, Server, lacks_program, skip, temp_dir, wait_for};

/// A port that nobody uses now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

fn server(policy: &str) -> Server {
    Serve::prebuilt("whoami")
        .args(&["--access-log", "--proxy-protocol", policy])
        .start()
}

struct Proxy {
    _process: Process,
    _dir: TempDir,
    address: SocketAddr,
}

impl Proxy {
    /// A HAProxy in front of a server, reached with these options.
    fn haproxy(server: &Server, bind: &str, options: &str) -> Option<Self> {
        if lacks_program("haproxy") {
            return None;
        }
        let dir = temp_dir();
        let port = free_port();
        let to = server.addresses[0];
        let mut config =
            "global\n  log stderr local0\ndefaults\n  mode tcp\n  timeout connect 5s\n  \
                          timeout client 1m\n  timeout server 1m\n"
                .to_owned();
        let _ = write!(
            config,
            "frontend in\n  bind 127.0.0.1:{port}{bind}\n  unique-id-format id-%[src_port]\n  \
             default_backend out\nbackend out\n  server it {to} {options}\n"
        );
        let path = dir.path().join("haproxy.cfg");
        fs::write(&path, config).expect("written");
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(&path);
        Some(Self::start("haproxy", &mut command, dir, port))
    }

    fn nginx(server: &Server) -> Option<Self> {
        if lacks_program("nginx") {
            return None;
        }
        let module = Path::new("/usr/lib/nginx/modules/ngx_stream_module.so");
        if !module.exists() {
            skip("no libnginx-mod-stream");
            return None;
        }
        let (dir, port) = (temp_dir(), free_port());
        let (to, at) = (server.addresses[0], dir.path().display());
        let config = format!(
            "load_module {};\ndaemon off;\nmaster_process off;\npid {at}/pid;\nerror_log stderr;\n\
             events {{}}\nstream {{ server {{ listen 127.0.0.1:{port}; proxy_pass {to}; \
             proxy_protocol on; }} }}\n",
            module.display()
        );
        let path = dir.path().join("nginx.conf");
        fs::write(&path, config).expect("written");
        let mut command = Command::new("nginx");
        command.arg("-c").arg(&path).arg("-e").arg("stderr");
        Some(Self::start("nginx", &mut command, dir, port))
    }

    fn start(name: &'static str, command: &mut Command, dir: TempDir, port: u16) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let process = Process::start(name, command);
        wait_for("the proxy", || Client::try_connect(address).is_ok());
        Proxy {
            _process: process,
            _dir: dir,
            address,
        }
    }

    /// A client's lines from the guest, up to one that begins so; and its own address.
    fn ask(&self, last: &str) -> (String, SocketAddr) {
        let mut client = Client::connect(self.address);
        let local = client.stream.local_addr().expect("an address");
        client.send("?");
        let mut said = String::new();
        while !said.lines().any(|line| line.starts_with(last)) || !said.ends_with('\n') {
            said.push(char::from(client.read(1)[0]));
        }
        (said, local)
    }
}

#[test]
fn haproxy_says_who_the_peer_is() {
    for (options, version) in [("send-proxy", 1), ("send-proxy-v2", 2)] {
        let server = server("127.0.0.1=require");
        let Some(proxy) = Proxy::haproxy(&server, "", options) else {
            return;
        };
        let (said, local) = proxy.ask("via ");
        assert!(said.starts_with(&format!("you are {local}\n")), "{said}");
        assert!(said.contains(&format!("PROXY v{version}\n")), "{said}");
        server.stderr.wait(&format!("from {local}"));
    }
}

#[test]
fn haproxys_unique_id_and_checksum_are_read() {
    let server = server("127.0.0.1=require");
    let options = "send-proxy-v2 proxy-v2-options unique-id,crc32c";
    let Some(proxy) = Proxy::haproxy(&server, "", options) else {
        return;
    };
    let (said, local) = proxy.ask("extension ");
    let expected = format!("extension 0x05: \"id-{}\"\n", local.port());
    assert!(said.contains(&expected), "{said}");
    assert!(!said.contains("0x03"), "the checksum was verified: {said}");
    assert_eq!(server.limit_reached("proxy-protocol"), 0);
}

#[test]
fn haproxy_says_what_its_tls_has_agreed_on() {
    if lacks_program("haproxy") || lacks_program("openssl") {
        return;
    }
    let dir = temp_dir();
    let pem = dir.path().join("it.pem");
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
    ]);
    openssl.args(["-nodes", "-subj", "/CN=it.example", "-days", "2", "-keyout"]);
    let made = openssl
        .arg(&pem)
        .arg("-out")
        .arg(dir.path().join("crt"))
        .output();
    assert!(made.expect("openssl").status.success());
    let certificate = fs::read(dir.path().join("crt")).expect("a certificate");
    let key = fs::read(&pem).expect("a key");
    fs::write(&pem, [certificate, key].concat()).expect("written");
    let server = server("127.0.0.1=require");
    let bind = format!(" ssl crt {}", pem.display());
    let options = "send-proxy-v2-ssl-cn proxy-v2-options authority,ssl,cert-cn";
    let Some(proxy) = Proxy::haproxy(&server, &bind, options) else {
        return;
    };
    let mut client = Command::new("openssl");
    client.args([
        "s_client",
        "-quiet",
        "-servername",
        "it.example",
        "-connect",
    ]);
    client.arg(proxy.address.to_string());
    let client = Process::start("openssl", &mut client);
    client.stdout.wait("extension 0x02: \"it.example\"");
    client.stdout.wait("bytes about TLS");
}

#[test]
fn haproxys_probes_are_served_and_not_logged() {
    let server = server("127.0.0.1=require");
    let options = "send-proxy-v2 check inter 50ms check-send-proxy";
    let Some(proxy) = Proxy::haproxy(&server, "", options) else {
        return;
    };
    let accepted = || server.status()["connections"]["accepted"].clone();
    let before = accepted();
    wait_for("five probes", || {
        let count = |value: &Value| value.as_u64().expect("a number");
        count(&accepted()) >= count(&before) + 5
    });
    let (said, local) = proxy.ask("via ");
    assert!(said.contains(&local.to_string()), "{said}");
    assert_eq!(server.limit_reached("proxy-protocol"), 0);
    assert_eq!(server.limit_reached("proxy-timeout"), 0);
    server.stderr.wait(&format!("from {local}"));
    let log = server.stop().stderr;
    // A probe that HAProxy resets before its header has been read is not one of them.
    let probes = log.lines().filter(|line| line.contains("closed:"));
    let others = probes.filter(|line| !line.contains(&local.ip().to_string()));
    assert_eq!(others.count(), 0, "{log}");
}

#[test]
fn nginx_says_who_the_peer_is() {
    let server = server("127.0.0.1=require");
    let Some(proxy) = Proxy::nginx(&server) else {
        return;
    };
    let (said, local) = proxy.ask("via ");
    assert!(said.starts_with(&format!("you are {local}\n")), "{said}");
    assert!(said.contains("PROXY v1\n"), "{said}");
}

#[test]
fn without_its_header_a_proxy_is_a_peer_like_any_other() {
    let server = server("10.0.0.0/8=require");
    let Some(proxy) = Proxy::haproxy(&server, "", "send-proxy-v2") else {
        return;
    };
    let mut client = Client::connect(proxy.address);
    client.send("?");
    client.rest().ok();
    server
        .stderr
        .wait("a PROXY header came, and none may come from there");
}
