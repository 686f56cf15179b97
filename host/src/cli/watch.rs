//! `hotsocket watch`.

use std::io::{IsTerminal as _, Write as _};
use std::num::ParseIntError;

use serde_json::Value;

use super::Reply;
use super::status::ServerArgs;
use super::swap::Error;
use crate::control::client;
use crate::output::escape;
use crate::transcript::{Look, Transcript};

/// Watch a connection: each event with its bytes, as it happens
///
/// Lines marked < have what came from the peer, > what was written to it, = what the guest
/// asked for, ! why it failed. It ends when the connection ends, or with Ctrl-C. What is too
/// much to be shown in time is left out, and a line says how much. `hotsocket top` lists
/// connections with their IDs.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The connection, by the number that log and `hotsocket top` give it
    #[arg(
        value_name = "ID|--all",
        value_parser = id,
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    id: Option<u64>,

    /// Watch all connections of the service, also those that come
    #[arg(long)]
    all: bool,

    /// Show bytes in hex and as text, side by side
    #[arg(long, conflicts_with = "json")]
    hex: bool,

    #[command(flatten)]
    pub(super) server: ServerArgs,
}

/// A number, also as lines of this command have it: `#7`.
fn id(text: &str) -> Result<u64, ParseIntError> {
    text.strip_prefix('#').unwrap_or(text).parse()
}

pub fn run(args: &Args) -> Result<Reply, Error> {
    let mut lines = client::watch(args.server.target(), args.id)?;
    let mut transcript = Transcript::new(Look {
        hex: args.hex,
        colour: has_colours(),
    });
    let gone = || Error::Message("the server has gone".to_owned());
    loop {
        let (line, record) = lines.read()?.ok_or_else(gone)?;
        let text = match args.server.json {
            true => format!("{}\n", escape::json_text(&line)),
            false => transcript.show(&record),
        };
        if !print(&text) {
            break;
        }
        match record.get("type").and_then(Value::as_str) {
            Some("end") => break,
            Some("expired") => {
                let message = "the server shows no more: nothing was read here for too long";
                return Err(Error::Message(format!("{message} (--tap-lease)")));
            }
            _ => {}
        }
    }
    Ok(String::new().into())
}

/// On a terminal, unless <https://no-color.org> is followed.
fn has_colours() -> bool {
    let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal() && !is_unwanted
}

/// Print at once. False if nobody reads it any more, as with `head`.
fn print(text: &str) -> bool {
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .is_ok()
}
