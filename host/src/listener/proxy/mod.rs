//! The PROXY protocol: a proxy says on whose behalf it has connected, in a header
//! before all else. Who may send one is said by ranges of addresses
//! (`--proxy-protocol`), and never guessed.
//!
//! [`ProxyProtocol`] reads the header of a connection, and nothing beyond it.
//!
//! - [`header`], [`v1`], [`v2`]: what a header says
//! - [`transport`]: a stream that begins with bytes that have been read already, and
//!   one in which no header may come
//!
//! What the header's peer may then do is up to [`super::limits`] and
//! [`crate::service`].

pub(crate) mod header;
#[cfg(test)]
mod tests;
mod transport;
mod v1;
mod v2;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use hotsocket_sandbox::limit_counters::{Limit, LimitCounters};
use hotsocket_sandbox::{Endpoint, ProxyFacts, Stream};
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout_at};

use super::Connected;
use super::ranges::{Range, Ranges};
use header::{Addresses, Command, Header, HeaderError, Progress, Signature};
use transport::{Prefixed, Screened};

/// Whether a PROXY header comes from some addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HeaderPolicy {
    /// Each connection begins with one, or is reset.
    Require,
    /// A connection that begins with one has it read; this waits for its first bytes.
    Optional,
    /// A connection that begins with one is closed. Nothing waits for its first bytes.
    Reject,
}

impl HeaderPolicy {
    /// `10.0.0.0/8=require`.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse_with_range(text: &str) -> Result<(Range, Self), String> {
        let (range, policy) = text
            .rsplit_once('=')
            .ok_or("say what comes from there: RANGE=require, RANGE=optional or RANGE=reject")?;
        let policy = Self::from_str(policy, false)
            .map_err(|_| format!("{policy:?} is none of require, optional and reject"))?;
        Ok((Range::parse(range)?, policy))
    }
}

/// See the module's documentation. [`Self::apply`] takes a connection through it.
#[derive(Debug)]
pub struct ProxyProtocol {
    policies: Ranges<HeaderPolicy>,
    timeout: Duration,
}

/// Whose address is taken for the peer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Its own.
    Itself,
    /// The proxy's, which does not say who the peer is.
    Unknown,
    /// The proxy's, which has connected on its own behalf.
    Proxy,
}

/// Why there is no header.
enum NoHeader {
    Wrong(HeaderError),
    /// Nothing has come, and nothing will: as what only looks whether the port is open.
    Empty,
    /// The end has come within the header.
    Truncated,
    TimedOut,
    Failed(io::Error),
}

/// What a connection has begun with.
enum Beginning {
    Header(Header),
    /// Bytes that are no header, for who comes next.
    Other(Vec<u8>),
}

impl ProxyProtocol {
    pub fn new(policies: Ranges<HeaderPolicy>, timeout: Duration) -> Self {
        ProxyProtocol { policies, timeout }
    }

    fn policy(&self, peer: &Endpoint) -> HeaderPolicy {
        self.policies.get(peer).unwrap_or(HeaderPolicy::Reject)
    }

    /// Whether who has connected may be a proxy, so that the peer is not known yet.
    pub fn may_be_proxy(&self, peer: &Endpoint) -> bool {
        self.policy(peer) != HeaderPolicy::Reject
    }

    /// Read the header, if one is to come, and let the connection be between those that
    /// it names.
    ///
    /// # Errors
    /// When the connection has been reset, which has been counted and logged.
    pub async fn apply(
        &self,
        mut connected: Connected,
        reached: &Arc<LimitCounters>,
    ) -> io::Result<(Connected, Peer)> {
        let is_optional = match self.policy(&connected.peer) {
            HeaderPolicy::Reject => {
                let (peer, reached) = (connected.peer, Arc::clone(reached));
                connected.stream = Box::new(Screened::new(connected.stream, peer, reached));
                return Ok((connected, Peer::Itself));
            }
            HeaderPolicy::Optional => true,
            HeaderPolicy::Require => false,
        };
        let deadline = Instant::now() + self.timeout;
        match begin(&mut connected.stream, is_optional, deadline).await {
            Ok(Beginning::Header(header)) => Ok(connected.enter(header)),
            Ok(Beginning::Other(bytes)) => {
                if !bytes.is_empty() {
                    connected.stream = Box::new(Prefixed::new(bytes, connected.stream));
                }
                Ok((connected, Peer::Itself))
            }
            Err(why) => {
                self.log(connected.peer, &why, reached);
                connected.stream.reset();
                Err(io::ErrorKind::InvalidData.into())
            }
        }
    }

