//! From the options that a node has to others, while connections are open.
//!
//! All or nothing: everything that can fail (guests are read and compiled, addresses taken,
//! stores opened) happens first, while everything serves as before. Then everything changes
//! without a step that waits or fails. A listening socket goes from the listener that had it to the
//! one that wants it, also of another service, so no client is refused meanwhile.
//!
//! What does not change without a restart is up to the caller to say: the control socket,
//! the code cache, and of a service that stays its grants, its store and its NATS.

use std::sync::Arc;
use std::time::Duration;

use hotsocket_sandbox::{ComponentBytes, Environment, Sandbox};
use tokio::sync::watch;

use super::running::{RunningListener, RunningService};
use super::same::{is_same, is_same_guest, same_places};
use super::start::{self, BoundListener, BoundService, PreparedListener, PreparedService};
use super::{ClosingStore, Node, Options, Place, ServiceOptions, StartError};
use crate::listener::tls::TlsLayers;
use crate::listener::{Handle, Intake};
use crate::registry::{self, SwapError};
use crate::rollout::Source;

/// What becomes of one service of the new options.
enum Change {
    Add(Box<PreparedService>),
    Update(Box<Update>),
}

/// What changes of a service that stays.
struct Update {
    name: String,
    options: ServiceOptions,
    /// What its listeners will be, in their order.
    listeners: Vec<ListenerChange>,
    /// Another guest, which has been compiled and tried.
    guest: Option<(ComponentBytes, Source)>,
}

enum ListenerChange {
    /// The one at this place among those that there are.
    Keep(usize),
    Start(Box<PreparedListener>),
}

impl Node {
    /// Serve by these options from now on. Services are the same if they have the same
    /// name; one that is gone closes its connections within its grace time. Open
    /// connections of the others keep the limits that they began with.
    ///
    /// Compiling may take long. If the future is dropped meanwhile, nothing has changed.
    ///
    /// # Errors
    /// Reports the first thing that is wrong; then nothing has changed.
    pub async fn reload(&mut self, options: Options) -> Result<(), StartError> {
        options.validate()?;
        if self.drain.has_begun() {
            return Err(StartError::Draining);
        }
        // Until then they have their addresses.
        while self.stopping.join_next().await.is_some() {}
        let pool = options.pool();
        let mut handles = self.free_handles(&options);
        let mut changes = Vec::new();
        for options in options.services {
            let name = options.name();
            let running = self.services.iter().find(|service| service.name == name);
            changes.push(match running {
                Some(running) => {
                    Change::Update(Box::new(self.update(running, options, &mut handles).await?))
                }
                None => {
                    self.check_store(&options)?;
                    let bound = BoundService::bind(options, &mut handles).await?;
                    Change::Add(Box::new(bound.prepare(&self.shared).await?))
                }
            });
        }
        drop(handles);
        self.apply(changes);
        if pool.max_connections > self.pool.max_connections {
            tracing::warn!(
                "there is room for {} connections of all services together, as at the start, and \
                 max-connections allows {}; a restart makes room",
                self.pool.max_connections,
                pool.max_connections
            );
        }
        if pool.max_table > self.pool.max_table {
            tracing::warn!(
                "an instance has at most {} table elements, as at the start; a restart lets it \
                 have {} (max-table)",
                self.pool.max_table,
                pool.max_table
            );
        }
        Ok(())
    }

    /// A service that is added cannot have the store of one that runs, also if that is
    /// to be removed by the same options, or was by others: it has it until its connections
    /// are closed.
    fn check_store(&self, options: &ServiceOptions) -> Result<(), StartError> {
        let Some(path) = options.store_file() else {
            return Ok(());
        };
        let mut services = self.services.iter();
        if let Some(running) = services.find(|it| it.options.store_file() == Some(path)) {
            return Err(StartError::StoreInUse {
                path: path.to_owned(),
                by: running.name.clone(),
                service: options.name(),
            });
        }
        let mut closing = self.closing_stores.iter();
        let closing = closing.find(|it| it.path == path && it.closed.has_changed().is_ok());
        closing.map_or(Ok(()), |it| Err(StartError::StoreClosing(it.clone())))
    }

