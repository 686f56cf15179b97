//! From an address to a listening socket, in two steps: an address that is taken
//! is found at once, and clients are refused until the guest is ready to serve
//! them.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, UnixListener};

use super::{Inherited, ListenAddress, Tcp, Unix};
use crate::limits::{LimitError, Limits, MAX_WRITE_TIMEOUT, Setting};
use crate::socket_file::{self, SocketFile, SocketFileError};

/// Connections that the kernel completes before the server accepts them. The
/// kernel's own limit (`net.core.somaxconn`) may be lower.
const BACKLOG: i32 = 4096;
/// Ports below need a privilege.
const PRIVILEGED: u16 = 1024;
/// Probes sent to a silent peer before it is taken for gone…
const KEEPALIVE_PROBES: u32 = 3;

/// What every accepted socket inherits from its listener, so that accepting
/// one costs no further system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    /// Silence after which a peer is probed; a third of it passes between two
    /// probes.
    pub keepalive: Duration,
    /// How long sent bytes may go unacknowledged, at least: no shorter than it takes to probe
    /// a silent peer.
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
    InUse(ListenAddress),
    #[error(
        "cannot listen on {0}: ports below {PRIVILEGED} need a privilege; choose a higher \
         one with --listen, or grant it with `setcap cap_net_bind_service=+ep`"
    )]
    Privileged(ListenAddress),
    #[error(
        "cannot listen on {0}: this machine has no such address; \
         `ip address` shows those it has"
    )]
    NoSuchAddress(ListenAddress),
    #[error("cannot listen on {0}: {1}")]
    SocketFile(ListenAddress, SocketFileError),
    #[error("cannot listen on {0}: a running server uses that name")]
    NameInUse(ListenAddress),
    #[error("cannot listen on {}: {}", .0, crate::os_error::message(.1))]
    Other(ListenAddress, io::Error),
}

