//! What is known of a peer besides its address: what a TLS handshake and a PROXY
//! header have said. Listeners find it out, before there is an instance; guests ask for
//! it through `hotsocket:peer`, whose functions are linked here.

use std::sync::Arc;

use wasmtime::StoreContextMut;
use wasmtime::component::LinkerInstance;

use crate::bindings::peer::hotsocket::peer::peer as wit;
use crate::endpoint::{Endpoint, UnixPeer};
use crate::imports;
use crate::store_data::StoreData;

/// See the module's documentation. Connections of which no more is known than the
/// address have none.
#[derive(Clone, Debug, Default)]
pub struct PeerFacts {
    /// The name of the listener, if it has one.
    pub listener: Option<Arc<str>>,
    /// The listener can do TLS, and has not: that is up to the guest.
    pub may_start_tls: bool,
    pub tls: Option<TlsFacts>,
    pub proxy: Option<ProxyFacts>,
}

impl PeerFacts {
    /// Whether it is a proxy that looks whether the server is alive.
    pub fn is_probe(&self) -> bool {
        self.proxy.as_ref().is_some_and(|proxy| proxy.is_local)
    }
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

/// Link the functions.
pub fn link(peer: &mut LinkerInstance<'_, StoreData>) -> wasmtime::Result<()> {
    peer.func_wrap("listener", |store: StoreContextMut<StoreData>, (): ()| {
        let listener = facts(&store).and_then(|facts| facts.listener.as_deref());
        Ok((listener.map(str::to_owned),))
    })?;
    peer.func_wrap("socket", |store: StoreContextMut<StoreData>, (): ()| {
        Ok((socket(&store),))
    })?;
    peer.func_wrap("tls", |store: StoreContextMut<StoreData>, (): ()| {
        let tls = facts(&store).and_then(|facts| facts.tls.as_ref());
        Ok((tls.map(|tls| wit::TlsSession {
            version: tls.version.to_owned(),
            cipher_suite: tls.cipher_suite.to_owned(),
            server_name: tls.server_name.clone(),
            protocol: tls.protocol.clone(),
        }),))
    })?;
    peer.func_wrap(
        "certificates",
        |store: StoreContextMut<StoreData>, (): ()| {
            let tls = facts(&store).and_then(|facts| facts.tls.as_ref());
            Ok((tls.map_or(Vec::new(), |tls| tls.certificates.clone()),))
        },
    )?;
    peer.func_wrap(
        "credentials",
        |store: StoreContextMut<StoreData>, (): ()| {
            let peer = ends(&store).map(|(_, peer)| peer);
            let Some(Endpoint::Unix(Some(UnixPeer { uid, gid, pid }))) = peer else {
                return Ok((None,));
            };
            let pid = pid.and_then(|pid| pid.try_into().ok());
            Ok((Some(wit::UnixCredentials { uid, gid, pid }),))
        },
    )?;
    peer.func_wrap("proxy", |store: StoreContextMut<StoreData>, (): ()| {
        let proxy = facts(&store).and_then(|facts| facts.proxy.as_ref());
        Ok((proxy.map(|proxy| wit::ProxyHeader {
            version: proxy.version,
            is_local: proxy.is_local,
            extensions: proxy.extensions.iter().map(extension).collect(),
        }),))
    })
}

fn facts<'a>(store: &'a StoreContextMut<'_, StoreData>) -> Option<&'a PeerFacts> {
    store.data().connection.as_ref()?.facts.as_deref()
}

/// The socket's two ends, the listener's first.
fn ends(store: &StoreContextMut<'_, StoreData>) -> Option<(Endpoint, Endpoint)> {
    let info = store.data().connection.as_ref()?.info;
    let proxy = facts(store).and_then(|facts| facts.proxy.as_ref());
    Some(proxy.map_or((info.local, info.peer), |proxy| (proxy.local, proxy.via)))
}

fn socket(store: &StoreContextMut<'_, StoreData>) -> wit::SocketAddresses {
    let (local, peer) = ends(store).unwrap_or((Endpoint::Unix(None), Endpoint::Unix(None)));
    wit::SocketAddresses {
        local: address(local),
        peer: address(peer),
    }
}

fn address(endpoint: Endpoint) -> wit::Address {
    let address = imports::address(endpoint);
    wit::Address {
        ip: address.ip,
        port: address.port,
    }
}

fn extension((kind, value): &(u8, Vec<u8>)) -> wit::Extension {
    wit::Extension {
        kind: *kind,
        value: value.clone(),
    }
}
