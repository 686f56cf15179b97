//! `hotsocket swap`.

use std::path::PathBuf;

use super::{Reply, component};
use crate::build;
use crate::control::client::{self, ClientError};
use crate::control::protocol::Request;
use crate::limits::Limits;
use crate::output::escape;
use crate::registry::{Outcome, Report};
use crate::rollout::Policy;
use crate::size;

/// Swap the guest of a running server, also under its open connections
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Component (.wasm), `-` for standard input, or source for `hotsocket build`, which is built
    /// first. Its bytes are sent, so the server needs no access to the file
    #[arg(value_name = "FILE|SOURCE|-")]
    file: PathBuf,

    /// What to do with open connections: migrate, drain[=TIME], close or new-only [default: the server's --on-swap]
    #[arg(long)]
    policy: Option<Policy>,

    /// Size of the component. The server has a limit of its own
    #[arg(long, value_name = "SIZE", default_value = size::show(Limits::default().max_component), value_parser = size::parse)]
    max_component: usize,

    #[command(flatten)]
    pub(super) server: super::status::ServerArgs,
}

/// Why a command to a server failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    File(#[from] component::Error),
    #[error(transparent)]
    Build(#[from] build::Error),
    #[error(transparent)]
    Client(#[from] ClientError),
    /// What is to be published.
    #[error("{0}")]
    Message(String),
    #[error("cannot parse the server's answer; is the server of another version? ({0})")]
    Answer(#[from] serde_json::Error),
}

/// Roll back to the previous generation, also under open connections
///
/// Its code is still compiled, and the state of connections migrates as in any
/// swap. A second rollback goes back one generation further.
#[derive(Debug, clap::Args)]
pub struct RollbackArgs {
    /// What to do with open connections: migrate, drain[=TIME], close or new-only [default: the server's --on-swap]
    #[arg(long)]
    policy: Option<Policy>,

    #[command(flatten)]
    pub(super) server: super::status::ServerArgs,
}

pub fn roll_back(args: &RollbackArgs) -> Result<Reply, Error> {
    let request = Request::Rollback {
        policy: args.policy.map(|policy| policy.to_string()),
        from: None,
    };
    send(&args.server, &request, &[])
}

pub fn run(args: &Args) -> Result<Reply, Error> {
    let (name, file) = match build::is_source(&args.file) {
        true => {
            let name = build::find(&args.file)?.name;
            (name.display().to_string(), build::cached(&args.file)?)
        }
        false => (component::name(&args.file), args.file.clone()),
    };
    let bytes = component::read(&file, args.max_component)?;
    let request = Request::Swap {
        name,
        length: bytes.len() as u64,
        policy: args.policy.map(|policy| policy.to_string()),
    };
    send(&args.server, &request, &bytes)
}

/// Send the request, and show the report. A swap that the server has undone is
/// reported, but is a failure.
fn send(
    server: &super::status::ServerArgs,
    request: &Request,
    bytes: &[u8],
) -> Result<Reply, Error> {
    let answer = client::send(server.target(), request, bytes)?;
    let json = escape::json(&answer);
    let report: Report = serde_json::from_value(answer)?;
    let text = match server.json {
        true => json,
        false => report.line(),
    };
    Ok(Reply {
        text: format!("{text}\n"),
        failure: report.outcome == Outcome::Undone,
    })
}