    fn log(&self, peer: Endpoint, why: &NoHeader, reached: &LimitCounters) {
        let (limit, what) = match why {
            NoHeader::Wrong(error) => (Limit::ProxyHeader, error.to_string()),
            NoHeader::Truncated => (
                Limit::ProxyHeader,
                "it ended before its PROXY header did".to_owned(),
            ),
            NoHeader::TimedOut => (
                Limit::ProxyTimeout,
                format!(
                    "no PROXY header came in {}",
                    crate::duration::show(self.timeout)
                ),
            ),
            NoHeader::Empty => {
                tracing::debug!(%peer, "connection from {peer} ended without a PROXY header");
                return;
            }
            NoHeader::Failed(error) => {
                tracing::debug!(%peer, "connection from {peer} failed: {error}");
                return;
            }
        };
        log_closed(reached, limit, peer, &what);
    }
}

/// Count a connection that is closed because of a header, and log it now and then.
fn log_closed(reached: &LimitCounters, limit: Limit, peer: Endpoint, what: &str) {
    if let Some(suppressed) = reached.count_and_log(limit) {
        tracing::warn!(
            kind = "limit",
            limit = limit.name(),
            %peer,
            suppressed = suppressed.count(),
            "connection from {peer} closed: {what} (--{}){suppressed}",
            limit.name()
        );
    }
}

/// Read a header. With `is_optional` something else may come, or nothing in time.
async fn begin(
    stream: &mut Stream,
    is_optional: bool,
    deadline: Instant,
) -> Result<Beginning, NoHeader> {
    let mut bytes = Vec::new();
    loop {
        let missing = match header::parse(&bytes) {
            Ok(Progress::Whole(header)) => return Ok(Beginning::Header(header)),
            Ok(Progress::Needs(missing)) => missing,
            Err(HeaderError::Other(_)) if is_optional => return Ok(Beginning::Other(bytes)),
            Err(error) => return Err(NoHeader::Wrong(error)),
        };
        let is_undecided = is_optional && header::signature(&bytes) == Signature::Begun;
        let mut next = (&mut *stream).take(missing as u64);
        match timeout_at(deadline, next.read_buf(&mut bytes)).await {
            Ok(Ok(1..)) => {}
            // What has not become a signature is no header. Its end, too, is read again.
            Err(_) | Ok(Ok(0)) if is_undecided => return Ok(Beginning::Other(bytes)),
            Ok(Ok(0)) if bytes.is_empty() => return Err(NoHeader::Empty),
            Ok(Ok(0)) => return Err(NoHeader::Truncated),
            Ok(Err(error)) => return Err(NoHeader::Failed(error)),
            Err(_) => return Err(NoHeader::TimedOut),
        }
    }
}

impl Connected {
    /// The connection is between those that a header names.
    fn enter(mut self, header: Header) -> (Self, Peer) {
        let socket = (self.local, self.peer);
        let peer = match header.command {
            Command::Local => Peer::Proxy,
            Command::Proxy(Addresses::Unknown) => Peer::Unknown,
            Command::Proxy(Addresses::Ip { peer, local }) => {
                self.peer = Endpoint::Ip(peer);
                self.local = Endpoint::Ip(local);
                Peer::Itself
            }
            Command::Proxy(Addresses::Unix) => {
                self.peer = Endpoint::Unix(None);
                self.local = Endpoint::Unix(None);
                Peer::Itself
            }
        };
        self.facts_mut().proxy = Some(ProxyFacts {
            version: header.version,
            local: socket.0,
            via: socket.1,
            is_local: peer == Peer::Proxy,
            extensions: header.extensions,
        });
        (self, peer)
    }
}
