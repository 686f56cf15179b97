//! What is known of a peer besides its address: what a TLS handshake and a PROXY
//! header have said. Listeners find it out, before there is an instance.

use std::sync::Arc;

use crate::endpoint::Endpoint;

/// See the module's documentation.
#[derive(Clone, Debug, Default)]
pub struct PeerFacts {
    /// The name of the listener, if it has one.
    pub listener: Option<Arc<str>>,
    pub tls: Option<TlsFacts>,
    pub proxy: Option<ProxyFacts>,
}

/// What a TLS handshake has agreed on.
#[derive(Clone, Debug)]
pub struct TlsFacts {
    /// As `TLSv1.3`.
    pub version: &'static str,
    /// By its name in the registry of IANA.
    pub cipher_suite: &'static str,
    /// The name that the client asked for (SNI, RFC 6066, section 3).
    pub server_name: Option<String>,
    /// The protocol that both have chosen (ALPN, RFC 7301).
    pub protocol: Option<Vec<u8>>,
    /// The client's certificates in DER, its own first; none if it has sent none.
    /// They have been verified.
    pub certificates: Vec<Vec<u8>>,
}

/// What a header of the PROXY protocol says besides the addresses, which are those of
/// the connection (<https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>).
#[derive(Clone, Debug)]
pub struct ProxyFacts {
    /// Of the protocol, 1 or 2.
    pub version: u8,
    /// The proxy that has sent the header, as the socket's peer…
    pub via: Endpoint,
    /// …and the address that it has connected to.
    pub local: Endpoint,
    /// The proxy has connected on its own behalf, to see whether the server is alive.
    pub is_local: bool,
    /// Types and values in their order; version 2 only.
    pub extensions: Vec<(u8, Vec<u8>)>,
}
