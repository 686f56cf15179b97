//! `hotsocket store`.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Read, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use hotsocket_sandbox::key_value::MAX_VALUE;
use serde_json::Value;

use super::Reply;
use super::status::ServerArgs;
use super::swap::Error;
use crate::control::client;
use crate::control::protocol::{Request, StoreOperation};
use crate::output::escape;
use crate::{duration, os_error};

/// Look into the store of a running server, and change it
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    operation: Operation,
}

#[derive(Debug, Subcommand)]
enum Operation {
    /// Print the value of a key, byte for byte unless to a terminal; exit code 1 if it has none
    Get {
        key: String,
        #[command(flatten)]
        of: Target,
    },
    /// Set the value of a key
    Set {
        key: String,
        /// File with the value, 1 MiB at most; `-` for standard input
        #[arg(value_name = "FILE|-", default_value = "-")]
        file: PathBuf,
        /// How long it lives [default: for ever]
        #[arg(long, value_name = "TIME", value_parser = duration::parse)]
        ttl: Option<Duration>,
        #[command(flatten)]
        of: Target,
    },
    /// Remove a key
    Delete {
        key: String,
        #[command(flatten)]
        of: Target,
    },
    /// List the keys that begin with a prefix, in no order
    List {
        #[arg(default_value = "")]
        prefix: String,
        #[command(flatten)]
        of: Target,
    },
}

/// Which bucket of which server.
#[derive(Debug, clap::Args)]
struct Target {
    /// Bucket of the keys
    #[arg(long, value_name = "NAME", default_value = "default")]
    bucket: String,

    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) fn json(&self) -> bool {
        match &self.operation {
            Operation::Get { of, .. }
            | Operation::Set { of, .. }
            | Operation::Delete { of, .. }
            | Operation::List { of, .. } => of.server.json,
        }
    }
}

pub fn run(args: &Args) -> Result<Reply, Error> {
    match &args.operation {
        Operation::Get { key, of } => get(of, key),
        Operation::Set { key, file, ttl, of } => {
            let value = read(file)?;
            let life_ms = ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
            let operation = StoreOperation::Set {
                key: key.clone(),
                length: value.len() as u64,
                life_ms,
            };
            let answer = send(of, operation, &value)?;
            Ok(shown(of, &answer, "set\n"))
        }
        Operation::Delete { key, of } => {
            let key = key.clone();
            let answer = send(of, StoreOperation::Delete { key }, &[])?;
            let deleted = answer.get("deleted").and_then(Value::as_bool);
            let text = match deleted == Some(true) {
                true => "deleted\n",
                false => "there was nothing\n",
            };
            Ok(shown(of, &answer, text))
        }
        Operation::List { prefix, of } => list(of, prefix),
    }
}

fn send(of: &Target, operation: StoreOperation, body: &[u8]) -> Result<Value, Error> {
    let request = Request::Store {
        bucket: of.bucket.clone(),
        operation,
    };
    Ok(client::send(of.server.target(), &request, body)?)
}

fn shown(of: &Target, answer: &Value, text: &str) -> Reply {
    match of.server.json {
        true => format!("{}\n", escape::json(answer)).into(),
        false => text.to_owned().into(),
    }
}

fn get(of: &Target, key: &str) -> Result<Reply, Error> {
    let key = key.to_owned();
    let answer = send(of, StoreOperation::Get { key }, &[])?;
    if of.server.json {
        return Ok(shown(of, &answer, ""));
    }
    let Some(value) = answer.get("value").and_then(Value::as_str) else {
        return Err(Error::Message("the key has no value".to_owned()));
    };
    let digits: Vec<_> = value
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .collect();
    let bytes = digits.chunks_exact(2).map(|pair| match pair {
        [high, low] => (high * 16 + low) as u8,
        _ => 0,
    });
    let (bytes, mut out) = (bytes.collect::<Vec<_>>(), std::io::stdout());
    let _ = out.write_all(&shown_value(&bytes, out.is_terminal()));
    Ok(String::new().into())
}

/// A value as it is, unlike all other output: it may be a picture, for a file. A peer may
/// have chosen it, so a terminal gets no control characters of it.
fn shown_value(bytes: &[u8], is_terminal: bool) -> Cow<'_, [u8]> {
    match is_terminal {
        true => Cow::Owned(escape::harmless(bytes).into_owned().into_bytes()),
        false => Cow::Borrowed(bytes),
    }
}

fn list(of: &Target, prefix: &str) -> Result<Reply, Error> {
    let (mut text, mut all, mut cursor) = (String::new(), Vec::new(), None);
    loop {
        let prefix = prefix.to_owned();
        let mut answer = send(of, StoreOperation::List { prefix, cursor }, &[])?;
        let keys = answer.get_mut("keys").map(Value::take);
        if let Some(Value::Array(keys)) = keys {
            all.extend(keys);
        }
        let next = answer.get("cursor").and_then(Value::as_str);
        cursor = next.map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    if of.server.json {
        return Ok(shown(of, &serde_json::json!({ "keys": all }), ""));
    }
    for key in all.iter().filter_map(Value::as_str) {
        let _ = writeln!(text, "{}", escape::one_line(key));
    }
    Ok(text.into())
}

fn read(file: &PathBuf) -> Result<Vec<u8>, Error> {
    // One byte more than a value may have: the server says that it is too much.
    let most = MAX_VALUE as u64 + 1;
    let mut value = Vec::new();
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().lock().take(most).read_to_end(&mut value),
        false => std::fs::File::open(file).and_then(|file| file.take(most).read_to_end(&mut value)),
    };
    match read {
        Ok(_) => Ok(value),
        Err(error) => {
            let (file, error) = (file.display(), os_error::message(&error));
            Err(Error::Message(format!("cannot read {file}: {error}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_shown_as_it_is_but_does_not_steer_a_terminal() {
        let value = b"a\xff\x1b[2J\x07\n";
        assert_eq!(&*shown_value(value, false), value);
        let shown = shown_value(value, true);
        assert_eq!(&*shown, "a\u{fffd}\\x1b[2J\\x07\n".as_bytes());
    }
}
