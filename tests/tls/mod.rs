//! TLS in the listener: handshakes, bad peers, the two ends of a stream, files that
//! change. `authority` makes certificates, `client` speaks TLS.

mod authority;
mod bad_peers;
mod client;
mod clients;
mod facts;
mod flags;
mod handshakes;
mod mail_and_databases;
mod reload;
mod start_tls;
mod streams;

use authority::Authority;
use client::TlsClient;

use crate::harness::{Serve, Server, repo};

/// A server that speaks TLS, and who signs for it.
struct Secure {
    server: Server,
    authority: Authority,
}

/// Give a server a certificate for `a.test`, in the files `a.pem` and `a.key`.
fn secured(serve: Serve, authority: &Authority) -> Serve {
    authority.issue(&["a.test", "localhost"]).write(&serve, "a");
    serve.args(&["--tls-cert", "a.pem", "--tls-key", "a.key"])
}

fn start(serve: Serve) -> Secure {
    let authority = Authority::new("an authority");
    let server = secured(serve, &authority).start();
    Secure { server, authority }
}

impl Secure {
    fn client(&self) -> TlsClient {
        self.authority.client().connect(&self.server)
    }
}

/// A component of an example.
fn lines() -> Serve {
    assert!(repo("guest/examples/lines.rs").exists());
    Serve::prebuilt("lines")
}
