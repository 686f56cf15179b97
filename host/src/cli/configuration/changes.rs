//! What has changed from one configuration to the next, by keys: for the log, and to say
//! what a reload cannot change.

use std::collections::BTreeMap;

use super::keys::{self, Applies};
use super::load::Loaded;
use super::table::Table;

/// What a server goes by. Of keys that only a restart changes, it has the values from the
/// start.
pub(in crate::cli) struct InForce {
    node: Table,
    services: BTreeMap<String, Service>,
    /// The file names services.
    has_services: bool,
    /// What the file had at the start.
    text: String,
}

struct Service {
    values: Table,
    /// By name and address.
    listeners: Vec<(String, Table)>,
}

/// How another configuration differs, in words.
#[derive(Debug, Default)]
pub(in crate::cli) struct Changes {
    /// What changes.
    pub now: Vec<String>,
    /// What does not, until a restart.
    pub after_restart: Vec<String>,
}

impl InForce {
    pub(in crate::cli) fn new(loaded: &Loaded) -> Self {
        let services = loaded.services.iter();
        let services = services.map(|service| {
            let values = Service {
                values: service.values.clone(),
                listeners: service.listeners.clone(),
            };
            (service.name.clone(), values)
        });
        InForce {
            node: loaded.node.clone(),
            services: services.collect(),
            has_services: has_services(loaded),
            text: loaded.text.clone(),
        }
    }

    /// What the file had at the start.
    pub(in crate::cli) fn text(&self) -> &str {
        &self.text
    }

    /// Whether there were services, and none is left: then the built-in guest would be
    /// served in place of all of them.
    pub(in crate::cli) fn loses_all_services(&self, loaded: &Loaded) -> bool {
        self.has_services && !has_services(loaded)
    }

    /// Go by another configuration from now on.
    pub(in crate::cli) fn change_to(&mut self, loaded: &Loaded) -> Changes {
        let mut changes = Changes::default();
        self.has_services = has_services(loaded);
        for key in differing(&self.node, &loaded.node) {
            if is_of_node(&key) {
                let line = format!("[node] {key} has changed; that needs a restart");
                changes.after_restart.push(line);
            }
        }
        let mut before = std::mem::take(&mut self.services);
        for (name, mut now) in InForce::new(loaded).services {
            let Some(before) = before.remove(&name) else {
                changes.now.push(format!("service {name} added"));
                self.services.insert(name, now);
                continue;
            };
            let keys = differing(&before.values, &now.values);
            let (late, mut changed): (Vec<_>, Vec<_>) = keys
                .into_iter()
                .filter(|key| !is_of_node(key))
                .partition(|key| is_late(key));
            for key in late {
                let line = format!("service {name}: {key} has changed; that needs a restart");
                changes.after_restart.push(line);
                match before.values.0.get(&key) {
                    Some(value) => now.values.0.insert(key, value.clone()),
                    None => now.values.0.remove(&key),
                };
            }
            if !same_listeners(&before.listeners, &now.listeners) {
                changed.push("listener".to_owned());
            }
            if !changed.is_empty() {
                let line = format!("service {name}: {}", changed.join(", "));
                changes.now.push(line);
            }
            self.services.insert(name, now);
        }
        let removed = before
            .into_keys()
            .map(|name| format!("service {name} removed"));
        changes.now.extend(removed);
        changes
    }
}

/// Whether a file names services. One that names none has one with all defaults.
fn has_services(loaded: &Loaded) -> bool {
    loaded.services.iter().any(|service| service.at.is_some())
}

fn is_of_node(key: &str) -> bool {
    keys::find(key).is_some_and(|key| key.scope == keys::Scope::Node)
}

fn is_late(key: &str) -> bool {
    keys::find(key).is_some_and(|key| key.applies == Applies::AfterRestart)
}

/// The keys whose values are not the same.
fn differing(one: &Table, other: &Table) -> Vec<String> {
    let texts = |table: &Table, key: &str| -> Vec<String> {
        let items = table.0.get(key).map(|value| value.items.iter());
        match items {
            Some(items) => items.map(|item| item.text.clone()).collect(),
            None => keys::find(key).map_or(Vec::new(), |key| key.default.clone()),
        }
    };
    let keys = keys::keys().iter().map(|key| key.name.as_str());
    keys.filter(|key| texts(one, key) != texts(other, key))
        .map(str::to_owned)
        .collect()
}

fn same_listeners(one: &[(String, Table)], other: &[(String, Table)]) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|((name, values), (other_name, other))| {
                name == other_name && differing(values, other).is_empty()
            })
}
