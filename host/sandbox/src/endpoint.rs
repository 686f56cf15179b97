//! One end of a connection: an address of the internet, or a process of this machine.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// See the module's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Ip(SocketAddr),
    /// An end of a Unix socket; the process is known of peers only.
    Unix(Option<UnixPeer>),
}

/// The process that has connected to a Unix socket (SO_PEERCRED in unix(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnixPeer {
    pub uid: u32,
    pub gid: u32,
    /// `None` for a process that this one can't see (pid_namespaces(7)).
    pub pid: Option<i32>,
}

impl Endpoint {
    /// The address without its port.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Endpoint::Ip(address) => Some(address.ip()),
            Endpoint::Unix(_) => None,
        }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Endpoint::Ip(address)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Ip(address) => address.fmt(f),
            Endpoint::Unix(None) => f.write_str("unix"),
            Endpoint::Unix(Some(UnixPeer { uid, pid: None, .. })) => write!(f, "unix uid {uid}"),
            Endpoint::Unix(Some(UnixPeer {
                uid,
                pid: Some(pid),
                ..
            })) => write!(f, "unix uid {uid} pid {pid}"),
        }
    }
}
