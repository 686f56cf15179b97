//! What can be said to the admin address, and what bounds its clients.

use std::path::PathBuf;
use std::time::Duration;

use crate::limits::{LimitError, Setting};
use crate::listener::ListenAddress;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct AdminOptions {
    pub listen: ListenAddress,
    /// Names besides those of this machine under which clients reach it.
    pub hosts: Vec<String>,
    /// The file with the token; a random one if there is none.
    pub token_file: Option<PathBuf>,
    pub limits: AdminLimits,
}

/// What clients may do.
#[derive(Clone, Copy, Debug)]
pub struct AdminLimits {
    /// For the head of a request, from the connect or the end of the request before.
    pub timeout: Duration,
    /// Of a connection, with all of its requests and whatever it does not read.
    pub lifetime: Duration,
    /// Clients at once; one more evicts the one that has kept the server waiting longest.
    pub clients: usize,
}

impl Default for AdminLimits {
    fn default() -> Self {
        AdminLimits {
            timeout: Duration::from_secs(5),
            lifetime: Duration::from_secs(60),
            clients: 32,
        }
    }
}

impl AdminLimits {
    /// Each by the name of its flag, with its value and its range.
    pub fn settings(&self) -> [Setting; 3] {
        let times = Duration::from_millis(1)..=Duration::from_secs(3600);
        [
            Setting::time("admin-timeout", self.timeout, times.clone()),
            Setting::time("admin-lifetime", self.lifetime, times),
            Setting::number("admin-clients", self.clients, 1..=10_000),
        ]
    }

    /// Check that each is in its range.
    ///
    /// # Errors
    /// Names the first one that isn't.
    pub fn validate(&self) -> Result<(), LimitError> {
        self.settings().iter().try_for_each(Setting::validate)
    }
}

impl AdminOptions {
    /// On this address, with the defaults of everything else.
    pub fn at(listen: ListenAddress) -> Self {
        AdminOptions {
            listen,
            hosts: Vec::new(),
            token_file: None,
            limits: AdminLimits::default(),
        }
    }

    /// Whether only processes of this machine can connect.
    pub fn is_local(&self) -> bool {
        match &self.listen {
            ListenAddress::Ip(address) => address.ip().is_loopback(),
            ListenAddress::Any(_) => false,
            ListenAddress::Unix { .. } | ListenAddress::Abstract(_) => true,
        }
    }
}
