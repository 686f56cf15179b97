//! `hotsocket dev`: serves a guest from its source, and swaps whenever the
//! source is saved.
//!
//! Owns the loop: build, serve or swap, wait for the next save. A build that
//! fails changes nothing of what is served. However much is saved during a
//! build, one more build follows.
//!
//! - [`project`]: what is built, and which files it is made of
//! - [`watch`]: when they have changed
//!
//! It never touches a connection: a swap is the registry's, as any other.

mod project;
mod watch;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use project::{Project, ProjectError};

use crate::build;
use crate::listener::plain;
use crate::output::Output;
use crate::registry::{Outcome, Source};
use crate::server::{Options, Server, StartError};
use crate::thread::run_on_thread;
use watch::ProjectWatcher;

/// Build, serve and follow the source, until dropped. The server is put where
/// the caller can stop it.
///
/// # Errors
/// When something other than the guest keeps the server from starting.
pub async fn follow(
    project: Project,
    options: Options,
    output: Arc<Output>,
    began: Instant,
    server: &mut Option<Server>,
) -> Result<std::convert::Infallible, StartError> {
    let mut watcher = ProjectWatcher::new(&project);
    let mut saved = began;
    tracing::info!("building {}", project.named.display());
    loop {
        // What is saved from here on is for the next build.
        let mut files = project.files();
        let building = Instant::now();
        let source = project.source.clone();
        let built = run_on_thread("build", None, move || build::component(&source)).await;
        let built = match built {
            Ok(built) => built.map_err(|error| error.to_string()),
            Err(error) => Err(format!("cannot build {}: {error}", project.named.display())),
        };
        let build_time = building.elapsed();
        match (built, &*server) {
            (Err(error), None) => tracing::error!("{error}; waiting for the next save"),
            (Err(error), Some(server)) => {
                tracing::error!("{error}; {}", goes_on(server));
            }
            (Ok(component), None) => {
                let guest = (component, Source::File(project.named.clone()));
                let (options, output) = (options.clone(), Arc::clone(&output));
                match Server::start_on(guest, options, output, saved, plain()).await {
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
                let source = Source::File(project.named.clone());
                let swapping = Instant::now();
                match server.registry().swap(component, source, None).await {
                    Ok(report) if report.outcome == Outcome::Swapped => tracing::info!(
                        "swapped in {}: build {}, swap {}",
                        seconds(saved.elapsed()),
                        seconds(build_time),
                        seconds(swapping.elapsed())
                    ),
                    Ok(report) if report.outcome == Outcome::Unchanged => tracing::info!(
                        "built in {}, and it is the same code; {}",
                        seconds(build_time),
                        goes_on(server)
                    ),
                    // An undone swap has been told.
                    Ok(_) => {}
                    Err(error) => tracing::error!("not swapped: {error}; {}", goes_on(server)),
                }
            }
        }
        project.forgive(&mut files);
        let change = watcher.next_change(&project, &files).await;
        saved = change.at;
        let file = change.file.strip_prefix(".").unwrap_or(&change.file);
        tracing::info!("{} changed; building", file.display());
    }
}

fn goes_on(server: &Server) -> String {
    let active = server.registry().orders().active().number;
    format!("generation {active} goes on")
}

/// `1.2 s`, and more exactly what is less than a tenth of one.
fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds < 0.095 {
        true => format!("{seconds:.3} s"),
        false => format!("{seconds:.1} s"),
    }
}
