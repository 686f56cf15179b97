//! Which connections are accepted: at most `--max-connections` at once, and
//! `--max-per-peer` of one address.

use std::net::IpAddr;

use hotsocket_sandbox::limit_counters::Limit;

use super::Service;
use super::permits::Permit;
use crate::limits::WhenFull;
use crate::roster::PeerPermit;

/// The right of one connection to be open. Free again when it is dropped.
pub struct SessionPermit {
    _among_all: Permit,
    _of_listener: Option<Permit>,
    of_peer: Option<PeerPermit>,
}

/// The connection is refused; that has been counted and logged.
#[derive(Debug)]
pub struct Refused;

impl Service {
    /// Take a permit for a connection, and wait for one if `--when-full` says so. It may
    /// have one of its peer ([`Self::peer_permit`]) and one of its listener already.
    ///
    /// # Errors
    /// When the connection is to be refused.
    pub async fn admit(
        &self,
        of_peer: Option<PeerPermit>,
        of_listener: Option<Permit>,
    ) -> Result<SessionPermit, Refused> {
        let among_all = match self.permits.try_take() {
            Some(permit) => permit,
            None => self.wait_for_permit().await?,
        };
        Ok(SessionPermit {
            _among_all: among_all,
            _of_listener: of_listener,
            of_peer,
        })
    }

    /// The same for the peer of a connection that has a permit, once it is known.
    ///
    /// # Errors
    /// When the connection is to be refused.
    pub fn admit_peer(&self, permit: &mut SessionPermit, peer: IpAddr) -> Result<(), Refused> {
        permit.of_peer = self.peer_permit(peer)?;
        Ok(())
    }

    /// Take one of the permits of this address. `None` where they are not limited.
    ///
    /// # Errors
    /// When it has them all; that has been counted and logged.
    pub fn peer_permit(&self, peer: IpAddr) -> Result<Option<PeerPermit>, Refused> {
        let Some(max) = self.limits.load().max_per_peer else {
            return Ok(None);
        };
        if let Some(permit) = self.roster.peer_permit(peer.to_canonical(), max) {
            return Ok(Some(permit));
        }
        self.limit_counters.count(Limit::PerPeer);
        self.counters.refused.count(Limit::PerPeer.name());
        if let Some(suppressed) = self.peer_full.due() {
            tracing::warn!(
                kind = "limit",
                limit = Limit::PerPeer.name(),
                %peer,
                suppressed = suppressed.count(),
                "a connection from {peer} refused: it has {max} open (--max-per-peer){suppressed}"
            );
        }
        Err(Refused)
    }

    /// Let no more connections in, also none that waits for a permit. Those that are open
    /// go on.
    pub fn close_admission(&self) {
        self.permits.close();
    }

    async fn wait_for_permit(&self) -> Result<Permit, Refused> {
        if self.permits.is_closed() {
            return Err(Refused);
        }
        self.limit_counters.count(Limit::Connections);
        let (max, when_full) = {
            let limits = self.limits.load();
            (limits.max_connections, limits.when_full)
        };
        let waits = when_full == WhenFull::Wait;
        if let Some(suppressed) = self.no_room.due() {
            let more = match waits {
                true => "wait until some have closed",
                false => "are refused",
            };
            tracing::warn!(
                kind = "limit",
                limit = Limit::Connections.name(),
                suppressed = suppressed.count(),
                "{max} connections are open (--max-connections); more {more} (--when-full){suppressed}"
            );
        }
        if !waits {
            self.counters.refused.count(Limit::Connections.name());
            return Err(Refused);
        }
        self.permits.take().await.ok_or(Refused)
    }
}
