//! What a connection goes through between accept and its session: a PROXY header,
//! then TLS. Each layer takes a connected stream and gives one back, with what it
//! has learnt of the peer. TLS that begins later is handed to the session.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hotsocket_sandbox::{Endpoint, PeerFacts};
use tokio::time::Instant;

use super::Connected;
use super::limits::{Access, ListenerLimits};
use super::proxy::{HeaderPolicy, Peer, ProxyProtocol};
use super::ranges::{MAX_RANGES, Ranges};
use super::tls::{CertificateStatus, Tls, TlsMode, TlsOptions};
use crate::limits::{LimitError, Setting};
use crate::service::{Refused, Service, SessionPermit};
use crate::session::Secure;

/// How a listener treats what it accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerOptions {
    /// Open connections of this listener; `None`: as many as the service has.
    pub max_per_listener: Option<usize>,
    /// Connections that it accepts in a second; more wait. `None`: all that come.
    pub max_accept_rate: Option<u32>,
    /// Who may connect, by address. Who is in no range may, unless some are allowed.
    pub access: Ranges<Access>,
    /// Who sends a PROXY header; others must not. `None`: nobody looks for one.
    pub proxy_protocol: Option<Ranges<HeaderPolicy>>,
    /// How long a header may take.
    pub proxy_timeout: Duration,
    /// A Unix socket is plain nevertheless: nobody can read along.
    pub tls: Option<TlsOptions>,
    /// When it begins.
    pub tls_mode: TlsMode,
}

impl Default for ListenerOptions {
    fn default() -> Self {
        ListenerOptions {
            max_per_listener: None,
            max_accept_rate: None,
            access: Ranges::default(),
            proxy_protocol: None,
            proxy_timeout: Duration::from_secs(3),
            tls: None,
            tls_mode: TlsMode::default(),
        }
    }
}

impl ListenerOptions {
    /// Each limit by the name of its flag, with its value and its range.
    pub fn settings(&self) -> [Setting; 3] {
        let rate = self.max_accept_rate.map(|rate| rate as usize);
        let times = Duration::from_millis(1)..=crate::duration::MAX;
        [
            Setting::number("max-per-listener", self.max_per_listener, 1..=10_000_000),
            // Ten times what one processor accepts in a second.
            Setting::number("max-accept-rate", rate, 1..=1_000_000),
            Setting::time("proxy-timeout", self.proxy_timeout, times),
        ]
    }

    /// Check that every limit is in its range, and fits to this `--handshake-timeout`.
    ///
    /// # Errors
    /// Names the first one that doesn't.
    pub fn validate(&self, handshake_timeout: Duration) -> Result<(), LimitError> {
        self.settings().iter().try_for_each(Setting::validate)?;
        let policies = self.proxy_protocol.as_ref();
        let is_waited_for = policies.is_some_and(|all| all.has(HeaderPolicy::Optional));
        // Else a client that waits until the server speaks would be closed instead of served.
        if is_waited_for && handshake_timeout <= self.proxy_timeout {
            return Err(LimitError {
                flag: "handshake-timeout",
                value: crate::duration::show(handshake_timeout),
                expected: format!(
                    "longer than --proxy-timeout ({}), for which an optional PROXY header is \
                     waited for",
                    crate::duration::show(self.proxy_timeout)
                ),
            });
        }
        let proxies = self.proxy_protocol.as_ref().map_or(0, Ranges::len);
        for (flag, count) in [("allow", self.access.len()), ("proxy-protocol", proxies)] {
            if count > MAX_RANGES {
                return Err(LimitError {
                    flag,
                    value: format!("({count} ranges)"),
                    expected: format!("given for at most {MAX_RANGES} ranges"),
                });
            }
        }
        Ok(())
    }
}

/// The layers of one listener, ready to be used, and its limits. All of its connections
/// share them.
#[derive(Debug, Default)]
pub struct Layers {
    /// What is known of every peer: the listener's name, if it has one, and whether TLS
    /// may begin.
    facts: Option<Arc<PeerFacts>>,
    /// What comes before the layers.
    pub limits: Option<ListenerLimits>,
    proxy: Option<ProxyProtocol>,
    /// From the first byte on. Shared by the listeners with the same options.
    tls: Option<Arc<Tls>>,
    /// The same for connections whose guests ask for it.
    start_tls: Option<Arc<Tls>>,
}

