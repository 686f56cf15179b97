//! The servers that are measured: ours, hotsocket, and programs that people use instead.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::machine::{Cpus, TempDir};
use crate::server::Server;

/// A server that can be started, any number of times.
#[derive(Clone, Debug)]
pub struct Subject {
    pub name: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Native,
    Hotsocket {
        binary: PathBuf,
        guest: PathBuf,
    },
    Node,
    /// Sends what its first connection says to all others.
    Broadcast,
    Program(Program),
    /// TLS in front of a native echo, with the certificate and the key in this directory.
    Terminator(Terminator, PathBuf),
}

/// A program that ends TLS and hands plain bytes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminator {
    /// Its stream module.
    Nginx,
    Haproxy,
}

impl Terminator {
    pub fn name(self) -> &'static str {
        match self {
            Terminator::Nginx => "nginx",
            Terminator::Haproxy => "haproxy",
        }
    }

    /// From one port to another, as one process. TLS 1.3 only, with what each does by
    /// default about tickets.
    fn command(self, ports: [u16; 2], certificate: &Path, dir: &TempDir) -> Result<Command> {
        let [port, behind] = ports;
        let file = dir.path("conf");
        let at = |name: &str| certificate.join(name).display().to_string();
        let mut command = Command::new(self.name());
        match self {
            Terminator::Nginx => {
                let module = "/usr/lib/nginx/modules/ngx_stream_module.so";
                let load = match Path::new(module).exists() {
                    true => format!("load_module {module};"),
                    false => String::new(),
                };
                let own = dir.path("").display().to_string();
                let (pem, key) = (at("cert.pem"), at("key.pem"));
                std::fs::write(
                    &file,
                    format!(
                        "{load} daemon off; master_process off; pid {own}pid; error_log {own}log;
                         events {{ worker_connections 20000; }}
                         stream {{ server {{ listen 127.0.0.1:{port} ssl backlog=1024;
                           ssl_certificate {pem}; ssl_certificate_key {key};
                           ssl_protocols TLSv1.3; proxy_pass 127.0.0.1:{behind};
                           proxy_buffer_size 64k; }} }}"
                    ),
                )?;
                command.arg("-p").arg(own).arg("-c").arg(file);
            }
            Terminator::Haproxy => {
                let both = at("both.pem");
                std::fs::write(
                    &file,
                    format!(
                        "global\n nbthread 1\n maxconn 4000\n\
                         defaults\n mode tcp\n timeout connect 10s\n timeout client 10m\n timeout server 10m\n\
                         listen tls\n bind 127.0.0.1:{port} ssl crt {both} ssl-min-ver TLSv1.3\n\
                         server echo 127.0.0.1:{behind}\n"
                    ),
                )?;
                command.arg("-db").arg("-f").arg(file);
            }
        }
        Ok(command)
    }

    fn is_installed(self) -> bool {
        Command::new(self.name()).arg("-v").output().is_ok()
    }
}

/// Another server, with the least that it needs to do what is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Redis,
    Mosquitto,
    /// `return 200`.
    Nginx,
    /// `http.createServer`.
    NodeHttp,
}

