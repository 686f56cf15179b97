//! `hotsocket list`.

use std::fmt::Write;
use std::time::Duration;

use super::Reply;
use crate::control::find::{self, Found};
use crate::control::socket_path::SocketPathError;
use crate::output::escape;

/// List the running servers with their services and addresses
///
/// Those of this user whose control sockets are where they are by default.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Give up on a server that is silent for this long
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = super::parse::timeout)]
    timeout: Duration,

    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

pub fn run(args: &Args) -> Result<Reply, SocketPathError> {
    let found = find::all(args.timeout)?;
    if args.json {
        let list = serde_json::json!({ "servers": found });
        return Ok(format!("{}\n", escape::json(&list)).into());
    }
    Ok(show(&found).into())
}

fn show(found: &[Found]) -> String {
    let mut text = String::new();
    for server in found {
        let pid = server
            .pid
            .map_or_else(|| "?".to_owned(), |pid| pid.to_string());
        if let Some(error) = &server.error {
            let error = escape::one_line(error);
            let _ = writeln!(text, "{pid:>8}  {error}");
        }
        for service in &server.services {
            let line = format!(
                "{}  {}  {} open  {}",
                service.name,
                service.listeners.join(", "),
                service.connections,
                service.guest
            );
            let _ = writeln!(text, "{pid:>8}  {}", escape::one_line(&line));
        }
    }
    text
}
