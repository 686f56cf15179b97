//! Reads the configuration file again, on SIGHUP and when the file changes, and lets the
//! node go by it; after it was refused, also when a file changes that it names. A file that
//! is wrong, or asks for what can't be had, changes nothing and is logged in one line.

use std::future::pending;
use std::path::PathBuf;

use hotsocket_sandbox::run_on_thread;

use super::configuration::{Changes, FileWatch, Given, InForce, Loaded, Stamps, load};
use super::serve;
use crate::descriptors;
use crate::listener::Inherited;
use crate::log::BUILD;
use crate::node::{ClosingStore, Node, Options, ServiceOptions, StartError};
use crate::watch::Stamp;

/// What it takes to read the configuration again. [`Self::changed`] or a signal says when
/// to [`Self::reload`].
pub(super) struct Reloader {
    file: PathBuf,
    given: Given,
    inherited: Vec<Inherited>,
    watch: FileWatch,
    in_force: InForce,
    /// The store that the file was refused for, as a service that was removed still has it.
    waits_for: Option<ClosingStore>,
}

impl Reloader {
    /// For a server that was started with what is loaded from this file.
    pub(super) fn new(
        file: PathBuf,
        given: Given,
        inherited: Vec<Inherited>,
        started: InForce,
    ) -> Self {
        Reloader {
            watch: FileWatch::new(file.clone(), started.text()),
            file,
            given,
            inherited,
            in_force: started,
            waits_for: None,
        }
    }

    /// Wait until the file has other content, or, after it was refused, until a file that it
    /// names has changed (a guest, a certificate) or can be had (a store). Safe to cancel.
    pub(super) async fn changed(&mut self) {
        let waits_for = self.waits_for.as_mut();
        let can_be_had = async {
            match waits_for {
                Some(store) => store.closed().await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = self.watch.changed() => {}
            () = can_be_had => self.waits_for = None,
        }
    }

    /// Let the node go by what the file says now. If this is dropped before it is done,
    /// nothing has changed.
    pub(super) async fn reload(&mut self, node: &mut Node) {
        let file = self.file.display().to_string();
        match self.try_reload(node).await {
            Ok(Changes { now, after_restart }) => {
                let what = match now.is_empty() {
                    true => "nothing changes".to_owned(),
                    false => now.join("; "),
                };
                tracing::info!(kind = "reloaded", "reloaded {file}: {what}");
                for line in after_restart {
                    tracing::warn!(kind = "reloaded", "{line}");
                }
            }
            Err(error) => tracing::warn!(
                kind = "reload",
                "not reloaded: {error}; the configuration stays as it is until {}{file} or a file \
                 that it names changes",
                match self.waits_for {
                    Some(_) => "then, or until ",
                    None => "",
                }
            ),
        }
    }

    async fn try_reload(&mut self, node: &mut Node) -> Result<Changes, String> {
        let (file, given) = (self.file.clone(), self.given.clone());
        let inherited = self.inherited.clone();
        // Files may be slow, and building a guest takes seconds.
        let read = run_on_thread("configuration", None, move || {
            let mut named = Stamps::new();
            let mut read = || {
                let mut loaded = load(Some(&file), &given).map_err(|problems| {
                    let text = problems.to_string();
                    named = problems.files;
                    text
                })?;
                let files = loaded.config.options.services.iter();
                let files = files.flat_map(ServiceOptions::files);
                // Before any of them is read.
                named = files
                    .map(|file| {
                        let stamp = Stamp::of(&file);
                        (file, stamp)
                    })
                    .collect();
                let options = options(&mut loaded, &inherited)?;
                Ok::<_, String>((loaded, options))
            };
            let read = read();
            (read, named)
        });
        let (read, named) = read.await.map_err(|error| format!("no thread: {error}"))?;
        self.watch.also(named);
        self.waits_for = None;
        let (loaded, options) = read?;
        if self.in_force.loses_all_services(&loaded) {
            return Err(format!(
                "{} has no [[service]], as a file that somebody is just writing",
                self.file.display()
            ));
        }
        node.reload(options).await.map_err(|error| {
            let text = error.to_string();
            if let StartError::StoreClosing(store) = error {
                self.waits_for = Some(store);
            }
            text
        })?;
        self.watch.also(Stamps::new());
        Ok(self.in_force.change_to(&loaded))
    }
}

/// The options of a node, complete.
fn options(loaded: &mut Loaded, inherited: &[Inherited]) -> Result<Options, String> {
    let mut options = loaded.config.options.clone();
    for service in &mut options.services {
        if let Err(error) = serve::build_source(service) {
            tracing::error!(kind = BUILD, "{error}");
            return Err(format!(
                "the guest of service {} cannot be built",
                service.name()
            ));
        }
    }
    descriptors::raise_limit(options.connections());
    serve::adopt(&mut options.services, inherited)?;
    Ok(options)
}
