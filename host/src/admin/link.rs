//! Where a browser finds the page, with the token, and who may see that.

use std::fs;
use std::io::{self, IsTerminal as _};
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

/// Where the log of this process goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A person's terminal, which keeps nothing.
    Person,
    /// A terminal that somebody else may read later.
    Recorder,
    /// No terminal.
    Program,
}

impl Reader {
    /// A container's runtime and a supervisor give what they start a terminal as well, and
    /// keep all that is written to it (`docker run -t`, and even `-it`: `docker logs` has
    /// it). What they start leads the terminal's session, or PID 1 does; what a person
    /// starts has a shell that does.
    pub fn of_this_process() -> Self {
        if !io::stderr().is_terminal() {
            return Reader::Program;
        }
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        match io::stdin().is_terminal() && has_shell(&stat) {
            true => Reader::Person,
            false => Reader::Recorder,
        }
    }
}

/// Whether a process has a terminal whose session another one leads, as its
/// `/proc/PID/stat` has it (proc(5)).
fn has_shell(stat: &str) -> bool {
    let Some((begin, rest)) = stat.rsplit_once(") ") else {
        return false;
    };
    let number = |text: Option<&str>| text.and_then(|it| it.parse::<i64>().ok());
    let pid = number(begin.split(' ').next());
    let mut fields = rest.split(' ').skip(3);
    let (session, terminal) = (number(fields.next()), number(fields.next()));
    // 0 is a process of another namespace.
    session > Some(1) && session != pid && terminal.is_some_and(|it| it != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_leads_the_session_has_started_it() {
        let stat = |pid: u32, session: u32, terminal: i32| {
            format!("{pid} (a) b) S 7 {pid} {session} {terminal} {pid} 4194304 101 0\n")
        };
        assert!(has_shell(&stat(4711, 4000, 34816)), "a shell");
        for (pid, session, terminal) in [
            // A container's first process, and one that an init there has started.
            (1, 1, 34816),
            (7, 1, 34816),
            // A supervisor's, or that of `ssh -t HOST hotsocket`.
            (4711, 4711, 34816),
            // Of another namespace; of a daemon, with a terminal that is not its own.
            (4711, 0, 34816),
            (4711, 4000, 0),
        ] {
            assert!(!has_shell(&stat(pid, session, terminal)), "{pid} {session}");
        }
        assert!(!has_shell(""));
    }

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
