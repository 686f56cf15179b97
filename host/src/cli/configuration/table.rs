//! The values that hold for one service or one listener, by their keys, and whence they
//! come. A table becomes options by way of the argument list that says the same.

use std::collections::BTreeMap;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::keys::{self, Kind};
use super::problem::{Place, Problem};
use super::value::Item;
use crate::cli::flags::{Config, WrongFlags};
use crate::cli::serve;

/// Whence a value comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    File(Place),
    Flag,
}

/// What a key is set to.
#[derive(Clone, Debug)]
pub(super) struct Value {
    /// One, or for a key that takes a list any number.
    pub items: Vec<Item>,
    pub origin: Origin,
}

/// See the module's documentation. What is not in it has its default.
#[derive(Clone, Debug, Default)]
pub(super) struct Table(pub BTreeMap<String, Value>);

/// Keys that say the same in different words: a flag overrides all of them.
const SAME: [&[&str]; 2] = [&["log-level", "verbose", "quiet"], &["listen", "port"]];

#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
struct Arguments {
    #[command(flatten)]
    serve: serve::Args,
}

/// A table that stands for no options, because of one of its keys, or of several.
pub(super) struct Invalid {
    /// The key to blame, if there is one.
    pub key: Option<String>,
    /// In one line, without the name of the key.
    pub message: String,
}

impl Table {
    /// This table with the values of another one in place of its own.
    pub fn with(&self, other: &Table) -> Table {
        let mut all = self.clone();
        for (name, value) in &other.0 {
            for same in SAME.iter().filter(|same| same.contains(&name.as_str())) {
                all.0
                    .retain(|name, _| other.0.contains_key(name) || !same.contains(&name.as_str()));
            }
            all.0.insert(name.clone(), value.clone());
        }
        all
    }

    /// Without some keys.
    pub fn without(&self, names: &[&str]) -> Table {
        let mut rest = self.clone();
        rest.0.retain(|name, _| !names.contains(&name.as_str()));
        rest
    }

    /// The options that it stands for.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn config(&self) -> Result<Config, Invalid> {
        let parsed = Arguments::try_parse_from(self.arguments());
        let parsed = parsed.map_err(|error| invalid(&error))?;
        let error = match parsed.serve.config() {
            Ok(config) => return Ok(config),
            Err(WrongFlags::Limit(error)) => error,
            Err(error @ WrongFlags::Tls(_)) => {
                return Err(Invalid {
                    key: Some("tls-cert".to_owned()),
                    message: error.to_string(),
                });
            }
        };
        Err(Invalid {
            key: error.flag.split(' ').next().map(str::to_owned),
            message: format!(
                "{} is out of range: it must be {}",
                error.value, error.expected
            ),
        })
    }

    /// The same, with everything that is wrong. `at` is where the table begins.
    pub fn config_or_problems(&self, at: Option<Place>) -> Result<Config, Vec<Problem>> {
        let mut rest = self.clone();
        let mut problems = Vec::new();
        loop {
            let invalid = match rest.config() {
                Ok(config) if problems.is_empty() => return Ok(config),
                Ok(_) => return Err(problems),
                Err(invalid) => invalid,
            };
            let blamed = invalid
                .key
                .and_then(|key| Some((rest.0.remove(&key)?, key)));
            let Some((value, key)) = blamed else {
                problems.push(Problem {
                    at,
                    message: invalid.message,
                });
                return Err(problems);
            };
            let message = invalid.message;
            problems.push(match value.origin {
                Origin::File(place) => Problem::at(place, format!("{key}: {message}")),
                Origin::Flag => Problem::everywhere(format!("--{key}: {message}")),
            });
        }
    }

    /// The flags that say the same.
    fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut guest = None;
        for (name, value) in &self.0 {
            let key = keys::find(name);
            let kind = key.map(|key| key.kind);
            // Some flags require another one; a default, written out, requires nothing.
            let texts = value.items.iter().map(|item| &item.text);
            if key.is_some_and(|key| !key.default.is_empty() && key.default.iter().eq(texts)) {
                continue;
            }
            for Item { text, .. } in &value.items {
                match kind {
                    Some(Kind::Flag) if text == "true" => arguments.push(format!("--{name}")),
                    Some(Kind::Flag) => {}
                    Some(Kind::Count) => {
                        let count = text.parse().unwrap_or_default();
                        arguments.extend(std::iter::repeat_n(format!("--{name}"), count));
                    }
                    _ if name == "guest" => guest = Some(text.clone()),
                    _ => arguments.push(format!("--{name}={text}")),
                }
            }
        }
        if let Some(guest) = guest {
            arguments.extend(["--".to_owned(), guest]);
        }
        arguments
    }
}

/// What clap says of an argument, in one line that names no flag.
fn invalid(error: &clap::Error) -> Invalid {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    let argument = text(ContextKind::InvalidArg);
    let name = argument.as_deref().map(|argument| {
        let name = argument.trim_start_matches(['-', '[']);
        let end = name.find(|c: char| !c.is_alphanumeric() && c != '-');
        let name = end.and_then(|end| name.get(..end)).unwrap_or(name);
        name.to_lowercase()
    });
    let value = text(ContextKind::InvalidValue).unwrap_or_default();
    let source = std::error::Error::source(error).map(ToString::to_string);
    let valid = text(ContextKind::ValidValue);
    let message = match (error.kind(), source, valid) {
        (ErrorKind::MissingRequiredArgument, ..) => {
            return Invalid {
                key: None,
                message: format!(
                    "{} is missing: another key needs it",
                    name.unwrap_or_default()
                ),
            };
        }
        (ErrorKind::ArgumentConflict, ..) => {
            let other = text(ContextKind::PriorArg).unwrap_or_default();
            let other = other.trim_start_matches('-');
            let other = other.split(' ').next().unwrap_or(other);
            format!("cannot be combined with {other}")
        }
        (_, Some(source), _) if source.contains(&format!("{value:?}")) => source,
        (_, Some(source), _) => format!("{value:?} is {}", not(&source)),
        (_, None, Some(valid)) => format!("{value:?} is none of {valid}"),
        (_, None, None) => one_line(&error.to_string()),
    };
    Invalid { key: name, message }
}

/// What a parser says of a value, as the end of a sentence.
fn not(source: &str) -> String {
    match source.starts_with("not ") || source.starts_with("no ") || source.starts_with("out ") {
        true => source.to_owned(),
        false => format!("wrong: {source}"),
    }
}

fn one_line(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    first.trim_start_matches("error: ").to_owned()
}
