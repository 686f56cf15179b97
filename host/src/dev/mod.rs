//! `hotsocket dev`: serves a guest from its source, and swaps it on every save.
//!
//! Owns the loop: build, serve or swap, wait for the next save. A build that
//! fails changes nothing of what is served. However often files are saved
//! during a build, one more build follows.
//!
//! - [`project`]: what is built, and which files it consists of
//! - [`watch`]: waits until they have changed
//!
//! It never touches a connection: swaps are up to the registry.

mod project;
mod watch;

use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

pub use project::Project;

use crate::build::{self, Section};
use crate::log::BUILD;
use crate::node::{Guest, Node, Options, Place, StartError};
use crate::output::Output;
use crate::registry::Outcome;
use crate::rollout::Source;
use hotsocket_sandbox::{ComponentBytes, Hash, run_on_thread};
use project::is_changed_since;
use watch::ProjectWatcher;

/// What was served last from here.
struct Served {
    section: Section,
    hash: Hash,
    /// As of [`contents`].
    contents: Option<String>,
}

/// Build and serve the source, and swap on every save, until dropped, or until the server
/// has drained and is to end. It is stored in `server`, so that the caller can stop it.
///
/// # Errors
/// When the server can't start for a reason that no change of the source mends.
pub async fn serve_source(
    mut project: Project,
    mut options: Options,
    output: Arc<Output>,
    began: Instant,
    server: &mut Option<Node>,
) -> Result<(), StartError> {
    let mut watcher = ProjectWatcher::new(&project);
    let mut saved = began;
    // A rollback may have gone back from it since.
    let mut served = None::<Served>;
    let mut listeners = options.services.iter().flat_map(|it| &it.listeners);
    let is_port_from_guest = listeners.any(|it| matches!(it.place, Place::OfGuest));
    tracing::info!("building {}", project.name.display());
    loop {
        // Files saved from here on are for the next build.
        let before = project.all_files();
        let began_at = SystemTime::now();
        let building = Instant::now();
        let source = project.source.clone();
        let build = move || {
            build::component(&source).map(|built| {
                let contents = contents(&built.inputs, began_at);
                let bytes = ComponentBytes::new(built.bytes);
                (bytes, built.section, built.inputs, contents)
            })
        };
        let built = run_on_thread("build", None, build).await;
        let built = match built {
            Ok(built) => built.map_err(|error| error.to_string()),
            Err(error) => Err(format!("cannot build {}: {error}", project.name.display())),
        };
        let build_time = building.elapsed();
        let mut files;
        let built = match built {
            Ok((component, section, inputs, contents)) => {
                files = project.built(inputs, &before, began_at);
                let now = Served {
                    section,
                    hash: component.hash(),
                    contents,
                };
                Ok((component, now))
            }
            Err(error) => {
                files = project.failed(before);
                Err(error)
            }
        };
        match (built, &*server) {
            (Err(error), None) => {
                tracing::error!(kind = BUILD, "{error}; waiting for the next save");
            }
            (Err(error), Some(server)) => {
                tracing::error!(kind = BUILD, "{error}; {}", still_serving(server));
            }
            (Ok((component, now)), None) => {
                for service in &mut options.services {
                    service.guest = Guest::Built {
                        name: project.name.clone(),
                        component: component.clone(),
                    };
                }
                match Node::start(options.clone(), Arc::clone(&output), saved).await {
                    Ok(started) => {
                        *server = Some(started);
                        served = Some(now);
                        tracing::info!("save a change to swap");
                    }
                    Err(error @ (StartError::Load { .. } | StartError::Listening { .. })) => {
                        tracing::error!("{error}; waiting for the next save");
                    }
                    Err(error) => return Err(error),
                }
            }
            (Ok((_, now)), Some(server)) if is_served(served.as_ref(), &now, server) => {
                tracing::info!(
                    "built in {}, from the same sources; {}",
                    seconds(build_time),
                    still_serving(server)
                );
            }
            (Ok((component, now)), Some(server)) => {
                let source = Source::File(project.name.clone());
                let swapping = Instant::now();
                match server.registry().swap(component, source, None).await {
                    Ok(report) if report.outcome == Outcome::Swapped => {
                        tracing::info!(
                            "swapped in {}: build {}, swap {}",
                            seconds(saved.elapsed()),
                            seconds(build_time),
                            seconds(swapping.elapsed())
                        );
                        if is_port_from_guest {
                            report_port(&project, served.as_ref(), &now.section, server);
                        }
                        served = Some(now);
                    }
                    Ok(report) if report.outcome == Outcome::Unchanged => tracing::info!(
                        "built in {}, without a difference; {}",
                        seconds(build_time),
                        still_serving(server)
                    ),
                    // The registry logs a swap that it has undone.
                    Ok(_) => {}
                    Err(error) => {
                        tracing::error!("not swapped: {error}; {}", still_serving(server));
                    }
                }
            }
        }
        project.accept_lock_files(&mut files);
        let drained = async {
            match &*server {
                Some(server) => server.drain().has_ended().await,
                None => pending().await,
            }
        };
        let change = tokio::select! {
            change = watcher.next_change(&project, &files) => change,
            () = drained => return Ok(()),
        };
        saved = change.at;
        let here = std::env::current_dir().unwrap_or_default();
        let file = change.file.strip_prefix(&here).unwrap_or(&change.file);
        tracing::info!("{} changed; building", file.display());
    }
}

/// Whether a build is of the same sources as what is served, and of the same settings. The
/// components of these two languages differ all the same, in the seeds of their interpreters'
/// hash tables.
fn is_served(served: Option<&Served>, built: &Served, server: &Node) -> bool {
    let is_interpreted = ["javascript", "python"].contains(&built.section.language.as_str());
    let active = server.registry().active().guest.hash;
    let served = served.filter(|served| served.hash == active);
    is_interpreted
        && served.is_some_and(|served| {
            let is_known = served.section.sources.is_some() && served.contents.is_some();
            is_known
                && served.section.sources == built.section.sources
                && served.contents == built.contents
        })
}

/// The hash of what a build has read, settings of compilers among it. `None` if one of the
/// files was saved since the build began, as nobody knows what was read of it.
fn contents(inputs: &[PathBuf], began: SystemTime) -> Option<String> {
    match inputs.iter().any(|input| is_changed_since(input, began)) {
        true => None,
        false => build::contents_of(inputs).ok(),
    }
}

/// Sockets stay as they are in a swap, so say so where the guest wants others.
fn report_port(project: &Project, before: Option<&Served>, now: &Section, server: &Node) {
    let before = before.and_then(|served| served.section.port);
    if let Some(port) = now.port.filter(|port| Some(*port) != before) {
        let listeners: Vec<_> = server.listeners().iter().map(ToString::to_string).collect();
        tracing::warn!(
            "{} now names port {port}, but the server still listens on {}: start it again to \
             listen there",
            project.name.display(),
            listeners.join(", ")
        );
    }
}

fn still_serving(server: &Node) -> String {
    let active = server.registry().active().number;
    format!("still serving generation {active}")
}

/// `1.2 s`; less than a tenth of a second in milliseconds, as `0.024 s`.
fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds < 0.095 {
        true => format!("{seconds:.3} s"),
        false => format!("{seconds:.1} s"),
    }
}
