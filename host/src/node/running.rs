//! A service that serves: its listeners, and the tasks that end with it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hotsocket_sandbox::Hash;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::status::ServiceView;
use super::{Guest, ServiceListener, ServiceOptions};
use crate::listener::{Handle, Intake, Layers, ListenAddress};
use crate::registry;
use crate::service::{CutOff, Service};
use crate::store::Store;
use crate::topics::nats::Link;

/// How long writing the last changes to the store's file may take in the end.
const STORE_TIMEOUT: Duration = Duration::from_secs(10);

/// See the module's documentation. [`Self::stop_accepting`], then [`Self::shut_down`].
pub(super) struct RunningService {
    pub(super) name: String,
    /// What holds for it. What a reload does not change is as at the start, whatever
    /// this says.
    pub(super) options: ServiceOptions,
    pub(super) service: Arc<Service>,
    pub(super) store: Arc<dyn Store>,
    pub(super) listeners: Vec<RunningListener>,
    /// Undoes bad swaps; aborted in the end.
    pub(super) undoing: JoinHandle<()>,
    /// Watches the guest's file, if there is one to watch; aborted in the end.
    pub(super) watching: Option<JoinHandle<()>>,
    /// To other nodes, with `--topics`.
    pub(super) link: Option<Link>,
}

/// One address that connections come from.
pub(super) struct RunningListener {
    pub(super) options: ServiceListener,
    /// With its real port.
    pub(super) address: ListenAddress,
    /// What its connections go through.
    pub(super) layers: Arc<Layers>,
    /// For whoever listens there next, in a reload.
    pub(super) handle: Handle,
    /// Whom the accept loop lets in.
    pub(super) intake: watch::Sender<Intake>,
    /// The accept loop; ends once `intake` is no longer open.
    pub(super) acceptor: JoinHandle<()>,
}

impl RunningListener {
    pub(super) fn log(&self) {
        let RunningListener {
            address, options, ..
        } = self;
        let name = Some(&options.name).filter(|name| !name.is_empty());
        tracing::info!(
            kind = "listening",
            %address,
            name,
            "listening on {address}{}",
            name.map_or(String::new(), |name| format!(" ({name})"))
        );
    }

    /// Let it accept no more. Connections that have a session go on; `intake` says what
    /// becomes of one that waits for a permit. It holds from now on, and not when what is
    /// returned, which waits until it is over, is polled.
    pub(super) fn stop(self, intake: Intake) -> impl Future<Output = ()> {
        self.intake.send_if_modified(|now| {
            // A drain has closed it for good.
            let changes = *now == Intake::Open;
            if changes {
                *now = intake;
            }
            changes
        });
        async move {
            let _ = self.acceptor.await;
        }
    }
}

impl RunningService {
    /// What the control socket sees.
    pub(super) fn view(&self) -> Arc<ServiceView> {
        let listeners = self.listeners.iter();
        let named = self.listeners.iter();
        let named = named.filter(|listener| !listener.options.name.is_empty());
        Arc::new(ServiceView {
            name: self.name.clone(),
            service: Arc::clone(&self.service),
            store: Arc::clone(&self.store),
            listeners: listeners
                .map(|listener| listener.address.to_string())
                .collect(),
            layers: self
                .listeners
                .iter()
                .map(|it| (it.address.to_string(), Arc::clone(&it.layers)))
                .collect(),
            intakes: self.listeners.iter().map(|it| it.intake.clone()).collect(),
            named_listeners: named
                .map(|listener| (listener.options.name.clone(), listener.address.to_string()))
                .collect(),
            watching: self.watched().map(|path| {
                let absolute = std::path::absolute(path);
                let absolute = absolute.unwrap_or_else(|_| path.to_owned());
                absolute.display().to_string()
            }),
        })
    }

    pub(super) fn watched(&self) -> Option<&Path> {
        match &self.options.guest {
            Guest::File(path) if self.options.watch => Some(path),
            _ => None,
        }
    }

    pub(super) fn log_listening(&self) {
        for listener in &self.listeners {
            listener.log();
        }
    }

    /// `began` is when the node did; `is_named`: say which service it is.
    pub(super) fn log_serving(&self, is_named: bool, began: Instant) {
        let active = self.service.registry.active();
        let guest = active.source.to_string();
        let hash = active.guest.hash;
        let ready_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let name = is_named.then_some(&self.name);
        tracing::info!(
            kind = "serving",
            service = name,
            guest,
            generation = 1,
            sha256 = hash.to_string(),
            ready_ms,
            "serving {guest}{}, generation 1 ({hash:.12}), ready in {ready_ms} ms{}",
            name.map_or(String::new(), |name| format!(" as {name}")),
            match (&self.options.guest, self.options.watch) {
                (Guest::File(_), true) => "; overwrite the file to swap",
                (Guest::BuiltIn, _) => "; `hotsocket swap FILE.wasm` replaces it",
                _ => "",
            }
        );
    }

    /// Watch the file of the guest from now on, if the options say so, and no other.
    /// `served` is the content that was considered last; `None`: swap to what is there.
    pub(super) fn watch(&mut self, served: Option<Hash>) {
        if let Some(before) = self.watching.take() {
            before.abort();
        }
        self.watching = self.watched().map(|path| {
            let registry = Arc::clone(&self.service.registry);
            tokio::spawn(registry::watch(registry, path.to_owned(), served))
        });
    }

    /// Let the registry know whether a listener lets guests begin TLS. Returns whether that
    /// has changed.
    pub(super) fn offer_tls(&self) -> bool {
        let mut listeners = self.listeners.iter();
        let offers = listeners.any(|listener| listener.layers.may_start_tls());
        self.service.registry.offer_tls(offers)
    }

    /// Close all listening sockets. Connections that are open go on.
    pub(super) async fn stop_accepting(&mut self) {
        self.undoing.abort();
        if let Some(watching) = self.watching.take() {
            watching.abort();
        }
        self.service.close_admission();
        for listener in &self.listeners {
            listener.intake.send_replace(Intake::Closed);
        }
        for listener in std::mem::take(&mut self.listeners) {
            listener.stop(Intake::Closed).await;
        }
    }

    /// Close every connection, and wait for that at most the grace and linger times, and
    /// at most `within` and until `cut`; then close the store.
    pub(super) async fn shut_down(self, within: Duration, cut: impl Future<Output = ()>) -> CutOff {
        let cut_off = tokio::select! {
            cut_off = self.service.shut_down(within) => cut_off,
            () = cut => CutOff::of(&self.service.roster),
        };
        // Wills are the last that is published.
        if let Some(link) = self.link {
            link.stop().await;
        }
        if timeout(STORE_TIMEOUT, self.store.close()).await.is_err() {
            tracing::error!(
                kind = "store",
                "the store's last changes are not in its file"
            );
        }
        cut_off
    }
}
