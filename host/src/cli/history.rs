//! `hotsocket history`.

use std::fmt::Write;
use std::time::Duration;

use serde_json::Value;

use super::Reply;
use super::status::ServerArgs;
use super::swap::Error;
use crate::control::client;
use crate::control::protocol::Request;
use crate::output::escape;
use crate::registry::Record;

/// List the generations of a running server and what became of each
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub(super) server: ServerArgs,
}

pub fn run(args: &Args) -> Result<Reply, Error> {
    let answer = client::send(args.server.target(), &Request::History, &[])?;
    if args.server.json {
        return Ok(format!("{}\n", escape::json(&answer)).into());
    }
    let answer = escape::one_line_each(answer);
    let generations = answer.get("generations").cloned().unwrap_or(Value::Null);
    let records: Vec<Record> = serde_json::from_value(generations)?;
    Ok(show(&records).into())
}

fn show(records: &[Record]) -> String {
    let width = records
        .iter()
        .map(|record| record.guest.len())
        .max()
        .unwrap_or(0);
    let mut text = format!(
        "{:>4}  {:<12}  {:>10}  {:>8}  {:>6}  {:<width$}  outcome\n",
        "no.", "sha256", "accepted", "migrated", "failed", "guest"
    );
    for record in records {
        let age = crate::duration::show(Duration::from_secs(record.age()));
        let _ = writeln!(
            text,
            "{:>4}  {:.12}  {:>10}  {:>8}  {:>6}  {:<width$}  {}",
            record.generation,
            record.sha256,
            format!("{age} ago"),
            record.migrated,
            record.failed,
            record.guest,
            record.outcome
        );
    }
    text
}
