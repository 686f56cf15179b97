//! From the text of a file to its tables, with every key checked: that there is such a
//! key, that it belongs there, and that its value has the right form.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::keys::{self, Scope, belongs};
use super::problem::{Place, Problem, nearest};
use super::table::{Origin, Table, Value};
use super::value;
use super::watch::Stamps;
use crate::watch::Stamp;

/// What a file says, with the place of each value.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub node: Table,
    pub services: Vec<ServiceTable>,
    /// Files that were looked at for its values, as they were before.
    pub files: Stamps,
}

#[derive(Debug, Default)]
pub(super) struct ServiceTable {
    /// Where it begins; `None` where the file has no service.
    pub at: Option<Place>,
    pub name: Option<String>,
    pub values: Table,
    pub listeners: Vec<ListenerTable>,
}

#[derive(Debug)]
pub(super) struct ListenerTable {
    pub at: Place,
    pub name: String,
    pub values: Table,
}

/// The longest name of a service or a listener.
const MAX_NAME: usize = 64;

/// Reads a text, and collects what is wrong.
struct Reader<'a> {
    text: &'a str,
    /// What paths are relative to.
    base: &'a Path,
    problems: Vec<Problem>,
    files: Stamps,
}

type Entry<'a, 'i> = (
    &'a toml::Spanned<toml::de::DeString<'i>>,
    &'a toml::Spanned<DeValue<'i>>,
);

/// Read a file's text. What is wrong with it is collected; the rest is there all the same.
pub(super) fn parse(text: &str, base: &Path) -> (Document, Vec<Problem>) {
    let parsed = match DeTable::parse(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            let place = Place::of(text, error.span().map_or(0, |span| span.start));
            let message = error.message().replace('\n', "; ");
            return (Document::default(), vec![Problem::at(place, message)]);
        }
    };
    let mut reader = Reader {
        text,
        base,
        problems: Vec::new(),
        files: Stamps::new(),
    };
    let mut document = reader.document(parsed.get_ref());
    document.files = reader.files;
    (document, reader.problems)
}

