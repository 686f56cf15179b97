//! Addresses as `std` knows them, from the text that the contract carries.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The contract promises canonical addresses. The one exception is an instance
/// without a connection, whose address is empty: it becomes `0.0.0.0`.
pub(crate) fn socket_addr(ip: &str, port: u16) -> SocketAddr {
    let ip = ip.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    SocketAddr::new(ip, port)
}

#[cfg(test)]
mod tests {
    use super::socket_addr;

    #[test]
    fn both_families_and_nothing() {
        assert_eq!(socket_addr("127.0.0.1", 80).to_string(), "127.0.0.1:80");
        assert_eq!(socket_addr("::1", 3000).to_string(), "[::1]:3000");
        assert_eq!(socket_addr("", 0).to_string(), "0.0.0.0:0");
    }
}