    /// The sockets of listeners that will be gone.
    fn free_handles(&self, options: &Options) -> Vec<&Handle> {
        let free = self.services.iter().flat_map(|running| {
            let stays = options.services.iter().find(|it| it.name() == running.name);
            let wanted = stays.map_or(&[][..], |options| &options.listeners);
            let mut kept = same_places(&running.listeners, wanted);
            kept.retain(Option::is_some);
            let is_free = move |at: usize| !kept.contains(&Some(at));
            let listeners = running.listeners.iter().enumerate();
            listeners.filter_map(move |(at, it)| is_free(at).then_some(&it.handle))
        });
        free.collect()
    }

    /// Prepare what changes of a service.
    async fn update(
        &self,
        running: &RunningService,
        options: ServiceOptions,
        handles: &mut Vec<&Handle>,
    ) -> Result<Update, StartError> {
        let mut guest = None;
        if !is_same_guest(&running.options.guest, &options.guest) {
            guest = Some(self.try_guest(running, &options).await?);
        }
        let places = same_places(&running.listeners, &options.listeners);
        // Only a guest's bytes say which port it names.
        let mut wanted = options.listeners.iter().zip(&places);
        let asks_guest = wanted.any(|(it, at)| at.is_none() && matches!(it.place, Place::OfGuest));
        let read;
        let component = match &guest {
            Some((component, _)) => component.bytes(),
            None if asks_guest => {
                read = start::read(&options.guest, options.limits.max_component).await?;
                read.0.bytes()
            }
            None => &[],
        };
        let mut tls = TlsLayers::new(options.limits.max_handshakes);
        let same_handshakes =
            running.options.limits.max_handshakes == options.limits.max_handshakes;
        let mut listeners = Vec::new();
        for (wanted, place) in options.listeners.iter().zip(places) {
            let found = place.and_then(|at| Some((at, running.listeners.get(at)?)));
            let bound = match found {
                Some((at, running))
                    if is_same(&running.options, wanted)
                        && (same_handshakes || wanted.layers.tls.is_none()) =>
                {
                    listeners.push(ListenerChange::Keep(at));
                    continue;
                }
                Some((_, running)) => {
                    let address = match &wanted.place {
                        Place::At(address) if address.is_place_of(&running.address) => address,
                        _ => &running.address,
                    };
                    let socket = running.handle.take_over(address, wanted.sockets)?;
                    BoundListener::new(wanted.clone(), socket, &mut tls, Some(&running.layers))?
                }
                None => start::bind(wanted.clone(), component, handles, &mut tls)?,
            };
            listeners.push(ListenerChange::Start(Box::new(bound.listen()?)));
        }
        Ok(Update {
            name: running.name.clone(),
            options,
            listeners,
            guest,
        })
    }

    /// Whether a guest could take over, under the limits that it will have: it is compiled
    /// in a sandbox of its own, and when it is swapped to its code is in the cache.
    async fn try_guest(
        &self,
        running: &RunningService,
        options: &ServiceOptions,
    ) -> Result<(ComponentBytes, Source), StartError> {
        let max = options.limits.max_component;
        let (component, source) = start::read(&options.guest, max).await?;
        let sandbox = Arc::new(Sandbox::new(
            Arc::clone(&self.shared.engines),
            options.limits.sandbox(),
            running.options.grants.clone(),
            Environment::new(options.settings.clone()),
            Arc::clone(&self.shared.output) as _,
        ));
        sandbox.set_store(Arc::clone(&running.store) as _);
        let guest = source.to_string();
        let compiled = registry::compile(&sandbox, component.clone(), &guest, None).await?;
        let registry = &running.service.registry;
        registry.check_room(&compiled, &source, options.rules.policy)?;
        Ok((component, source))
    }