impl Layers {
    /// The layers of a listener that may have a name, and may take the socket over from the
    /// one with the layers `before`. The options are valid (see
    /// [`ListenerOptions::validate`]).
    pub fn new(
        options: &ListenerOptions,
        name: Option<Arc<str>>,
        tls: Option<Arc<Tls>>,
        before: Option<&Layers>,
    ) -> Self {
        let before = before.and_then(|before| before.limits.as_ref());
        let proxy = |policies: &Ranges<HeaderPolicy>| {
            ProxyProtocol::new(policies.clone(), options.proxy_timeout)
        };
        let (tls, start_tls) = match options.tls_mode {
            TlsMode::Implicit => (tls, None),
            TlsMode::Starttls => (None, tls),
        };
        let facts = PeerFacts {
            listener: name,
            may_start_tls: start_tls.is_some(),
            ..PeerFacts::default()
        };
        let is_known = facts.listener.is_some() || facts.may_start_tls;
        Layers {
            facts: is_known.then(|| Arc::new(facts)),
            limits: ListenerLimits::new(options, before),
            proxy: options.proxy_protocol.as_ref().map(proxy),
            tls,
            start_tls,
        }
    }

    /// When the first certificate of the listener expires, in seconds since 1970.
    pub fn expiry(&self) -> Option<i64> {
        self.tls.as_ref().or(self.start_tls.as_ref())?.expiry()
    }

    /// The certificates of the listener, which has this address.
    pub fn certificates(&self, listener: &str) -> Vec<CertificateStatus> {
        let tls = self.tls.as_ref().or(self.start_tls.as_ref());
        tls.map_or_else(Vec::new, |tls| tls.certificates(listener))
    }

    /// Whether connections are ready as they are: then no future is made for them.
    pub fn is_empty(&self) -> bool {
        self.proxy.is_none() && self.tls.is_none()
    }

    /// What is known of a peer that went through no layer.
    pub fn facts(&self) -> Option<Arc<PeerFacts>> {
        self.facts.clone()
    }

    /// Whether guests may have TLS begin.
    pub fn may_start_tls(&self) -> bool {
        self.start_tls.is_some()
    }

    /// What its guest may have a connection of this listener protected by.
    pub fn start_tls(&self) -> Option<Arc<dyn Secure>> {
        let tls = self.start_tls.clone()?;
        Some(tls)
    }

    /// Whether who has connected may be a proxy, so that the peer is not known yet.
    pub fn may_be_proxy(&self, peer: &Endpoint) -> bool {
        self.proxy
            .as_ref()
            .is_some_and(|proxy| proxy.may_be_proxy(peer))
    }

    /// Take the connection through each layer. Its task calls this, and drops it at `until`
    /// (`--handshake-timeout`).
    ///
    /// # Errors
    /// Where a layer refuses the connection, which is closed.
    pub async fn apply(
        &self,
        mut connected: Connected,
        service: &Service,
        permit: &mut SessionPermit,
        until: Instant,
    ) -> io::Result<Connected> {
        connected.facts = self.facts();
        if let Some(proxy) = &self.proxy {
            let may_be_proxy = proxy.may_be_proxy(&connected.peer);
            let (behind, peer) = proxy.apply(connected, &service.limit_counters).await?;
            connected = behind;
            if may_be_proxy && self.admit(connected.peer, peer, service, permit).is_err() {
                connected.stream.reset();
                return Err(io::ErrorKind::PermissionDenied.into());
            }
        }
        if let Some(tls) = &self.tls {
            connected = tls.accept(connected, service, until).await?;
        }
        Ok(connected)
    }

    /// What the accept loop does for others: now the peer is known.
    fn admit(
        &self,
        address: Endpoint,
        peer: Peer,
        service: &Service,
        permit: &mut SessionPermit,
    ) -> Result<(), Refused> {
        if peer != Peer::Proxy
            && let Some(limits) = &self.limits
        {
            limits.check(address, service)?;
        }
        match (peer, address.ip()) {
            (Peer::Itself, Some(ip)) => service.admit_peer(permit, ip),
            _ => Ok(()),
        }
    }
}
