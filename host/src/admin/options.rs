//! What can be said to the admin address.

use crate::listener::ListenAddress;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct AdminOptions {
    pub listen: ListenAddress,
    /// Names besides those of this machine under which clients reach it.
    pub hosts: Vec<String>,
}

impl AdminOptions {
    /// Whether only processes of this machine can connect.
    pub fn is_local(&self) -> bool {
        match &self.listen {
            ListenAddress::Ip(address) => address.ip().is_loopback(),
            ListenAddress::Any(_) => false,
            ListenAddress::Unix { .. } | ListenAddress::Abstract(_) => true,
        }
    }
}
