//! Who is at the other end of the connection, besides its address: what a TLS handshake,
//! a PROXY header and the kernel have said.
//!
//! ```
//! use hotsocket_guest::{Connection, Handler, export, peer};
//!
//! #[derive(Default)]
//! struct Members;
//!
//! impl Handler for Members {
//!     fn open(&mut self, _: &Connection) -> Result<(), String> {
//!         match peer::certificates().is_empty() {
//!             true => Err("no certificate".to_owned()),
//!             false => Ok(()),
//!         }
//!     }
//! }
//!
//! export!(Members);
//! ```
//!
//! The host has found it out before the guest's `open`; it stays the same for as long as
//! the connection lives. A guest that calls nothing in here imports nothing for it
//! (`hotsocket:peer@0.1.0`; `wit/peer` has the rules and the limits). `hotsocket test` has
//! the step `peer`, and unit tests have `testing::Session::open_as`.

use std::net::SocketAddr;

/// What a TLS handshake has agreed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: String,
    /// By its name in IANA's registry.
    pub cipher_suite: String,
    /// The name that the client has asked for (SNI).
    pub server_name: Option<String>,
    /// The protocol that both have chosen (ALPN).
    pub protocol: Option<Vec<u8>>,
}

/// The process that has connected to a Unix socket, as it was then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its number, unless the server cannot see the process.
    pub pid: Option<u32>,
}

/// What a proxy has said in a PROXY header. The addresses in it are
/// [`Connection::peer`](crate::Connection::peer) and
/// [`Connection::local`](crate::Connection::local).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxy {
    /// Of the protocol: 1 or 2.
    pub version: u8,
    /// The proxy has connected on its own behalf, to see whether the server is alive.
    pub is_local: bool,
    /// Types and values, in their order.
    pub extensions: Vec<(u8, Vec<u8>)>,
}

impl Proxy {
    /// The type of the extension with the host name that the client has asked for.
    pub const AUTHORITY: u8 = 0x02;
    /// The type of the extension with a number for this connection.
    pub const UNIQUE_ID: u8 = 0x05;
    /// The type of the extension about the TLS between client and proxy.
    pub const SSL: u8 = 0x20;

    /// The first extension of a type.
    #[must_use]
    pub fn extension(&self, kind: u8) -> Option<&[u8]> {
        let mut extensions = self.extensions.iter();
        let found = extensions.find(|(each, _)| *each == kind);
        found.map(|(_, value)| value.as_slice())
    }
}

/// The name of the listener that has accepted the connection, if it has one.
#[must_use]
pub fn listener() -> Option<String> {
    sys::listener()
}

/// The addresses of the socket itself, the listener's first: a proxy's, where there was a
/// PROXY header.
#[must_use]
pub fn socket() -> (SocketAddr, SocketAddr) {
    sys::socket()
}

/// `None` if the connection is not encrypted here.
#[must_use]
pub fn tls() -> Option<Tls> {
    sys::tls()
}

/// The client's certificates in DER, its own first. They have been verified.
#[must_use]
pub fn certificates() -> Vec<Vec<u8>> {
    sys::certificates()
}

/// `None` unless the connection is one of a Unix socket of this machine.
#[must_use]
pub fn credentials() -> Option<Credentials> {
    sys::credentials()
}

/// `None` if there was no PROXY header.
#[must_use]
pub fn proxy() -> Option<Proxy> {
    sys::proxy()
}

#[cfg(target_family = "wasm")]
mod sys {
    use super::{Credentials, Proxy, SocketAddr, Tls};
    use crate::address::socket_addr;
    use crate::bindings::peer::hotsocket::peer::peer as wit;

    pub(super) use wit::{certificates, listener};

    pub(super) fn socket() -> (SocketAddr, SocketAddr) {
        let wit::SocketAddresses { local, peer } = wit::socket();
        let address = |address: wit::Address| socket_addr(&address.ip, address.port);
        (address(local), address(peer))
    }

    pub(super) fn tls() -> Option<Tls> {
        wit::tls().map(|tls| Tls {
            version: tls.version,
            cipher_suite: tls.cipher_suite,
            server_name: tls.server_name,
            protocol: tls.protocol,
        })
    }

    pub(super) fn credentials() -> Option<Credentials> {
        wit::credentials().map(|wit::UnixCredentials { uid, gid, pid }| Credentials {
            uid,
            gid,
            pid,
        })
    }

    pub(super) fn proxy() -> Option<Proxy> {
        wit::proxy().map(|proxy| Proxy {
            version: proxy.version,
            is_local: proxy.is_local,
            extensions: proxy
                .extensions
                .into_iter()
                .map(|extension| (extension.kind, extension.value))
                .collect(),
        })
    }
}

/// Natively there is no host: what the test says.
#[cfg(not(target_family = "wasm"))]
mod sys {
    use super::{Credentials, Proxy, SocketAddr, Tls};
    use crate::testing::recorder::{info, with};

    pub(super) fn listener() -> Option<String> {
        with(|recorded| recorded.peer.listener.clone())
    }

    pub(super) fn socket() -> (SocketAddr, SocketAddr) {
        let info = info();
        with(|recorded| recorded.peer.socket).unwrap_or((info.local, info.peer))
    }

    pub(super) fn tls() -> Option<Tls> {
        with(|recorded| recorded.peer.tls.clone())
    }

    pub(super) fn certificates() -> Vec<Vec<u8>> {
        with(|recorded| recorded.peer.certificates.clone())
    }

    pub(super) fn credentials() -> Option<Credentials> {
        with(|recorded| recorded.peer.credentials)
    }

    pub(super) fn proxy() -> Option<Proxy> {
        with(|recorded| recorded.peer.proxy.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PeerFacts, Session};
    use crate::{Connection, Handler};

    #[derive(Default)]
    struct Whoami;

    impl Handler for Whoami {
        fn data(&mut self, conn: &Connection, _: &[u8]) {
            let name = proxy().and_then(|proxy| {
                let name = proxy.extension(Proxy::AUTHORITY)?;
                Some(String::from_utf8_lossy(name).into_owned())
            });
            let tls = tls().map(|tls| tls.version);
            conn.write(format!("{:?} {name:?} {tls:?}", listener()));
        }
    }

    #[test]
    fn a_test_says_who_the_peer_is() {
        let mut session = Session::<Whoami>::open_as(PeerFacts {
            listener: Some("inside".to_owned()),
            proxy: Some(Proxy {
                extensions: vec![(4, vec![0]), (Proxy::AUTHORITY, b"a.example".to_vec())],
                ..Proxy::default()
            }),
            ..PeerFacts::default()
        });
        assert_eq!(
            session.data(""),
            br#"Some("inside") Some("a.example") None"#
        );
        let mut other = Session::<Whoami>::open();
        assert_eq!(other.data(""), b"None None None");
        assert_eq!(socket().0.port(), 3000);
    }
}
