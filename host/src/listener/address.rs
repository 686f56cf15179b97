//! What can be listened on, as the command line, the log and `status` write it.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use hotsocket_sandbox::Endpoint;

/// See the module's documentation; [`str::parse`] reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    Ip(SocketAddr),
    /// Every address of this machine, of both families: `*:PORT`.
    Any(u16),
    /// A Unix socket with a file, and the file's mode; `None`: as the umask has it.
    Unix {
        path: PathBuf,
        mode: Option<u32>,
    },
    /// A Unix socket without a file: an abstract one of unix(7), `unix:@NAME`.
    Abstract(String),
}

const FORMS: &str = "not an address to listen on; try 127.0.0.1:3000, [::1]:3000, *:3000 \
                     or unix:/run/app.sock";

impl ListenAddress {
    /// `None` for a Unix socket.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            ListenAddress::Ip(address) => Some(*address),
            ListenAddress::Any(port) => Some((Ipv6Addr::UNSPECIFIED, *port).into()),
            ListenAddress::Unix { .. } | ListenAddress::Abstract(_) => None,
        }
    }

    /// Whether no two sockets can listen at both. Port 0 is no port yet.
    pub fn conflicts_with(&self, other: &Self) -> bool {
        let covers = |all: &Self, one: &SocketAddr| match all {
            ListenAddress::Any(port) => *port == one.port(),
            // One for IPv6 alone takes no connections of IPv4.
            ListenAddress::Ip(all) => {
                all.port() == one.port()
                    && (all.ip() == one.ip()
                        || all.ip().is_unspecified() && all.is_ipv4() == one.is_ipv4())
            }
            ListenAddress::Unix { .. } | ListenAddress::Abstract(_) => false,
        };
        match (self.socket_addr(), other.socket_addr()) {
            (Some(own), Some(others)) => {
                own.port() != 0 && (covers(self, &others) || covers(other, &own))
            }
            (None, None) => self.is_place_of(other),
            _ => false,
        }
    }

    /// Whether they differ at most in the mode of the socket's file.
    pub fn is_place_of(&self, other: &Self) -> bool {
        match (self, other) {
            (ListenAddress::Unix { path, .. }, ListenAddress::Unix { path: other, .. }) => {
                path == other
            }
            _ => self == other,
        }
    }

    /// What is said of the mode of a Unix socket's file.
    pub fn mode(&self) -> Option<u32> {
        match self {
            ListenAddress::Unix { mode, .. } => *mode,
            _ => None,
        }
    }

    /// As guests see it.
    pub fn endpoint(&self) -> Endpoint {
        self.socket_addr()
            .map_or(Endpoint::Unix(None), Endpoint::Ip)
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        ListenAddress::Ip(address)
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(unix) = text.strip_prefix("unix:") {
            return parse_unix(unix);
        }
        if let Some(port) = text.strip_prefix("*:") {
            let port = port.parse().map_err(|_| FORMS)?;
            return Ok(ListenAddress::Any(port));
        }
        // A port alone, as in `server.listen(3000)`, is one on the loopback interface.
        let port = text.strip_prefix("localhost").unwrap_or(text);
        let port = port.strip_prefix(':').unwrap_or(port);
        let numeric = match port.parse::<u16>() {
            Ok(port) => format!("127.0.0.1:{port}"),
            Err(_) => numeric_zone(text)?,
        };
        let address = numeric.parse().map_err(|_| FORMS)?;
        Ok(ListenAddress::Ip(address))
    }
}

/// `PATH[,mode=660]` or `@NAME`.
fn parse_unix(text: &str) -> Result<ListenAddress, String> {
    let (path, mode) = match text.rsplit_once(",mode=") {
        Some((path, mode)) => (path, Some(mode)),
        None => (text, None),
    };
    let mode = mode.map(|digits| {
        let mode = u32::from_str_radix(digits, 8).ok();
        let mode = mode.filter(|mode| *mode <= 0o777);
        mode.ok_or_else(|| format!("{digits} is no mode of a file; try mode=660"))
    });
    let mode = mode.transpose()?;
    match path.strip_prefix('@') {
        _ if path.is_empty() || path == "@" => Err("unix: takes a path, or @ and a name".into()),
        Some(_) if mode.is_some() => {
            Err("an abstract socket has no file, so it has no mode".into())
        }
        Some(name) => Ok(ListenAddress::Abstract(name.to_owned())),
        None => Ok(ListenAddress::Unix {
            path: path.into(),
            mode,
        }),
    }
}

