//! Which keys there are: the flags of `hotsocket serve`, each in the table where it
//! belongs.

use std::sync::OnceLock;

use clap::{Arg, ArgAction, Args, Command};

use crate::cli::{flags, serve};

/// The table that a key belongs into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// `[node]`: what there is once in a process.
    Node,
    /// `[[service]]`.
    Service,
    /// `[[service.listener]]`; in `[[service]]` it holds for all of its listeners.
    Listener,
}

/// What a value is, beyond its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Present or not.
    Flag,
    /// How often it is given.
    Count,
    Text,
    Number,
    /// A path, relative to the file.
    Path,
    /// The same, or this word.
    PathOr(&'static str),
    /// A path, or a URL.
    PathOrUrl,
    /// `HOST` or `HOST::GUEST`.
    Directory,
    Address,
    /// `NAME=VALUE`, in the file also a table.
    Variable,
}

/// One key, and the flag that it stands for.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub name: String,
    pub scope: Scope,
    pub applies: Applies,
    pub kind: Kind,
    /// It takes a list.
    pub is_list: bool,
    /// Of the flag; empty if it has none that clap knows.
    pub default: Vec<String>,
    /// The help of the flag, with the default that it names in brackets.
    pub help: String,
    /// As `--help` names the value.
    pub value_name: String,
    pub possible: Vec<String>,
    /// Where `--help` has it.
    pub heading: String,
}

/// Those that are not flags: `config` names the file, and `second` only catches a mistake.
const NO_KEYS: [&str; 3] = ["config", "second", "help"];

/// Of a process, whatever it serves. Everything else belongs to a service or a listener.
const OF_NODE: [&str; 11] = [
    "control",
    "code-cache",
    "compile-inside",
    "max-stack",
    "log-format",
    "log-level",
    "verbose",
    "quiet",
    "label",
    "admin",
    "max-taps",
];

/// What may differ from one listener of a service to the next.
const OF_LISTENER: [&str; 6] = [
    "keepalive",
    "nagle",
    "allow",
    "deny",
    "max-per-listener",
    "max-accept-rate",
];
/// The same for all flags that begin so.
const OF_LISTENER_PREFIXES: [&str; 2] = ["tls-", "proxy-"];
const OF_NODE_PREFIXES: [&str; 2] = ["admin-", "tap-"];

/// Of a service that stays, what only a restart changes: what was opened, connected or
/// granted at the start.
const AT_START: [&str; 5] = [
    "dir",
    "env",
    "allow-net",
    "max-store-size",
    "max-store-keys",
];
/// The same for all flags that begin so.
const AT_START_PREFIXES: [&str; 2] = ["store", "topics"];

/// Of a service that stays, what changes for its open connections as well.
const AT_ONCE: [&str; 16] = [
    "guest",
    "listen",
    "port",
    "no-watch",
    "on-swap",
    "rollback-after",
    "keep",
    "set",
    "max-connections",
    "max-per-peer",
    "when-full",
    "event-timeout",
    "max-snapshot",
    "max-component",
    "compile-timeout",
    "compile-memory",
];

/// When a change takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applies {
    AtOnce,
    /// For connections that are accepted from then on.
    ToNewConnections,
    AfterRestart,
}

/// The flags of `hotsocket serve`, as clap describes them.
pub(super) fn command() -> Command {
    serve::Args::augment_args(Command::new("hotsocket"))
}

/// All keys, in the order of `--help`. The guest, which is no flag, is one as well.
pub(super) fn keys() -> &'static [Key] {
    static KEYS: OnceLock<Vec<Key>> = OnceLock::new();
    KEYS.get_or_init(|| command().get_arguments().filter_map(key).collect())
}

/// The key of that name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    keys().iter().find(|key| key.name == name)
}

/// Whether a table of one kind may have a key of another.
pub(super) fn belongs(key: Scope, table: Scope) -> bool {
    key == table || (key, table) == (Scope::Listener, Scope::Service)
}

fn key(arg: &Arg) -> Option<Key> {
    let name = arg.get_long().unwrap_or(arg.get_id().as_str());
    if NO_KEYS.contains(&name) {
        return None;
    }
    let value_name = arg.get_value_names().and_then(|names| names.first());
    let value_name = value_name.map(ToString::to_string).unwrap_or_default();
    let of = |fixed: &[&str], prefixes: &[&str]| {
        fixed.contains(&name) || prefixes.iter().any(|prefix| name.starts_with(prefix))
    };
    let scope = if of(&OF_NODE, &OF_NODE_PREFIXES) {
        Scope::Node
    } else if of(&OF_LISTENER, &OF_LISTENER_PREFIXES) {
        Scope::Listener
    } else {
        Scope::Service
    };
    let texts = arg.get_default_values().iter();
    let help = arg.get_help().or(arg.get_long_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    Some(Key {
        name: name.to_owned(),
        scope,
        applies: if scope == Scope::Node || of(&AT_START, &AT_START_PREFIXES) {
            Applies::AfterRestart
        } else if of(&AT_ONCE, &[]) {
            Applies::AtOnce
        } else {
            Applies::ToNewConnections
        },
        kind: kind(arg, name, &value_name),
        is_list: matches!(arg.get_action(), ArgAction::Append),
        default: texts
            .map(|text| text.to_string_lossy().into_owned())
            .collect(),
        help: help.split_whitespace().collect::<Vec<_>>().join(" "),
        value_name,
        possible: arg
            .get_possible_values()
            .iter()
            .filter(|_| arg.get_action().takes_values())
            .map(|value| value.get_name().to_owned())
            .collect(),
        heading: match arg.get_help_heading() {
            Some(heading) if heading == flags::LIMITS => "Limits".to_owned(),
            Some(heading) => heading.to_owned(),
            None => "Basics".to_owned(),
        },
    })
}

fn kind(arg: &Arg, name: &str, value_name: &str) -> Kind {
    match (arg.get_action(), name, value_name) {
        (ArgAction::SetTrue | ArgAction::SetFalse, ..) => Kind::Flag,
        (ArgAction::Count, ..) => Kind::Count,
        (_, "guest", _) | (_, _, "FILE" | "DIR") if name != "dir" => Kind::Path,
        (_, "dir", _) => Kind::Directory,
        (_, _, "PATH|none" | "DIR|none" | "FILE|none") => Kind::PathOr("none"),
        (_, _, "FILE|URL") => Kind::PathOrUrl,
        (_, _, value) if value.starts_with("ADDR") => Kind::Address,
        (_, "set" | "env", _) => Kind::Variable,
        (_, _, "N" | "SIZE" | "PORT") => Kind::Number,
        _ => Kind::Text,
    }
}
