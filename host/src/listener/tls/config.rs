//! From certificates and options to the configuration of rustls.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{
    NoClientAuth, NoServerSessionStorage, ProducesTickets, ServerSessionMemoryCache,
    StoresServerSessions, WebPkiClientVerifier,
};
use rustls::version::{TLS12, TLS13};

use super::material::{Clients, Material};
use super::options::{ClientAuth, MinVersion, TlsError, TlsOptions};
use super::resolver::{OfConnection, Resolver};

/// Sessions of TLS 1.2 that clients without tickets may resume.
const MAX_SESSIONS: usize = 1024;

/// What new handshakes use.
#[derive(Debug)]
pub struct Config {
    /// Without a resolver that gives certificates; see [`Self::for_connection`].
    template: ServerConfig,
    resolver: Arc<Resolver>,
    pub material: Material,
}

/// What makes sessions resumable, where clients have no certificates. It is this process'
/// own, in its memory only.
struct Resumption {
    /// Encrypts sessions into tickets with a key that is changed every six hours; a key is
    /// good for twice as long.
    tickets: Arc<dyn ProducesTickets>,
    sessions: Arc<dyn StoresServerSessions>,
}

impl Material {
    /// # Errors
    /// When it does not fit together.
    pub fn config(self, options: &TlsOptions) -> Result<Config, TlsError> {
        let resumption = Resumption {
            tickets: rustls::crypto::ring::Ticketer::new()
                .map_err(|error| TlsError::Provider(error.to_string()))?,
            sessions: ServerSessionMemoryCache::new(MAX_SESSIONS),
        };
        Config::new(self, options, resumption)
    }
}

impl Config {
    /// One with other certificates. Sessions stay resumable.
    ///
    /// # Errors
    /// When it does not fit together.
    pub fn replaced(&self, material: Material, options: &TlsOptions) -> Result<Self, TlsError> {
        let resumption = Resumption {
            tickets: Arc::clone(&self.template.ticketer),
            sessions: Arc::clone(&self.template.session_storage),
        };
        Config::new(material, options, resumption)
    }

    fn new(
        material: Material,
        options: &TlsOptions,
        resumption: Resumption,
    ) -> Result<Self, TlsError> {
        let provider = super::provider();
        let versions: &[_] = match options.min_version {
            MinVersion::Tls12 => &[&TLS13, &TLS12],
            MinVersion::Tls13 => &[&TLS13],
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(|error| TlsError::Provider(error.to_string()))?;
        let verifier = match &material.clients {
            Some(clients) => verifier(&clients.value, options, &provider)?,
            None => Arc::new(NoClientAuth),
        };
        let resolver = Arc::new(Resolver::new(
            material.pairs.iter().map(|pair| &*pair.value),
        ));
        let mut template = builder
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(OfConnection::new(&resolver)));
        template.alpn_protocols = options
            .alpn
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        if material.clients.is_none() {
            template.ticketer = resumption.tickets;
            template.session_storage = resumption.sessions;
        } else {
            // Resuming a session verifies no certificate: one that has expired since, or
            // is revoked by now, would be good for ever, as each resumption gives a new
            // ticket. By default rustls makes no tickets, but remembers sessions.
            template.session_storage = Arc::new(NoServerSessionStorage {});
            template.send_tls13_tickets = 0;
        }
        Ok(Config {
            template,
            resolver,
            material,
        })
    }

    /// The configuration of one connection, and what tells its client's name.
    pub fn for_connection(&self) -> (Arc<ServerConfig>, Arc<OfConnection>) {
        let resolver = Arc::new(OfConnection::new(&self.resolver));
        let mut config = self.template.clone();
        config.cert_resolver = Arc::clone(&resolver) as _;
        (Arc::new(config), resolver)
    }
}

fn verifier(
    clients: &Clients,
    options: &TlsOptions,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let builder = WebPkiClientVerifier::builder_with_provider(
        Arc::clone(&clients.roots),
        Arc::clone(provider),
    );
    let mut builder = builder.with_crls(clients.revoked.iter().cloned());
    if !clients.revoked.is_empty() {
        // Of those in between there need not be a list.
        builder = builder.only_check_end_entity_revocation();
    }
    if options.client_auth == ClientAuth::Request {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map_err(|error| {
        let path = options.client_crl.as_ref().or(options.client_ca.as_ref());
        TlsError::invalid(&path.cloned().unwrap_or_default(), error)
    })
}
