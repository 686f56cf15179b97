//! From an address to a listening socket, in two steps: an address that is taken
//! is found at once, and clients are refused until the guest is ready to serve
//! them.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::TcpListener;

use crate::limits::{LimitError, Limits, MAX_WRITE_TIMEOUT, Setting};

/// Connections that the kernel completes before the server accepts them. The
/// kernel's own limit (`net.core.somaxconn`) may be lower.
const BACKLOG: i32 = 4096;
/// Ports below need a privilege.
const PRIVILEGED: u16 = 1024;
/// Probes sent to a silent peer before it is taken for gone…
const KEEPALIVE_PROBES: u32 = 3;

/// What every accepted socket inherits from its listener, so that accepting
/// one costs no further system calls.
#[derive(Clone, Copy, Debug)]
pub struct SocketOptions {
    /// Silence after which a peer is probed; a third of it passes between two
    /// probes.
    pub keepalive: Duration,
    /// How long sent bytes may go unacknowledged.
    pub user_timeout: Duration,
    /// Send at once instead of gathering small writes.
    pub nodelay: bool,
}

impl Default for SocketOptions {
    fn default() -> Self {
        SocketOptions {
            keepalive: Duration::from_secs(60),
            user_timeout: Limits::default().write_timeout,
            nodelay: true,
        }
    }
}

impl SocketOptions {
    /// Each option by the name of its flag, with its value and its range, which
    /// is what the kernel accepts (tcp(7)).
    pub fn settings(&self) -> [Setting; 2] {
        let keepalive = Duration::from_secs(1)..=Duration::from_secs(32_767);
        let user_timeout = Duration::from_millis(1)..=MAX_WRITE_TIMEOUT;
        [
            Setting::time("keepalive", self.keepalive, keepalive),
            Setting::time("write-timeout", self.user_timeout, user_timeout),
        ]
    }

    /// Check that every option is in its range.
    ///
    /// # Errors
    /// Names the first one that isn't.
    pub fn validate(&self) -> Result<(), LimitError> {
        self.settings().iter().try_for_each(Setting::validate)
    }
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error(
        "cannot listen on {0}: another program uses that port; \
         stop it, or choose another with --listen (port 0 takes a free one)"
    )]
    InUse(SocketAddr),
    #[error(
        "cannot listen on {0}: ports below {PRIVILEGED} need a privilege; choose a higher \
         one with --listen, or grant it with `setcap cap_net_bind_service=+ep`"
    )]
    Privileged(SocketAddr),
    #[error(
        "cannot listen on {0}: this machine has no such address; \
         `ip address` shows those it has"
    )]
    NoSuchAddress(SocketAddr),
    #[error("cannot listen on {}: {}", .0, crate::os_error::message(.1))]
    Other(SocketAddr, io::Error),
}

impl BindError {
    fn new(address: SocketAddr, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse(address),
            io::ErrorKind::PermissionDenied if (1..PRIVILEGED).contains(&address.port()) => {
                BindError::Privileged(address)
            }
            io::ErrorKind::AddrNotAvailable => BindError::NoSuchAddress(address),
            _ => BindError::Other(address, error),
        }
    }
}

/// A socket that has its address but does not listen yet: clients are refused, as
/// if nobody was there. [`Self::listen`] in the end.
#[derive(Debug)]
pub struct Bound {
    socket: Socket,
    /// As it was asked for, for messages.
    asked: SocketAddr,
    local: SocketAddr,
}

impl Bound {
    /// The address with its real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Let clients connect.
    ///
    /// # Errors
    /// When another program listens there by now: two may have the same address
    /// as long as neither does (socket(7), `SO_REUSEADDR`).
    pub fn listen(self) -> Result<TcpListener, BindError> {
        self.socket
            .listen(BACKLOG)
            .and_then(|()| TcpListener::from_std(self.socket.into()))
            .map_err(|error| BindError::new(self.asked, error))
    }
}

/// Take an address. Port 0 takes a free port.
///
/// # Errors
/// When the address is taken, forbidden or not this machine's.
pub fn bind(address: SocketAddr, options: SocketOptions) -> Result<Bound, BindError> {
    bind_socket(address, options).map_err(|error| BindError::new(address, error))
}

fn bind_socket(address: SocketAddr, options: SocketOptions) -> io::Result<Bound> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A server that was stopped a moment ago must be able to start again.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // [::] and 0.0.0.0 on the same port are two listeners, on every system.
        socket.set_only_v6(true)?;
    }
    inherited(&socket, options)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    let local = socket.local_addr()?.as_socket();
    Ok(Bound {
        socket,
        asked: address,
        local: local.unwrap_or(address),
    })
}

/// Linux hands these on to each accepted socket.
fn inherited(socket: &Socket, options: SocketOptions) -> io::Result<()> {
    let socket = SockRef::from(socket);
    socket.set_tcp_nodelay(options.nodelay)?;
    let interval = (options.keepalive / KEEPALIVE_PROBES).max(Duration::from_secs(1));
    let keepalive = TcpKeepalive::new()
        .with_time(options.keepalive)
        .with_interval(interval)
        .with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(options.user_timeout))
}
