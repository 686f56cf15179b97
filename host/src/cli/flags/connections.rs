//! The flags about how long connections may take for what, and about their sockets.

use std::time::Duration;

use crate::duration;
use crate::limits::Limits;
use crate::listener::SocketOptions;

const CONNECTIONS: &str = "Connections";

/// See the module's documentation.
#[derive(Debug, clap::Args)]
pub(super) struct ConnectionFlags {
    /// Time that the handshake of a connection may take, before an instance is made or when the guest
    /// begins TLS
    #[arg(long, value_name = "TIME", default_value = duration::show(Limits::default().handshake_timeout), value_parser = duration::parse, help_heading = CONNECTIONS, hide_short_help = true)]
    pub(super) handshake_timeout: Duration,

    /// Reset a connection whose peer reads nothing for this long
    #[arg(long, value_name = "TIME", default_value = duration::show(Limits::default().write_timeout), value_parser = duration::parse, help_heading = CONNECTIONS, hide_short_help = true)]
    pub(super) write_timeout: Duration,

    /// Close a connection that is silent in both directions for this long [default: none]
    #[arg(long, value_name = "TIME", value_parser = duration::parse, help_heading = CONNECTIONS, hide_short_help = true)]
    pub(super) idle_timeout: Option<Duration>,

    /// Save and drop the instance of a connection that is idle for this long, until its next event [default: none]
    #[arg(long, value_name = "TIME", value_parser = duration::parse, help_heading = CONNECTIONS, hide_short_help = true)]
    pub(super) hibernate_after: Option<Duration>,

    /// Time that open connections may go on after SIGTERM or Ctrl-C, and that sending what is queued for a peer may take when its connection is closed
    #[arg(long, value_name = "TIME", default_value = duration::show(Limits::default().grace), value_parser = duration::parse, help_heading = CONNECTIONS, hide_short_help = true)]
    pub(super) grace: Duration,

    /// Time to read on after closing a connection, so that its last reply is not lost
    #[arg(long, value_name = "TIME", default_value = duration::show(Limits::default().linger), value_parser = duration::parse, help_heading = CONNECTIONS, hide_short_help = true)]
    pub(super) linger: Duration,

    /// Reset a connection whose peer is silent for this long after the guest has ended its side
    #[arg(long, value_name = "TIME", default_value = duration::show(Limits::default().half_close_timeout), value_parser = duration::parse, help_heading = CONNECTIONS, hide_short_help = true)]
    pub(super) half_close_timeout: Duration,

    /// TCP keepalive: idle time before the first probe
    #[arg(long, value_name = "TIME", default_value = duration::show(SocketOptions::default().keepalive), value_parser = duration::parse, help_heading = CONNECTIONS, hide_short_help = true)]
    pub(super) keepalive: Duration,

    /// Enable Nagle's algorithm: gather small writes instead of sending each at once
    #[arg(long, help_heading = CONNECTIONS, hide_short_help = true)]
    pub(super) nagle: bool,
}

impl ConnectionFlags {
    /// The options of sockets that they stand for.
    pub(super) fn sockets(&self) -> SocketOptions {
        SocketOptions {
            keepalive: self.keepalive,
            user_timeout: self.write_timeout,
            nodelay: !self.nagle,
        }
    }
}
