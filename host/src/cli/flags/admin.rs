//! The flags about the admin address.

use std::path::PathBuf;
use std::time::Duration;

use crate::admin::{AdminLimits, AdminOptions};
use crate::cli::parse;
use crate::duration;
use crate::limits::LimitError;
use crate::listener::ListenAddress;

const ADMIN: &str = "Admin address";

/// See the module's documentation.
#[derive(Debug, clap::Args)]
pub(super) struct AdminFlags {
    /// Serve the inspector, metrics, health and status over HTTP: 127.0.0.1:9300, unix:PATH or another form that --listen takes [default: none]
    #[arg(long, value_name = "ADDR", value_parser = parse::address, help_heading = ADMIN)]
    admin: Option<ListenAddress>,

    /// Name besides localhost under which the admin address is reached; may be given several times
    #[arg(long, value_name = "NAME", requires = "admin", help_heading = ADMIN, hide_short_help = true)]
    admin_host: Vec<String>,

    /// File with the token of the admin address, on one line of at least 16 characters; see `hotsocket open` [default: a random token]
    #[arg(long, value_name = "FILE", requires = "admin", help_heading = ADMIN)]
    admin_token_file: Option<PathBuf>,

    /// Time that a client of the admin address has for the head of a request
    #[arg(long, value_name = "TIME", default_value = duration::show(AdminLimits::default().timeout), value_parser = duration::parse, requires = "admin", help_heading = ADMIN, hide_short_help = true)]
    admin_timeout: Duration,

    /// Time that a connection to the admin address may last
    #[arg(long, value_name = "TIME", default_value = duration::show(AdminLimits::default().lifetime), value_parser = duration::parse, requires = "admin", help_heading = ADMIN, hide_short_help = true)]
    admin_lifetime: Duration,

    /// Clients of the admin address at once
    #[arg(long, value_name = "N", default_value_t = AdminLimits::default().clients, requires = "admin", help_heading = ADMIN, hide_short_help = true)]
    admin_clients: usize,
}

impl AdminFlags {
    /// The options that they stand for; `None` without an address.
    ///
    /// # Errors
    /// When a limit is out of its range.
    pub(super) fn options(self) -> Result<Option<AdminOptions>, LimitError> {
        let limits = AdminLimits {
            timeout: self.admin_timeout,
            lifetime: self.admin_lifetime,
            clients: self.admin_clients,
        };
        limits.validate()?;
        Ok(self.admin.map(|listen| AdminOptions {
            listen,
            hosts: self.admin_host,
            token_file: self.admin_token_file,
            limits,
        }))
    }
}
