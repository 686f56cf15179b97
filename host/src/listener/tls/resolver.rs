//! Which certificate a client gets, by the name that it asks for (SNI, RFC 6066,
//! section 3).

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::Certificate;

/// Certificates by the names in them.
#[derive(Debug, Default)]
pub struct Resolver {
    exact: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// By what follows the `*.`, which stands for one label (RFC 6125, section 6.4.3).
    wildcards: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// For clients that ask for no name, or for one that no certificate has: the first
    /// certificate.
    default: Vec<Arc<CertifiedKey>>,
}

impl Resolver {
    pub fn new<'a>(certificates: impl IntoIterator<Item = &'a Certificate>) -> Self {
        let mut resolver = Resolver::default();
        for certificate in certificates {
            for name in &certificate.names {
                let (map, name) = match name.strip_prefix("*.") {
                    Some(rest) => (&mut resolver.wildcards, rest),
                    None => (&mut resolver.exact, name.as_str()),
                };
                let keys = map.entry(name.to_owned()).or_default();
                keys.push(Arc::clone(&certificate.key));
            }
            if resolver.default.is_empty() {
                resolver.default.push(Arc::clone(&certificate.key));
            }
        }
        resolver
    }

    /// Those for a name, in the order in which they were given: there may be one with
    /// an ECDSA and one with an RSA key.
    fn candidates(&self, name: Option<&str>) -> &[Arc<CertifiedKey>] {
        let named = name.and_then(|name| {
            // rustls gives names in lower case.
            let wildcard = || self.wildcards.get(name.split_once('.')?.1);
            self.exact.get(name).or_else(wildcard)
        });
        named.unwrap_or(&self.default)
    }

    fn choose(&self, hello: &ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let candidates = self.candidates(hello.server_name());
        let usable = candidates
            .iter()
            .find(|key| key.key.choose_scheme(hello.signature_schemes()).is_some());
        usable.or(candidates.first()).cloned()
    }
}

/// The resolver of one connection, which remembers the name that the client has asked
/// for: rustls gives it to nobody else where it keeps no buffers.
#[derive(Debug)]
pub struct OfConnection {
    resolver: Arc<Resolver>,
    pub name: OnceLock<String>,
}

impl OfConnection {
    pub fn new(resolver: &Arc<Resolver>) -> Self {
        OfConnection {
            resolver: Arc::clone(resolver),
            name: OnceLock::new(),
        }
    }
}

impl ResolvesServerCert for OfConnection {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if let Some(name) = hello.server_name() {
            self.name.get_or_init(|| name.to_owned());
        }
        self.resolver.choose(&hello)
    }
}
