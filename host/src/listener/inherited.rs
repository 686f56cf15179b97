//! Sockets that listen already when the process begins: systemd's, by the protocol of
//! sd_listen_fds(3).

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use listenfd::ListenFd;
use socket2::Socket;

use super::ListenAddress;

/// A socket that was handed to this process. Clients connect already; they wait until it
/// is accepted from.
#[derive(Clone, Debug)]
pub struct Inherited {
    pub(super) socket: Arc<Socket>,
    /// `FileDescriptorName=` of the unit; empty if it has none.
    pub name: String,
    pub address: ListenAddress,
}

impl Inherited {
    /// Whether both are the same socket.
    pub fn is(&self, other: &Inherited) -> bool {
        Arc::ptr_eq(&self.socket, &other.socket)
    }
}

/// Take them; the second call finds none. The environment says which there are, so no
/// other thread may run yet.
///
/// # Errors
/// Names the first that is no socket of a kind that can be served.
pub fn inherited() -> Result<Vec<Inherited>, String> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':').map(str::to_owned);
    let mut all = ListenFd::from_env();
    let count = all.len();
    let take = |number| {
        let name = names.next().unwrap_or_default();
        let socket = socket(&mut all, number)?;
        let socket = Arc::new(socket);
        let address = address(&socket).map_err(|error| error.to_string())?;
        Ok(Inherited {
            socket,
            name,
            address,
        })
    };
    (0..count).map(take).collect()
}

fn socket(all: &mut ListenFd, number: usize) -> Result<Socket, String> {
    if let Ok(Some(tcp)) = all.take_tcp_listener(number) {
        return Ok(tcp.into());
    }
    match all.take_unix_listener(number) {
        Ok(Some(unix)) => Ok(OwnedFd::from(unix).into()),
        Ok(None) => Err(format!("socket {number} of LISTEN_FDS is missing")),
        Err(_) => Err(format!(
            "socket {number} of LISTEN_FDS is neither TCP nor a Unix stream; \
             use ListenStream= in the socket unit"
        )),
    }
}

fn address(socket: &Socket) -> io::Result<ListenAddress> {
    let local = socket.local_addr()?;
    if let Some(address) = local.as_socket() {
        return Ok(ListenAddress::Ip(address));
    }
    if let Some(name) = local.as_abstract_namespace() {
        return Ok(ListenAddress::Abstract(
            String::from_utf8_lossy(name).into_owned(),
        ));
    }
    let path = local.as_pathname().unwrap_or_else(|| "".as_ref());
    Ok(ListenAddress::Unix {
        path: path.to_owned(),
        mode: None,
    })
}
