//! `hotsocket swap`.

use std::path::PathBuf;

use crate::control::client::{self, ClientError};
use crate::control::protocol::Request;
use crate::registry::{Policy, Report};

/// Make a running server serve another guest, on its open connections too
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The new guest: a component (.wasm). Its bytes are sent, so the server needs no access to it
    file: PathBuf,

    /// What to do with open connections: migrate, drain[=30s], close or new-only [default: the server's --on-swap]
    #[arg(long)]
    policy: Option<Policy>,

    #[command(flatten)]
    server: super::status::Which,
}

/// Why there was no swap.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {}: {error}", .path.display())]
    Read { path: PathBuf, error: std::io::Error },
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the server's answer is not understood; is it of another version? ({0})")]
    Answer(#[from] serde_json::Error),
}

pub fn run(args: &Args) -> Result<String, Error> {
    let bytes = std::fs::read(&args.file).map_err(|error| Error::Read {
        path: args.file.clone(),
        error,
    })?;
    let request = Request::Swap {
        name: args.file.display().to_string(),
        length: bytes.len() as u64,
        policy: args.policy.map(|policy| policy.to_string()),
    };
    let answer = client::ask(args.server.control.as_deref(), &request, &bytes)?;
    if args.server.json {
        return Ok(format!("{answer}\n"));
    }
    let report: Report = serde_json::from_value(answer)?;
    Ok(format!("{}\n", report.told()))
}
