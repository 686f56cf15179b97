//! Teaches: who the peer is, besides its address. It says so when a connection is opened:
//! what a proxy in front has said, what TLS has agreed on, which process it is, and which
//! listener it has come to.
//!
//! Try it: `hotsocket serve whoami.rs --listen unix:whoami.sock`, then
//! `nc -U whoami.sock` in another terminal.

use hotsocket_guest::peer::{self, Proxy};
use hotsocket_guest::{Connection, Handler, Snapshot, export};

#[derive(Default)]
pub struct Whoami;

impl Handler for Whoami {
    fn open(&mut self, conn: &Connection) -> Result<(), String> {
        match conn.peer().port() {
            0 => conn.write("you are a process of this machine\n"),
            _ => conn.write(format!("you are {}\n", conn.peer())),
        };
        if let Some(name) = peer::listener() {
            conn.write(format!("listener {name}\n"));
        }
        if let Some(process) = peer::credentials() {
            let pid = process.pid.unwrap_or(0);
            conn.write(format!("uid {} gid {} pid {pid}\n", process.uid, process.gid));
        }
        if let Some(proxy) = peer::proxy() {
            let (local, via) = peer::socket();
            conn.write(format!("via {via} to {local}, PROXY v{}\n", proxy.version));
            describe(conn, &proxy);
        }
        if let Some(tls) = peer::tls() {
            let name = tls.server_name.unwrap_or_default();
            let protocol = tls.protocol.unwrap_or_default();
            let protocol = String::from_utf8_lossy(&protocol);
            conn.write(format!("{} for {name:?}, protocol {protocol:?}\n", tls.version));
            for certificate in peer::certificates() {
                conn.write(format!("certificate of {} bytes\n", certificate.len()));
            }
        }
        Ok(())
    }

    fn data(&mut self, conn: &Connection, data: &[u8]) {
        // TLS that begins now says more of the peer.
        if data != b"starttls\n" || conn.start_tls("go ahead\n").is_err() {
            let _ = self.open(conn);
        }
    }

    // There is nothing to keep, so the connection may sleep.
    fn save(&self) -> Option<Snapshot> {
        Some(Snapshot::new(1, []))
    }
}

fn describe(conn: &Connection, proxy: &Proxy) {
    if proxy.is_local {
        conn.write("the proxy itself\n");
    }
    for (kind, value) in &proxy.extensions {
        let value = match kind {
            &Proxy::SSL => format!("{} bytes about TLS", value.len()),
            _ => format!("{:?}", String::from_utf8_lossy(value)),
        };
        conn.write(format!("extension {kind:#04x}: {value}\n"));
    }
}

export!(Whoami);
