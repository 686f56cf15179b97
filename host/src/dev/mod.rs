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

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use project::{Project, ProjectError};

use crate::build;
use crate::node::{Node, Options, StartError};
use crate::output::Output;
use crate::registry::Outcome;
use crate::rollout::Source;
use hotsocket_sandbox::{ComponentBytes, run_on_thread};
use watch::ProjectWatcher;

/// Build and serve the source, and swap on every save, until dropped. The
/// server is stored in `server`, so that the caller can stop it.
///
/// # Errors
/// When the server can't start for a reason that no change of the source mends.
pub async fn serve_source(
    project: Project,
    options: Options,
    output: Arc<Output>,
    began: Instant,
    server: &mut Option<Node>,
) -> Result<std::convert::Infallible, StartError> {
    let mut watcher = ProjectWatcher::new(&project);
    let mut saved = began;
    tracing::info!("building {}", project.name.display());
    loop {
        // Files saved from here on are for the next build.
        let mut files = project.files();
        let building = Instant::now();
        let source = project.source.clone();
        let build = move || build::component(&source).map(ComponentBytes::new);
        let built = run_on_thread("build", None, build).await;
        let built = match built {
            Ok(built) => built.map_err(|error| error.to_string()),
            Err(error) => Err(format!("cannot build {}: {error}", project.name.display())),
        };
        let build_time = building.elapsed();
        match (built, &*server) {
            (Err(error), None) => tracing::error!("{error}; waiting for the next save"),
            (Err(error), Some(server)) => {
                tracing::error!("{error}; {}", still_serving(server));
            }
            (Ok(component), None) => {
                let guest = (component, Source::File(project.name.clone()));
                let (options, output) = (options.clone(), Arc::clone(&output));
                match Node::start_on(guest, options, output, saved, |listener| listener).await {
                    Ok(started) => {
                        *server = Some(started);
                        tracing::info!("save a change to swap");
                    }
                    Err(error @ (StartError::Load { .. } | StartError::Listening { .. })) => {
                        tracing::error!("{error}; waiting for the next save");
                    }
                    Err(error) => return Err(error),
                }
            }
            (Ok(component), Some(server)) => {
                let source = Source::File(project.name.clone());
                let swapping = Instant::now();
                match server.registry().swap(component, source, None).await {
                    Ok(report) if report.outcome == Outcome::Swapped => tracing::info!(
                        "swapped in {}: build {}, swap {}",
                        seconds(saved.elapsed()),
                        seconds(build_time),
                        seconds(swapping.elapsed())
                    ),
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
        let change = watcher.next_change(&project, &files).await;
        saved = change.at;
        let file = change.file.strip_prefix(".").unwrap_or(&change.file);
        tracing::info!("{} changed; building", file.display());
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
