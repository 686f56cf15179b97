//! TLS: the layer of a listener that makes a plain connection a protected one, before an
//! instance exists; or later, when the guest asks for it ([`Secure`]).
//!
//! [`Tls::start`] reads the files, and takes new ones up until the value is dropped;
//! [`Tls::accept`] does a handshake in the connection's task. A session sees none of it but a [`Transport`](hotsocket_sandbox::Transport), and what has been agreed on as
//! [`TlsFacts`](hotsocket_sandbox::TlsFacts).
//!
//! - [`options`]: what is configured
//! - [`material`]: what the files say; [`certificate`], [`validity`]: one certificate
//! - [`config`]: rustls' configuration, made of it; [`resolver`]: a certificate for a name
//! - [`mod@reload`]: when files change
//! - [`mod@handshake`]: one of them; [`outcome`]: what may come of it
//! - [`records`]: rustls, without a socket; [`transport`]: with one
//!
//! Handshakes are bounded in time by `--handshake-timeout`, in number by
//! `--max-handshakes`. No more of them compute at once than there are threads, and what
//! else is ready runs in between.

mod certificate;
mod config;
mod handshake;
mod material;
mod options;
mod outcome;
mod records;
mod reload;
mod resolver;
mod transport;
mod validity;

use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hotsocket_sandbox::limit_counters::{Limit, LimitCounters, RateLimitedLog};
use hotsocket_sandbox::{Endpoint, Stream};
use rustls::crypto::CryptoProvider;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

pub use certificate::CertificateStatus;
pub use options::{CertificateFiles, ClientAuth, MinVersion, TlsError, TlsMode, TlsOptions};

use super::Connected;
use crate::service::{Counters, Service};
use crate::session::{NotSecured, Secure, Securing};
use config::Config;
use handshake::{Done, Failed};
use material::Material;
use outcome::Outcome;
use reload::Reload;

/// How long a peer whose handshake has failed may take to end.
const LINGER: Duration = Duration::from_secs(1);

/// See the module's documentation. The listeners with the same options share one.
#[derive(Debug)]
pub struct Tls {
    options: TlsOptions,
    /// What new handshakes use.
    config: ArcSwap<Config>,
    /// A permit for each handshake that may be going on; others wait.
    slots: Semaphore,
    max_handshakes: usize,
    /// A permit for each handshake that may compute. It is kept until sessions have run, so
    /// one of them waits for a few handshakes at most.
    turns: Arc<Semaphore>,
    failures: RateLimitedLog,
}

/// The layers of the listeners of a service: those with the same options share one.
#[derive(Debug)]
pub struct TlsLayers {
    max_handshakes: usize,
    layers: Vec<Arc<Tls>>,
}

impl TlsLayers {
    pub fn new(max_handshakes: usize) -> Self {
        TlsLayers {
            max_handshakes,
            layers: Vec::new(),
        }
    }

    /// # Errors
    /// When something is wrong with the options, or with the files that they name.
    pub fn get(&mut self, options: &TlsOptions) -> Result<Arc<Tls>, TlsError> {
        if let Some(known) = self.layers.iter().find(|tls| tls.options == *options) {
            return Ok(Arc::clone(known));
        }
        let tls = Tls::start(options.clone(), self.max_handshakes)?;
        self.layers.push(Arc::clone(&tls));
        Ok(tls)
    }
}

/// When the handshake comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begins {
    WithFirstByte,
    /// The guest has asked for it.
    Later,
}

impl Secure for Tls {
    fn secure(
        self: Arc<Self>,
        stream: Stream,
        peer: Endpoint,
        service: Arc<Service>,
        until: Instant,
    ) -> Securing {
        Box::pin(async move {
            let shaken = self.shake(stream, peer, &service, until, Begins::Later);
            match shaken.await {
                Ok(done) => Ok((done.stream, done.facts)),
                Err(Outcome::NotTls) => Err(NotSecured::PlainText),
                Err(_) => Err(NotSecured::Handshake),
            }
        })
    }
}

/// Counts what becomes of a handshake, also of one that is dropped.
struct Attempt<'a> {
    counters: &'a Counters,
    /// When it times out.
    until: Instant,
    /// `None` as long as it goes on.
    outcome: Option<Outcome>,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let outcome = match self.outcome {
            Some(outcome) => outcome,
            None if Instant::now() >= self.until => Outcome::TimedOut,
            None => Outcome::CutOff,
        };
        self.counters.tls_handshakes.count(outcome.name());
    }
}

