//! What is in force, as a file that says the same; and the reference of all keys.

use std::fmt::Write;

use super::keys::{self, Applies, Key, Kind, Scope, belongs};
use super::load::Loaded;
use super::table::{Origin, Table};
use super::value::{quote, shown};

/// Column in which comments begin, if there is room.
const COMMENTS: usize = 44;

/// The whole configuration, each value with a comment whence it comes.
pub(in crate::cli) fn show(loaded: &Loaded) -> String {
    let file = loaded.file.as_ref().map(|file| file.display().to_string());
    let file = file.as_deref();
    let mut text = String::from("[node]\n");
    for key in keys::keys().iter().filter(|key| key.scope == Scope::Node) {
        line(&mut text, key, &loaded.node, file);
    }
    for service in &loaded.services {
        let _ = writeln!(text, "\n[[service]]\nname = {}", quote(&service.name));
        let of_service = |key: &&Key| belongs(key.scope, Scope::Service);
        for key in keys::keys().iter().filter(of_service) {
            line(&mut text, key, &service.values, file);
        }
        for (name, values) in &service.listeners {
            text.push_str("\n[[service.listener]]\n");
            if !name.is_empty() {
                let _ = writeln!(text, "name = {}", quote(name));
            }
            let set = keys::keys()
                .iter()
                .filter(|key| values.0.contains_key(&key.name));
            for key in set {
                let listen = Key {
                    is_list: false,
                    ..key.clone()
                };
                line(&mut text, &listen, values, file);
            }
        }
    }
    text
}

fn line(text: &mut String, key: &Key, table: &Table, file: Option<&str>) {
    let name = &key.name;
    let (set, comment) = match table.0.get(name) {
        Some(value) => {
            let items: Vec<_> = value.items.iter().map(|item| item.shown.as_str()).collect();
            let set = match (key.kind, key.is_list) {
                (Kind::Variable, _) => format!("{name} = {{ {} }}", items.join(", ")),
                (_, true) => format!("{name} = [{}]", items.join(", ")),
                (_, false) => format!("{name} = {}", items.join(", ")),
            };
            let comment = match value.origin {
                Origin::Flag => "command line".to_owned(),
                Origin::File(place) => format!("{}:{}", file.unwrap_or_default(), place.line),
            };
            (set, comment)
        }
        None => match default(key) {
            Some(default) => (format!("{name} = {default}"), "default".to_owned()),
            None => (format!("# {name} ="), "default: none".to_owned()),
        },
    };
    let width = set.chars().count().max(COMMENTS);
    let padding = width - set.chars().count();
    let _ = writeln!(text, "{set}{:padding$} # {comment}", "");
}

/// The default as a TOML value.
fn default(key: &Key) -> Option<String> {
    match (key.kind, key.default.first()) {
        (Kind::Flag, _) => Some("false".to_owned()),
        (Kind::Count, _) => None,
        (_, Some(text)) => Some(shown(key, text)),
        (_, None) => None,
    }
}

/// All keys, as tables of Markdown: what docs/configuration.md has.
pub(in crate::cli) fn reference() -> String {
    let mut text = String::new();
    for (scope, title) in [
        (Scope::Node, "Keys of `[node]`"),
        (Scope::Service, "Keys of `[[service]]`"),
        (Scope::Listener, "Keys of `[[service.listener]]`"),
    ] {
        let _ = writeln!(text, "## {title}\n");
        let keys: Vec<_> = keys::keys()
            .iter()
            .filter(|key| key.scope == scope)
            .collect();
        if scope == Scope::Node {
            rows(&mut text, keys.iter().copied());
            continue;
        }
        let own: &[(&str, &str)] = match scope {
            Scope::Listener => &[
                ("name", "What the log, `status` and metrics call it"),
                (
                    "listen",
                    "Its address, as `--listen` takes it; a listener must have one",
                ),
            ],
            _ => &[(
                "name",
                "What commands and the log call it; without one, its guest's file without the extension",
            )],
        };
        text.push_str("| key | value | meaning |\n| --- | --- | --- |\n");
        for (name, meaning) in own {
            let _ = writeln!(text, "| `{name}` | string | {meaning} |");
        }
        text.push('\n');
        let mut headings: Vec<&str> = keys.iter().map(|key| key.heading.as_str()).collect();
        headings.dedup();
        let mut seen = Vec::new();
        for heading in headings {
            if seen.contains(&heading) {
                continue;
            }
            seen.push(heading);
            if scope == Scope::Service {
                let _ = writeln!(text, "### {heading}\n");
            }
            rows(
                &mut text,
                keys.iter().copied().filter(|key| key.heading == heading),
            );
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn rows<'a>(text: &mut String, keys: impl Iterator<Item = &'a Key>) {
    text.push_str("| key | value | default | a change holds | meaning |\n");
    text.push_str("| --- | --- | --- | --- | --- |\n");
    for key in keys {
        let (help, named) = split_default(&key.help);
        let default = match (&named, default(key)) {
            (Some(named), _) => named.clone(),
            (None, Some(default)) => format!("`{default}`"),
            (None, None) => String::new(),
        };
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} |",
            key.name,
            value(key),
            default,
            match key.applies {
                Applies::AtOnce => "at once",
                Applies::ToNewConnections => "for new connections",
                Applies::AfterRestart => "after a restart",
            },
            help.replace('|', "\\|")
        );
    }
    text.push('\n');
}

/// Help without the default that it names in brackets at its end.
fn split_default(help: &str) -> (&str, Option<String>) {
    match help.rsplit_once(" [default: ") {
        Some((help, default)) => {
            let default = default.trim_end_matches(']');
            (help, Some(default.replace('|', "\\|")))
        }
        None => (help, None),
    }
}

/// What a key takes.
fn value(key: &Key) -> String {
    let name = key.value_name.replace('|', "\\|");
    let one = match key.kind {
        Kind::Flag => return "true or false".to_owned(),
        Kind::Count => return "number".to_owned(),
        Kind::Variable => return "table of strings".to_owned(),
        Kind::Number if key.value_name != "SIZE" => "number".to_owned(),
        _ if !key.possible.is_empty() => {
            let possible = key.possible.iter().map(|value| format!("`\"{value}\"`"));
            possible.collect::<Vec<_>>().join(", ")
        }
        _ => name,
    };
    match key.is_list {
        true => format!("list of {one}"),
        false => one,
    }
}
