//! Which connections are accepted: at most `--max-connections` at once, and
//! `--max-per-peer` of one address.

use std::net::IpAddr;
use std::sync::Arc;

use hotsocket_sandbox::limit_counters::Limit;
use tokio::sync::OwnedSemaphorePermit;

use super::Service;
use crate::limits::WhenFull;
use crate::roster::PeerPermit;

/// The right of one connection to be open. Free again when it is dropped.
pub struct SessionPermit {
    _among_all: OwnedSemaphorePermit,
    _of_listener: Option<OwnedSemaphorePermit>,
    of_peer: Option<PeerPermit>,
}

/// The connection is refused; that has been counted and logged.
#[derive(Debug)]
pub struct Refused;

impl Service {
    /// Take a permit for a connection from this address, and wait for one if
    /// `--when-full` says so. Its listener may have given it one, too.
    ///
    /// # Errors
    /// When the connection is to be refused.
    pub async fn admit(
        &self,
        peer: Option<IpAddr>,
        of_listener: Option<OwnedSemaphorePermit>,
    ) -> Result<SessionPermit, Refused> {
        let of_peer = match peer {
            Some(peer) => self.peer_permit(peer)?,
            None => None,
        };
        let among_all = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => self.wait_for_permit().await?,
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

    fn peer_permit(&self, peer: IpAddr) -> Result<Option<PeerPermit>, Refused> {
        let Some(max) = self.limits.max_per_peer else {
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

    async fn wait_for_permit(&self) -> Result<OwnedSemaphorePermit, Refused> {
        self.limit_counters.count(Limit::Connections);
        let waits = self.limits.when_full == WhenFull::Wait;
        if let Some(suppressed) = self.no_room.due() {
            let max = self.limits.max_connections;
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
        let permits = Arc::clone(&self.permits);
        permits.acquire_owned().await.map_err(|_| Refused)
    }
}