/// `[fe80::1%eth0]:3000` with the number of the interface in place of its name, as
/// std reads it (RFC 4007, section 11.2, allows both).
fn numeric_zone(text: &str) -> Result<String, String> {
    let Some((ip, rest)) = text.split_once('%') else {
        return Ok(text.to_owned());
    };
    let Some((name, port)) = rest.split_once(']') else {
        return Ok(text.to_owned());
    };
    if name.parse::<u32>().is_ok() || name.contains('/') {
        return Ok(text.to_owned());
    }
    let index = std::fs::read_to_string(format!("/sys/class/net/{name}/ifindex"));
    let index = index.map_err(|_| {
        format!("this machine has no interface {name}; `ip link` shows those it has")
    })?;
    Ok(format!("{ip}%{}]{port}", index.trim()))
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::Ip(address) => address.fmt(f),
            ListenAddress::Any(port) => write!(f, "*:{port}"),
            ListenAddress::Unix { path, .. } => write!(f, "unix:{}", path.display()),
            ListenAddress::Abstract(name) => write!(f, "unix:@{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match text.parse::<ListenAddress>() {
            Ok(ListenAddress::Unix { path, mode }) => {
                let mode = mode.map(|mode| format!("{mode:o}"));
                format!("{} {}", path.display(), mode.unwrap_or_default())
            }
            Ok(address) => address.to_string(),
            Err(error) => error,
        }
    }

    #[test]
    fn all_forms_are_read() {
        for (text, expected) in [
            ("3000", "127.0.0.1:3000"),
            (":3000", "127.0.0.1:3000"),
            ("localhost:3000", "127.0.0.1:3000"),
            ("0.0.0.0:1", "0.0.0.0:1"),
            ("[::1]:3000", "[::1]:3000"),
            ("*:3000", "*:3000"),
            ("[fe80::1%lo]:3000", "[fe80::1%1]:3000"),
            ("[fe80::1%7]:3000", "[fe80::1%7]:3000"),
            ("unix:/run/a.sock", "/run/a.sock "),
            ("unix:a,b.sock,mode=660", "a,b.sock 660"),
            ("unix:@name", "unix:@name"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn one_may_include_another() {
        for (one, other, expected) in [
            ("127.0.0.1:3000", "127.0.0.1:3000", true),
            ("127.0.0.1:3000", "127.0.0.2:3000", false),
            ("127.0.0.1:3000", "127.0.0.1:3001", false),
            ("*:3000", "127.0.0.1:3000", true),
            ("*:3000", "[::1]:3000", true),
            ("0.0.0.0:3000", "10.0.0.1:3000", true),
            ("0.0.0.0:3000", "[::1]:3000", false),
            ("[::]:3000", "127.0.0.1:3000", false),
            ("[::]:3000", "[::1]:3000", true),
            ("*:0", "127.0.0.1:0", false),
            ("unix:a,mode=600", "unix:a", true),
            ("unix:@a", "unix:a", false),
            ("unix:@a", "unix:@a", true),
            ("unix:a", "*:3000", false),
        ] {
            let [one, other] = [one, other].map(|text| text.parse::<ListenAddress>());
            let (one, other) = (one.expect("one"), other.expect("one"));
            assert_eq!(one.conflicts_with(&other), expected, "{one} {other}");
            assert_eq!(other.conflicts_with(&one), expected, "{other} {one}");
        }
    }

    #[test]
    fn errors_say_what_to_do() {
        for (text, part) in [
            ("", "try 127.0.0.1:3000"),
            ("example.org:80", "not an address"),
            ("*:x", "not an address"),
            ("[fe80::1%nowhere]:1", "no interface nowhere"),
            ("[fe80::1%../x]:1", "not an address"),
            ("unix:", "takes a path"),
            ("unix:@", "takes a path"),
            ("unix:a,mode=9", "9 is no mode"),
            ("unix:a,mode=7777", "7777 is no mode"),
            ("unix:@a,mode=600", "has no mode"),
        ] {
            assert!(shown(text).contains(part), "{text}: {}", shown(text));
        }
    }
}