impl Program {
    pub fn name(self) -> &'static str {
        match self {
            Program::Redis => "redis-server",
            Program::Mosquitto => "mosquitto",
            Program::Nginx => "nginx",
            Program::NodeHttp => "node",
        }
    }

    /// As one process, so that its CPU time is that of its threads.
    fn command(self, port: u16, dir: &TempDir) -> Result<Command> {
        let mut command = Command::new(self.name());
        let port = port.to_string();
        match self {
            Program::Redis => command
                .args(["--port", &port, "--bind", "127.0.0.1", "--save", ""])
                .args(["--appendonly", "no", "--maxclients", "18000"]),
            Program::Mosquitto => command.args(["-p", &port]),
            Program::Nginx => {
                let file = dir.path("nginx.conf");
                let dir = dir.path("");
                let dir = dir.display();
                std::fs::write(
                    &file,
                    format!(
                        "daemon off; master_process off; pid {dir}pid; error_log {dir}log;
                         events {{ worker_connections 1024; }}
                         http {{ access_log off; keepalive_requests 1000000000;
                           server {{ listen 127.0.0.1:{port}; location / {{ return 200 \"hello\"; }} }} }}"
                    ),
                )?;
                command.arg("-p").arg(dir.to_string()).arg("-c").arg(file)
            }
            Program::NodeHttp => command.args(["-e", NODE_HTTP, &port]),
        };
        Ok(command)
    }

    fn is_installed(self) -> bool {
        let version = match self {
            Program::Nginx => "-v",
            Program::Mosquitto => "-h",
            _ => "--version",
        };
        Command::new(self.name()).arg(version).output().is_ok()
    }
}

const NODE_HTTP: &str = r#"
require("node:http").createServer((request, response) => response.end("hello"))
  .listen(Number(process.argv[1]), "127.0.0.1");
"#;

impl Subject {
    pub fn native() -> Self {
        Subject {
            name: "native".to_owned(),
            kind: Kind::Native,
        }
    }

    pub fn broadcast() -> Self {
        Subject {
            name: "a loop of bare send".to_owned(),
            kind: Kind::Broadcast,
        }
    }

    pub fn program(program: Program) -> Self {
        Subject {
            name: program.name().to_owned(),
            kind: Kind::Program(program),
        }
    }

    /// The certificate, the key and both together are in that directory.
    pub fn terminator(terminator: Terminator, certificate: PathBuf) -> Self {
        Subject {
            name: format!("{} and native", terminator.name()),
            kind: Kind::Terminator(terminator, certificate),
        }
    }

    /// Whether it can be started here.
    pub fn is_installed(&self) -> bool {
        match self.kind {
            Kind::Program(program) => program.is_installed(),
            Kind::Terminator(terminator, _) => terminator.is_installed(),
            _ => true,
        }
    }

    /// What clients say to have a message published.
    pub fn protocol(&self) -> &'static str {
        match self.kind {
            Kind::Program(Program::Redis) => "redis",
            Kind::Program(Program::Mosquitto) => "mqtt",
            Kind::Hotsocket { .. } => "orders",
            _ => "raw",
        }
    }

    /// That binary with that guest.
    pub fn hotsocket(name: &str, binary: PathBuf, guest: PathBuf) -> Self {
        Subject {
            name: name.to_owned(),
            kind: Kind::Hotsocket { binary, guest },
        }
    }

    /// Node, if it is installed.
    pub fn node() -> Option<Self> {
        let output = Command::new("node").arg("--version").output().ok()?;
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Some(Subject {
            name: format!("Node {version}"),
            kind: Kind::Node,
        })
    }

    /// The same binary with another guest.
    pub fn serving(&self, guest: PathBuf) -> Self {
        let mut other = self.clone();
        if let Kind::Hotsocket { guest: served, .. } = &mut other.kind {
            *served = guest;
        }
        other
    }

    /// The binary of a hotsocket.
    pub fn binary(&self) -> Result<&Path> {
        match &self.kind {
            Kind::Hotsocket { binary, .. } => Ok(binary),
            _ => Err(format!("{} is not hotsocket", self.name).into()),
        }
    }

    /// Whether `hotsocket serve` has that flag.
    pub fn has_flag(&self, flag: &str) -> Result<bool> {
        let help = Command::new(self.binary()?)
            .args(["serve", "--help"])
            .output()?;
        Ok(String::from_utf8_lossy(&help.stdout).contains(flag))
    }

    /// Start it, with more flags if it is hotsocket, and wait until it is ready.
    pub fn start(&self, cpus: Cpus, flags: &[String]) -> Result<Server> {
        let mut command = match &self.kind {
            Kind::Native => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("native");
                command
            }
            Kind::Hotsocket { binary, guest } => {
                let mut command = Command::new(binary);
                command
                    .arg("serve")
                    .arg(guest)
                    .args(["--listen", "127.0.0.1:0", "--no-watch"])
                    .args(flags);
                if !flags.iter().any(|flag| flag == "--control") {
                    command.args(["--control", "none"]);
                }
                command
            }
            Kind::Node => {
                let mut command = Command::new("node");
                command.args(["-e", NODE]);
                command
            }
            Kind::Broadcast => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("broadcast");
                command
            }
            Kind::Terminator(terminator, certificate) => {
                let behind = Subject::native().start(cpus, &[])?;
                let dir = TempDir::new()?;
                let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
                let ports = [address.port(), behind.address.port()];
                let mut command = terminator.command(ports, certificate, &dir)?;
                let server = Server::start_at(&self.name, cpus, &mut command, address, dir)?;
                return Ok(server.in_front_of(behind));
            }
            Kind::Program(program) => {
                let dir = TempDir::new()?;
                // Free now; nobody else is likely to take it in this moment.
                let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
                let mut command = program.command(address.port(), &dir)?;
                return Server::start_at(&self.name, cpus, &mut command, address, dir);
            }
        };
        Server::start(&self.name, cpus, &mut command)
    }
}

/// Echo, as Node's documentation would have it.
const NODE: &str = r#"
const server = require("node:net").createServer({ noDelay: true }, (socket) => {
  socket.on("data", (data) => { if (!socket.write(data)) socket.pause(); });
  socket.on("drain", () => socket.resume());
  socket.on("error", () => {});
});
server.listen({ port: 0, host: "127.0.0.1", backlog: 1024 }, () => {
  console.error(`listening on 127.0.0.1:${server.address().port}`);
  console.error("ready in ? ms");
});
"#;
