//! Which Host headers are answered.
//!
//! A page of any site may have the browser of whoever opens it send requests to this
//! machine. It may read the answers once its own name resolves to this address (DNS
//! rebinding); but then the browser sends that name as Host. So only names that belong
//! here are answered. A request without the header comes from no browser.

use std::net::IpAddr;

use hotsocket_sandbox::Endpoint;
use hyper::header::HOST;
use hyper::{HeaderMap, Uri};

/// Whether a request that has come to the address `local` may be answered. `names` are
/// those that the operator has allowed.
pub fn is_allowed(uri: &Uri, headers: &HeaderMap, local: &Endpoint, names: &[String]) -> bool {
    let Endpoint::Ip(local) = local else {
        // No browser reaches a Unix socket.
        return true;
    };
    // A proxy's form of the request has the name in the line as well (RFC 9112, 3.2.2).
    let in_line = uri.host().into_iter();
    let in_headers = headers.get_all(HOST).iter();
    let in_headers = in_headers.map(|value| value.to_str().unwrap_or_default());
    let mut named = in_line.chain(in_headers.map(without_port));
    named.all(|name| is_own(name, local.ip(), names))
}

fn is_own(name: &str, local: IpAddr, names: &[String]) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let bare = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    match bare.unwrap_or(name).parse::<IpAddr>() {
        Ok(ip) => ip.is_loopback() || ip.to_canonical() == local.to_canonical(),
        Err(_) => {
            name.eq_ignore_ascii_case("localhost")
                || names.iter().any(|own| own.eq_ignore_ascii_case(name))
        }
    }
}

/// `localhost:9300`, `[::1]:9300`.
fn without_port(host: &str) -> &str {
    let ends_here = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    match host.rsplit_once(':') {
        Some((name, port)) if ends_here(port) && !name.is_empty() => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().expect("a header"));
        let local = Endpoint::Ip("10.1.2.3:9300".parse().expect("an address"));
        let names = ["metrics.example".to_owned()];
        is_allowed(&Uri::from_static("/metrics"), &headers, &local, &names)
    }

    #[test]
    fn names_of_this_machine_are_allowed() {
        for host in [
            "localhost",
            "LOCALHOST:9300",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:9300",
            "10.1.2.3:9300",
            "Metrics.Example.:9300",
        ] {
            assert!(allows(host), "{host}");
        }
    }

    #[test]
    fn foreign_names_are_not() {
        for host in [
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com:9300",
            "10.1.2.4:9300",
            "",
            ":9300",
            "[::2]:9300",
            "localhost:x",
            "example.com#localhost",
        ] {
            assert!(!allows(host), "{host}");
        }
    }

    #[test]
    fn both_names_must_be_allowed_and_none_is_no_browser() {
        let local = Endpoint::Ip("127.0.0.1:9300".parse().expect("an address"));
        let mut headers = HeaderMap::new();
        let uri = Uri::from_static("http://example.com/metrics");
        assert!(!is_allowed(&uri, &headers, &local, &[]));
        let uri = Uri::from_static("/metrics");
        assert!(is_allowed(&uri, &headers, &local, &[]));
        headers.append(HOST, "localhost".parse().expect("a header"));
        headers.append(HOST, "example.com".parse().expect("a header"));
        assert!(!is_allowed(&uri, &headers, &local, &[]));
        assert!(is_allowed(&uri, &headers, &Endpoint::Unix(None), &[]));
    }
}
