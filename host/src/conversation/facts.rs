//! What a script says of a peer before it connects, as a listener would have found it
//! out: the step `peer`.

use std::net::SocketAddr;

use hotsocket_sandbox::{Endpoint, PeerFacts, ProxyFacts, TlsFacts, UnixPeer};

/// One thing that a step says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// It connects from there.
    Address(SocketAddr),
    /// It connects to a Unix socket.
    Unix(UnixPeer),
    /// The name of the listener that it connects to.
    Listener(String),
    /// …which can do TLS once the guest asks for it.
    MayStartTls,
    /// It has made a TLS handshake, with this version.
    Tls(TlsVersion),
    /// …and asked for this name.
    ServerName(String),
    /// …and agreed on this protocol.
    Protocol(Vec<u8>),
    /// …and sent this certificate, after those before.
    Certificate(Vec<u8>),
    /// A proxy has connected from there on its behalf.
    Proxy(SocketAddr),
    /// …and said this in its header.
    Extension(u8, Vec<u8>),
}

/// A version of TLS, with a cipher suite that servers prefer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    V1_2,
    #[default]
    V1_3,
}

/// Extensions and certificates of a peer, each.
const MAX_LISTED: usize = 64;

/// All that a script has said of a peer.
#[derive(Debug, Default)]
pub struct About {
    /// `None`: the next one of the addresses that peers have.
    pub address: Option<Endpoint>,
    pub facts: Option<PeerFacts>,
}

impl About {
    /// Add what a step says.
    ///
    /// # Errors
    /// When there is too much of it.
    pub fn learn(&mut self, fact: &Fact) -> Result<(), String> {
        let facts = match fact {
            Fact::Address(address) => {
                self.address = Some(Endpoint::Ip(*address));
                return Ok(());
            }
            Fact::Unix(peer) => {
                self.address = Some(Endpoint::Unix(Some(*peer)));
                return Ok(());
            }
            _ => self.facts.get_or_insert_default(),
        };
        match fact {
            Fact::Listener(name) => facts.listener = Some(name.as_str().into()),
            Fact::MayStartTls => facts.may_start_tls = true,
            Fact::Tls(version) => version.enter(of_tls(facts)),
            Fact::ServerName(name) => of_tls(facts).server_name = Some(name.clone()),
            Fact::Protocol(protocol) => of_tls(facts).protocol = Some(protocol.clone()),
            Fact::Certificate(der) => push(&mut of_tls(facts).certificates, der.clone())?,
            Fact::Proxy(address) => proxy(facts).via = Endpoint::Ip(*address),
            Fact::Extension(kind, value) => {
                push(&mut proxy(facts).extensions, (*kind, value.clone()))?;
            }
            Fact::Address(_) | Fact::Unix(_) => {}
        }
        Ok(())
    }
}

impl TlsVersion {
    fn enter(self, tls: &mut TlsFacts) {
        (tls.version, tls.cipher_suite) = match self {
            TlsVersion::V1_2 => ("TLSv1.2", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
            TlsVersion::V1_3 => ("TLSv1.3", "TLS13_AES_256_GCM_SHA384"),
        };
    }
}

fn of_tls(facts: &mut PeerFacts) -> &mut TlsFacts {
    facts.tls.get_or_insert_with(tls)
}

/// What a handshake has agreed on of which a script says nothing.
pub fn tls() -> TlsFacts {
    let mut tls = TlsFacts {
        version: "",
        cipher_suite: "",
        server_name: None,
        protocol: None,
        certificates: Vec::new(),
    };
    TlsVersion::default().enter(&mut tls);
    tls
}

/// A header of version 2 from a proxy on this machine.
fn proxy(facts: &mut PeerFacts) -> &mut ProxyFacts {
    facts.proxy.get_or_insert_with(|| ProxyFacts {
        version: 2,
        via: Endpoint::Ip(SocketAddr::from(([127, 0, 0, 1], 40_000))),
        local: Endpoint::Ip(SocketAddr::from(([127, 0, 0, 1], 3000))),
        is_local: false,
        extensions: Vec::new(),
    })
}

fn push<T>(list: &mut Vec<T>, item: T) -> Result<(), String> {
    if list.len() == MAX_LISTED {
        return Err(format!("a peer may have {MAX_LISTED} of them"));
    }
    list.push(item);
    Ok(())
}