impl Reader<'_> {
    fn place(&self, span: std::ops::Range<usize>) -> Place {
        Place::of(self.text, span.start)
    }

    fn wrong(&mut self, span: std::ops::Range<usize>, message: impl Into<String>) {
        let place = self.place(span);
        self.problems.push(Problem::at(place, message));
    }

    fn document(&mut self, root: &DeTable<'_>) -> Document {
        let mut document = Document::default();
        for (name, value) in root {
            match (name.get_ref().as_ref(), value.get_ref()) {
                ("node", DeValue::Table(table)) => {
                    for entry in table {
                        self.key(entry, Scope::Node, &mut document.node);
                    }
                }
                ("node", _) => self.wrong(value.span(), "node is a table: write [node]"),
                ("service", DeValue::Array(services)) => {
                    for service in services {
                        match service.get_ref() {
                            DeValue::Table(table) => {
                                let at = self.place(service.span());
                                document.services.push(self.service(at, table));
                            }
                            _ => self.wrong(service.span(), "a service is a table"),
                        }
                    }
                }
                ("service", _) => {
                    self.wrong(
                        name.span(),
                        "there may be several services: write [[service]]",
                    );
                }
                (other, _) => {
                    let hint = match keys::find(other) {
                        Some(key) => format!("; {other} belongs into {}", table_of(key.scope)),
                        None => nearest(other, ["node", "service"].into_iter()),
                    };
                    self.wrong(name.span(), format!("unknown table {other}{hint}"));
                }
            }
        }
        document
    }

    fn service(&mut self, at: Place, table: &DeTable<'_>) -> ServiceTable {
        let mut service = ServiceTable {
            at: Some(at),
            ..ServiceTable::default()
        };
        for (name, value) in table {
            match (name.get_ref().as_ref(), value.get_ref()) {
                ("name", _) => service.name = self.name(value),
                ("listener", DeValue::Array(listeners)) => {
                    for listener in listeners {
                        match listener.get_ref() {
                            DeValue::Table(table) => {
                                let at = self.place(listener.span());
                                let listener = self.listener(at, table);
                                service.listeners.extend(listener);
                            }
                            _ => self.wrong(listener.span(), "a listener is a table"),
                        }
                    }
                }
                ("listener", _) => {
                    let message = "there may be several listeners: write [[service.listener]]";
                    self.wrong(name.span(), message);
                }
                _ => self.key((name, value), Scope::Service, &mut service.values),
            }
        }
        service
    }

    /// `None` if it has no address.
    fn listener(&mut self, at: Place, table: &DeTable<'_>) -> Option<ListenerTable> {
        let mut listener = ListenerTable {
            at,
            name: String::new(),
            values: Table::default(),
        };
        let mut listens = false;
        for (name, value) in table {
            match name.get_ref().as_ref() {
                "name" => listener.name = self.name(value).unwrap_or_default(),
                "listen" if value.get_ref().is_str() => {
                    listens = true;
                    self.insert((name, value), &mut listener.values);
                }
                "listen" => {
                    listens = true;
                    self.wrong(value.span(), "listen: a listener has one address, a string");
                }
                _ => self.key((name, value), Scope::Listener, &mut listener.values),
            }
        }
        if !listens {
            self.problems.push(Problem::at(
                at,
                "this listener lacks an address: listen = \"…\"",
            ));
        }
        listener.values.0.contains_key("listen").then_some(listener)
    }

    fn name(&mut self, value: &toml::Spanned<DeValue<'_>>) -> Option<String> {
        let may_have = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let name = value.get_ref().as_str();
        let valid =
            |name: &&str| (1..=MAX_NAME).contains(&name.len()) && name.chars().all(may_have);
        if let Some(name) = name.filter(valid) {
            return Some(name.to_owned());
        }
        let message = format!("name: has from 1 to {MAX_NAME} letters, digits, dots, - and _");
        self.wrong(value.span(), message);
        None
    }

    /// A key that has the name of a flag.
    fn key(&mut self, entry: Entry<'_, '_>, table: Scope, values: &mut Table) {
        let name = entry.0.get_ref().as_ref();
        match keys::find(name) {
            Some(key) if belongs(key.scope, table) => self.insert(entry, values),
            Some(key) => {
                let message = format!("{name} belongs into {}", table_of(key.scope));
                self.wrong(entry.0.span(), message);
            }
            None => {
                let of_table = keys::keys().iter().filter(|key| belongs(key.scope, table));
                let names = of_table.map(|key| key.name.as_str());
                let mut hint = nearest(name, names.chain(["name", "listener"]));
                if hint.is_empty() {
                    let all = keys::keys().iter().map(|key| key.name.as_str());
                    hint = nearest(name, all);
                    if !hint.is_empty() {
                        hint += " It belongs into another table";
                    }
                }
                self.wrong(entry.0.span(), format!("unknown key {name}{hint}"));
            }
        }
    }

    fn insert(&mut self, (name, value): Entry<'_, '_>, values: &mut Table) {
        let Some(key) = keys::find(name.get_ref()) else {
            return;
        };
        for file in value::files(key, value.get_ref(), self.base) {
            let stamp = Stamp::of(&file);
            self.files.push((file, stamp));
        }
        match value::items(key, value.get_ref(), self.base) {
            Ok(items) => {
                let origin = Origin::File(self.place(name.span()));
                values.0.insert(key.name.clone(), Value { items, origin });
            }
            Err(error) => self.wrong(value.span(), format!("{}: {error}", key.name)),
        }
    }
}

/// How the table is written that a key belongs into.
pub(super) fn table_of(scope: Scope) -> &'static str {
    match scope {
        Scope::Node => "[node]",
        Scope::Service => "[[service]]",
        Scope::Listener => "[[service]] or [[service.listener]]",
    }
}
