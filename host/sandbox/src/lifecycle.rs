//! Why an instance begins to serve a connection, and why a connection is over: as the host
//! has it, and as the contract says it to the guest.

use crate::bindings::hotsocket::socket::types;

/// Why an instance begins to serve a connection.
#[derive(Clone, Debug)]
pub enum Origin {
    Accepted,
    Migrated(Succession),
    Woken(Succession),
    Restarted(Succession),
}

/// What an instance inherits from the one before it.
#[derive(Clone, Debug)]
pub struct Succession {
    pub snapshot: Option<Vec<u8>>,
    pub peer_ended: bool,
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    Ended,
    AbortedByPeer,
    AbortedByGuest,
    IdleTimeout,
    WriteTimeout,
    Shutdown,
    Swapped,
    /// More messages came than may wait.
    MailboxFull,
    /// The peer did not take what others have published.
    QueueFull,
    /// The handshake has failed that the guest has asked for.
    Handshake,
}

impl CloseReason {
    /// As in the contract.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::AbortedByPeer => "aborted-by-peer",
            Self::AbortedByGuest => "aborted-by-guest",
            Self::IdleTimeout => "idle-timeout",
            Self::WriteTimeout => "write-timeout",
            Self::Shutdown => "shutdown",
            Self::Swapped => "swapped",
            Self::MailboxFull => "mailbox-full",
            Self::QueueFull => "queue-full",
            Self::Handshake => "handshake",
        }
    }

    /// Whether the guest may write a farewell in `close`.
    pub fn allows_farewell(self) -> bool {
        matches!(self, Self::IdleTimeout | Self::Shutdown | Self::Swapped)
    }
}

impl From<Origin> for types::Origin {
    fn from(origin: Origin) -> Self {
        match origin {
            Origin::Accepted => types::Origin::Accepted,
            Origin::Migrated(succession) => types::Origin::Migrated(succession.into()),
            Origin::Woken(succession) => types::Origin::Woken(succession.into()),
            Origin::Restarted(succession) => types::Origin::Restarted(succession.into()),
        }
    }
}

impl From<Succession> for types::Succession {
    fn from(succession: Succession) -> Self {
        types::Succession {
            snapshot: succession.snapshot,
            peer_ended: succession.peer_ended,
        }
    }
}

impl From<CloseReason> for types::CloseReason {
    fn from(reason: CloseReason) -> Self {
        match reason {
            CloseReason::MailboxFull | CloseReason::QueueFull | CloseReason::Handshake => {
                types::CloseReason::Other(reason.name().to_owned())
            }
            CloseReason::Ended => types::CloseReason::Ended,
            CloseReason::AbortedByPeer => types::CloseReason::AbortedByPeer,
            CloseReason::AbortedByGuest => types::CloseReason::AbortedByGuest,
            CloseReason::IdleTimeout => types::CloseReason::IdleTimeout,
            CloseReason::WriteTimeout => types::CloseReason::WriteTimeout,
            CloseReason::Shutdown => types::CloseReason::Shutdown,
            CloseReason::Swapped => types::CloseReason::Swapped,
        }
    }
}
