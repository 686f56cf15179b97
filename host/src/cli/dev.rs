//! `hotsocket dev`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::flags::Flags;
use super::{failed, serve, wrong_usage};
use crate::admin::AdminOptions;
use crate::dev::{self, Project};

/// Serve a guest from its source, and swap it on every save
///
/// Open connections and their state survive every swap. When the source does
/// not compile, the compiler's messages are shown and the last build keeps
/// serving. Takes the flags of `serve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Source file, or directory with a package or a source, as for `hotsocket build`
    #[arg(value_name = "DIR|FILE", default_value = ".")]
    source: PathBuf,

    /// Serve no inspector; without --admin it is on a free port of 127.0.0.1
    #[arg(long, conflicts_with = "admin")]
    no_admin: bool,

    #[command(flatten)]
    flags: Flags,
}

pub fn run(args: Args, began: Instant) -> ExitCode {
    let mut config = match args.flags.config() {
        Ok(config) => config,
        Err(error) => return wrong_usage(error),
    };
    if !args.no_admin {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let inspector = || AdminOptions::at(free.into());
        config.options.admin.get_or_insert_with(inspector);
    }
    let project = match Project::find(&args.source) {
        Ok(project) => project,
        Err(error) => return failed(error),
    };
    serve::run_in_runtime(config, async |options, output, mut signals| {
        let mut server = None;
        // Without a drain: the connections are the author's own.
        let ended = tokio::select! {
            code = signals.stop() => Ok(code),
            ended = dev::serve_source(project, options, output, began, &mut server) => {
                ended.map(|()| ExitCode::SUCCESS)
            }
        };
        match (ended?, server) {
            (_, Some(server)) => Ok(serve::stop(server, &mut signals, None, Duration::MAX).await),
            // No build has succeeded yet.
            (code, None) => Ok(code),
        }
    })
}
