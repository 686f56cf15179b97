//! `hotsocket swap`.

use std::path::PathBuf;

use super::Reply;
use crate::control::client::{self, ClientError};
use crate::control::protocol::Request;
use crate::registry::{Outcome, Policy, Report};

/// Make a running server serve another guest, on its open connections too
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The new guest: a component (.wasm). Its bytes are sent, so the server needs no access to it
    file: PathBuf,

    /// What to do with open connections: migrate, drain[=30s], close or new-only [default: the server's --on-swap]
    #[arg(long)]
    policy: Option<Policy>,

    #[command(flatten)]
    pub(super) server: super::status::Which,
}

/// Why there was no swap.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {}: {}", .path.display(), crate::os_error::told(.error))]
    Read {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the server's answer is not understood; is it of another version? ({0})")]
    Answer(#[from] serde_json::Error),
}

/// Go back to the generation before, on open connections too
///
/// The code is still compiled, and the connections' state moves as in any
/// swap. Once more goes one generation further.
#[derive(Debug, clap::Args)]
pub struct RollbackArgs {
    /// What to do with open connections: migrate, drain[=30s], close or new-only [default: the server's --on-swap]
    #[arg(long)]
    policy: Option<Policy>,

    #[command(flatten)]
    pub(super) server: super::status::Which,
}

pub fn roll_back(args: &RollbackArgs) -> Result<Reply, Error> {
    let request = Request::Rollback {
        policy: args.policy.map(|policy| policy.to_string()),
    };
    told(&args.server, &request, &[])
}

pub fn run(args: &Args) -> Result<Reply, Error> {
    let bytes = std::fs::read(&args.file).map_err(|error| Error::Read {
        path: args.file.clone(),
        error,
    })?;
    let request = Request::Swap {
        name: args.file.display().to_string(),
        length: bytes.len() as u64,
        policy: args.policy.map(|policy| policy.to_string()),
    };
    told(&args.server, &request, &bytes)
}

/// A swap that the server undid is a failure, told as an answer.
fn told(server: &super::status::Which, request: &Request, bytes: &[u8]) -> Result<Reply, Error> {
    let answer = client::send(server.control.as_deref(), request, bytes)?;
    let report: Report = serde_json::from_value(answer.clone())?;
    let told = match server.json {
        true => answer.to_string(),
        false => report.told(),
    };
    Ok(Reply {
        text: format!("{told}\n"),
        failure: report.outcome == Outcome::Undone,
    })
}