    /// Make the changes.
    fn apply(&mut self, changes: Vec<Change>) {
        while self.removed.try_join_next().is_some() {}
        self.closing_stores
            .retain(|it| it.closed.has_changed().is_ok());
        let mut before = std::mem::take(&mut self.services);
        let (mut added, mut stopped) = (Vec::new(), Vec::new());
        for change in changes {
            match change {
                Change::Add(prepared) => {
                    let service = prepared.start(&self.shared);
                    added.push(service.name.clone());
                    self.services.push(service);
                }
                Change::Update(update) => {
                    let at = before.iter().position(|it| it.name == update.name);
                    if let Some(at) = at {
                        let mut service = before.swap_remove(at);
                        stopped.extend(service.update(*update, &self.shared));
                        self.services.push(service);
                    }
                }
            }
        }
        if let Some(first) = self.services.first() {
            self.first = Arc::clone(&first.service.registry);
        }
        let views = self.services.iter().map(RunningService::view);
        self.directory.set(views.collect());
        let began = std::time::Instant::now();
        for service in self.services.iter().filter(|it| added.contains(&it.name)) {
            service.log_listening();
            service.log_serving(true, began);
        }
        for listener in stopped {
            // Whoever connects once it is said that the configuration has been read finds the
            // new listener.
            self.stopping.spawn(listener.stop(Intake::Closing));
        }
        for mut service in before {
            let open = service.service.roster.len();
            tracing::info!(
                kind = "removed",
                service = service.name,
                connections = open,
                "service {} removed; open connections, which are closed: {open}",
                service.name
            );
            let mut cut = self.cut_removed.subscribe();
            let (open, closed) = watch::channel(());
            if let Some(path) = service.options.store_file() {
                self.closing_stores.push(ClosingStore {
                    path: path.to_owned(),
                    of: service.name.clone(),
                    closed,
                });
            }
            self.removed.spawn(async move {
                service.stop_accepting().await;
                let cut = async { drop(cut.wait_for(|cut| *cut).await) };
                let cut_off = service.shut_down(Duration::MAX, cut).await;
                drop(open);
                cut_off
            });
        }
        // One that has begun since the reload did has not seen the new listeners.
        if self.drain.has_begun() {
            self.directory.stop_accepting();
        }
    }
}

impl RunningService {
    /// Make the changes, and return the listeners that are to stop.
    fn update(&mut self, update: Update, shared: &super::Shared) -> Vec<RunningListener> {
        let options = update.options;
        self.service
            .configure(&options.limits, options.rules, options.access_log);
        let environment = self.service.sandbox.environment();
        environment.restart(options.settings.clone());
        let mut before: Vec<_> = std::mem::take(&mut self.listeners)
            .into_iter()
            .map(Some)
            .collect();
        for change in update.listeners {
            match change {
                ListenerChange::Keep(at) => {
                    let kept = before.get_mut(at).and_then(Option::take);
                    self.listeners.extend(kept);
                }
                ListenerChange::Start(prepared) => {
                    let listener = prepared.start(shared, &self.service);
                    listener.log();
                    self.listeners.push(listener);
                }
            }
        }
        let stopped: Vec<_> = before.into_iter().flatten().collect();
        for listener in &stopped {
            let mut now = self.listeners.iter();
            let after = now.find(|it| it.address.is_place_of(&listener.address));
            if let Some(limits) = &listener.layers.limits {
                limits.lift(after.and_then(|it| it.layers.limits.as_ref()));
            }
            if after.is_none() {
                let address = &listener.address;
                tracing::info!(kind = "listening", %address, "no longer listening on {address}");
            }
        }
        // A guest that is swapped to is warned of by its swap.
        if self.offer_tls() && update.guest.is_none() {
            self.service.registry.warn_of_plain_text();
        }
        let watch_changed = self.options.watch != options.watch;
        self.options = options;
        if self.watched().is_some() && update.guest.is_some() {
            // It swaps to the file, after a swap that may be under way, and tries again if that
            // fails for a reason that passes.
            self.watch(None);
        } else if let Some((component, source)) = update.guest {
            self.watch(Some(component.hash()));
            let registry = Arc::clone(&self.service.registry);
            tokio::spawn(async move {
                if let Err(error) = registry.swap(component, source, None).await {
                    log_not_swapped(&registry, &error);
                }
            });
        } else if watch_changed {
            let active = self.service.registry.active().guest.hash;
            self.watch(Some(active));
        }
        stopped
    }
}

fn log_not_swapped(registry: &registry::Registry, error: &SwapError) {
    let active = registry.active().number;
    tracing::error!(
        kind = "swap",
        outcome = "failed",
        generation = active,
        "{}: {error}; still serving generation {active}",
        error.what()
    );
}