impl Tls {
    /// Read the files, and watch them from now on: new ones are taken up, and those that
    /// expire are named.
    ///
    /// # Errors
    /// Names the first thing that is wrong.
    pub fn start(options: TlsOptions, max_handshakes: usize) -> Result<Arc<Self>, TlsError> {
        let config = Material::load(&options)?.config(&options)?;
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        let tls = Arc::new(Tls {
            options,
            config: ArcSwap::from_pointee(config),
            slots: Semaphore::new(max_handshakes),
            max_handshakes,
            turns: Arc::new(Semaphore::new(threads)),
            failures: RateLimitedLog::default(),
        });
        tokio::spawn(Reload::new(&tls).run());
        Ok(tls)
    }

    /// Do the handshake. Its caller drops it at `until`.
    ///
    /// # Errors
    /// When it fails, which has been logged, and the peer has been told.
    pub async fn accept(
        &self,
        connected: Connected,
        service: &Service,
        until: Instant,
    ) -> io::Result<Connected> {
        let (peer, begins) = (connected.peer, Begins::WithFirstByte);
        let shaken = self.shake(connected.stream, peer, service, until, begins);
        let done = shaken
            .await
            .map_err(|_logged| io::ErrorKind::ConnectionAborted)?;
        let mut connected = Connected {
            stream: done.stream,
            ..connected
        };
        connected.facts_mut().tls = Some(done.facts);
        Ok(connected)
    }

    /// The same for a connection that has begun with the first byte, or later. On failure
    /// that has been counted and logged, and the peer has been told.
    async fn shake(
        &self,
        stream: Stream,
        peer: Endpoint,
        service: &Service,
        until: Instant,
        begins: Begins,
    ) -> Result<Done, Outcome> {
        let mut attempt = Attempt {
            counters: &service.counters,
            until,
            outcome: None,
        };
        let slot = self.slot(&service.limit_counters);
        match handshake::handshake(stream, &self.config, slot, &self.turns).await {
            Ok(done) => {
                attempt.outcome = Some(done.outcome);
                Ok(done)
            }
            Err(failed) => {
                let outcome = self.log(&failed, peer, begins);
                attempt.outcome = Some(outcome);
                drop(attempt);
                let _ = timeout(LINGER, failed.finish()).await;
                Err(outcome)
            }
        }
    }

    /// Wait until fewer handshakes go on than may.
    async fn slot(&self, reached: &LimitCounters) -> Option<SemaphorePermit<'_>> {
        if let Ok(slot) = self.slots.try_acquire() {
            return Some(slot);
        }
        let limit = Limit::Handshakes;
        if let Some(suppressed) = reached.count_and_log(limit) {
            tracing::warn!(
                kind = "limit",
                limit = limit.name(),
                suppressed = suppressed.count(),
                "TLS handshakes wait for others: {} are going on (--{}){suppressed}",
                self.max_handshakes,
                limit.name()
            );
        }
        // Never closed.
        self.slots.acquire().await.ok()
    }

    fn log(&self, failed: &Failed, peer: Endpoint, begins: Begins) -> Outcome {
        let (outcome, mut what) = failed.failure.describe(&failed.first);
        if (outcome, begins) == (Outcome::NotTls, Begins::Later) {
            "goes on in plain text where TLS was to begin, as if somebody on the way put \
             commands before it"
                .clone_into(&mut what);
        }
        if outcome == Outcome::Silent {
            tracing::debug!(kind = "tls", outcome = outcome.name(), %peer, "connection from {peer} closed: its peer {what}");
        } else if let Some(suppressed) = self.failures.due() {
            tracing::warn!(
                kind = "tls",
                outcome = outcome.name(),
                %peer,
                suppressed = suppressed.count(),
                "connection from {peer} closed in its TLS handshake: its peer {what}{suppressed}"
            );
        }
        outcome
    }

    fn replace(&self, material: Material) -> Result<(), TlsError> {
        let config = self.config.load().replaced(material, &self.options)?;
        self.config.store(Arc::new(config));
        Ok(())
    }

    /// When the first certificate expires, in seconds since 1970.
    pub fn expiry(&self) -> Option<i64> {
        let config = self.config.load();
        let pairs = config.material.pairs.iter();
        let first = pairs.map(|pair| pair.value.not_after).min()?;
        Some(i64::try_from(first).unwrap_or(i64::MAX))
    }

    /// The certificates that new handshakes on the listener with this address may use.
    pub fn certificates(&self, listener: &str) -> Vec<CertificateStatus> {
        let now = certificate::now();
        let config = self.config.load();
        let pairs = config.material.pairs.iter();
        pairs.map(|pair| pair.value.status(listener, now)).collect()
    }

    fn warn_of_expiry(&self) {
        for pair in &self.config.load().material.pairs {
            pair.value.warn_of_expiry();
        }
    }
}

/// The cryptography of rustls. It is named wherever it is needed, as a default of the
/// process could be set by any library.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: std::sync::LazyLock<Arc<CryptoProvider>> =
        std::sync::LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));
    Arc::clone(&PROVIDER)
}
