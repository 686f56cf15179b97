//! Where a browser finds the page, with the token.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::token::Token;
use crate::listener::ListenAddress;

/// The address as a browser on this machine reaches it; none if it is no TCP address.
pub fn reachable(address: &ListenAddress) -> Option<SocketAddr> {
    let mut address = address.socket_addr()?;
    // Every address includes this machine's own.
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Some(address)
}

/// The token is after the `#`, which browsers don't send: it gets into no log of a server
/// and into no Referer.
pub fn link(address: SocketAddr, token: &Token) -> String {
    let token: String = form_urlencoded::byte_serialize(token.reveal().as_bytes()).collect();
    format!("http://{address}/#token={token}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_here_reaches_it() {
        for (listens, reached) in [
            ("127.0.0.1:9300", Some("127.0.0.1:9300")),
            ("0.0.0.0:9300", Some("127.0.0.1:9300")),
            ("[::]:9300", Some("[::1]:9300")),
            ("10.1.2.3:9300", Some("10.1.2.3:9300")),
            ("unix:/run/admin.sock", None),
        ] {
            let address = listens.parse::<ListenAddress>().expect("an address");
            let reached = reached.map(|it| it.parse().expect("an address"));
            assert_eq!(reachable(&address), reached, "{listens}");
        }
    }
}