impl BindError {
    fn new(address: &ListenAddress, error: io::Error) -> Self {
        let port = address.socket_addr().map(|address| address.port());
        let address = address.clone();
        match error.kind() {
            io::ErrorKind::AddrInUse if port.is_none() => BindError::NameInUse(address),
            io::ErrorKind::AddrInUse => BindError::InUse(address),
            io::ErrorKind::PermissionDenied
                if port.is_some_and(|port| (1..PRIVILEGED).contains(&port)) =>
            {
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
    asked: ListenAddress,
    /// With its real port.
    address: ListenAddress,
    /// Of a Unix socket, with the mode that it gets.
    file: Option<(Arc<SocketFile>, u32)>,
    /// Of a socket that another listener has had until now: what is to hold instead. It
    /// waits for [`Handle::set_options`], as the other one may go on.
    pending: Option<SocketOptions>,
}

/// Another hold on a socket that listens: whoever takes it over accepts from the same
/// queue, so that no client is refused on the way. Clones are the same hold. While there
/// is one, clients can connect, so [`Self::close`] it when nobody shall listen any more.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Mutex<Option<Bound>>>);

/// A socket that listens.
#[derive(Debug)]
pub enum Listening {
    Tcp(Tcp),
    Unix(Unix),
}

impl Bound {
    /// The address with its real port.
    pub fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// A second hold on the socket.
    ///
    /// # Errors
    /// When this process may have no more descriptors.
    pub fn handle(&self) -> Result<Handle, BindError> {
        Ok(Handle(Arc::new(Mutex::new(Some(self.duplicate()?)))))
    }

    fn duplicate(&self) -> Result<Bound, BindError> {
        let socket = self.socket.try_clone();
        Ok(Bound {
            socket: socket.map_err(|error| BindError::new(&self.asked, error))?,
            asked: self.asked.clone(),
            address: self.address.clone(),
            file: self.file.clone(),
            pending: self.pending,
        })
    }

    /// Let clients connect.
    ///
    /// # Errors
    /// When another program listens there by now: two may have the same address
    /// as long as neither does (socket(7), `SO_REUSEADDR`).
    pub fn listen(self) -> Result<Listening, BindError> {
        let listen = || -> io::Result<Listening> {
            self.socket.listen(BACKLOG)?;
            if self.address.socket_addr().is_some() {
                let socket = TcpListener::from_std(self.socket.into())?;
                return Ok(Listening::Tcp(socket.into()));
            }
            if let Some((file, mode)) = &self.file
                && self.pending.is_none()
            {
                file.allow(*mode)?;
            }
            let file = self.file.map(|(file, _)| file);
            let socket = UnixListener::from_std(OwnedFd::from(self.socket).into())?;
            Ok(Listening::Unix(Unix::new(socket, file)))
        };
        listen().map_err(|error| BindError::new(&self.asked, error))
    }
}

impl Handle {
    /// Whether it listens where this address says. One that took a free port does.
    pub fn is_at(&self, address: &ListenAddress) -> bool {
        let held = self.0.lock();
        let is =
            |held: &Bound| held.asked.is_place_of(address) || held.address.is_place_of(address);
        held.as_ref().is_some_and(is)
    }

    /// Hold the socket no longer.
    pub fn close(&self) {
        *self.0.lock() = None;
    }

    /// The socket once more, for another listener. Its options and the mode of its file are
    /// those of `options` and `address` from [`Self::set_options`] on.
    ///
    /// # Errors
    /// When this process may have no more descriptors. `address` names it if nobody
    /// listens any more.
    pub fn take_over(
        &self,
        address: &ListenAddress,
        options: SocketOptions,
    ) -> Result<Bound, BindError> {
        let held = self.0.lock();
        let Some(held) = &*held else {
            return Err(BindError::new(address, io::ErrorKind::NotConnected.into()));
        };
        let mut bound = held.duplicate()?;
        bound.pending = Some(options);
        if let (Some((_, mode)), ListenAddress::Unix { mode: wanted, .. }) =
            (&mut bound.file, address)
        {
            *mode = wanted.unwrap_or_else(usual_mode);
            bound.asked = address.clone();
            bound.address = address.clone();
        }
        Ok(bound)
    }

    /// Let what was asked for when the socket was taken over hold for what is accepted from
    /// now on. Nothing to do for a socket that was not.
    ///
    /// # Errors
    /// As setsockopt(2) and chmod(2).
    pub fn set_options(&self) -> io::Result<()> {
        let mut held = self.0.lock();
        let Some(held) = &mut *held else {
            return Ok(());
        };
        let Some(options) = held.pending.take() else {
            return Ok(());
        };
        match &held.file {
            Some((file, mode)) => file.allow(*mode),
            None if held.address.socket_addr().is_some() => inherited(&held.socket, options),
            None => Ok(()),
        }
    }
}

/// Take an address. Port 0 takes a free port.
///
/// # Errors
/// When the address is taken, forbidden or not this machine's.
pub fn bind(asked: ListenAddress, options: SocketOptions) -> Result<Bound, BindError> {
    let failed = |error| BindError::new(&asked, error);
    let (socket, file) = match &asked {
        ListenAddress::Ip(address) => (tcp(*address, true, options).map_err(failed)?, None),
        ListenAddress::Any(port) => {
            let both = tcp((Ipv6Addr::UNSPECIFIED, *port).into(), false, options);
            let socket = match both {
                // A kernel without IPv6.
                Err(error) if error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error()) => {
                    tcp((Ipv4Addr::UNSPECIFIED, *port).into(), true, options)
                }
                both => both,
            };
            (socket.map_err(failed)?, None)
        }
        ListenAddress::Unix { path, mode } => {
            let (socket, file) = socket_file::bind(path)
                .map_err(|error| BindError::SocketFile(asked.clone(), error))?;
            (
                socket,
                Some((Arc::new(file), mode.unwrap_or_else(usual_mode))),
            )
        }
        ListenAddress::Abstract(name) => (named(name).map_err(failed)?, None),
    };
    let local = socket.local_addr().ok().and_then(|local| local.as_socket());
    let address = match (&asked, local) {
        (ListenAddress::Any(_), Some(local)) => ListenAddress::Any(local.port()),
        (_, Some(local)) => ListenAddress::Ip(local),
        (_, None) => asked.clone(),
    };
    Ok(Bound {
        socket,
        asked,
        address,
        file,
        pending: None,
    })
}

fn tcp(address: SocketAddr, only_its_family: bool, options: SocketOptions) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A server that was stopped a moment ago must be able to start again.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // [::] and 0.0.0.0 on the same port are two listeners, on every system; *:PORT is
        // one for both families.
        socket.set_only_v6(only_its_family)?;
    }
    inherited(&socket, options)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// An abstract Unix socket, whose name begins with a byte of 0 (unix(7)).
fn named(name: &str) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(format!("\0{name}"))?)?;
    Ok(socket)
}

/// What other programs give their sockets: whatever the umask leaves. It is read where that
/// doesn't change it (proc(5)), as other threads may create files.
fn usual_mode() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    let mask = mask.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok());
    0o777 & !mask.unwrap_or(0o022)
}

/// One that listens already. What accepted sockets inherit is set as for others.
///
/// # Errors
/// When it cannot be made ready.
pub fn adopt(inherited: &Inherited, options: SocketOptions) -> Result<Bound, BindError> {
    let address = inherited.address.clone();
    let adopt = || -> io::Result<Socket> {
        let socket = inherited.socket.try_clone()?;
        socket.set_nonblocking(true)?;
        if address.socket_addr().is_some() {
            self::inherited(&socket, options)?;
        }
        Ok(socket)
    };
    let socket = adopt().map_err(|error| BindError::new(&address, error))?;
    Ok(Bound {
        socket,
        asked: address.clone(),
        address,
        file: None,
        pending: None,
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
    // It takes the place of the number of probes as well (tcp(7)): were it shorter than all of
    // them, a peer that is silent and one packet that is lost would end the connection.
    let probes = options.keepalive + interval * KEEPALIVE_PROBES;
    socket.set_tcp_user_timeout(Some(options.user_timeout.max(probes)))
}
