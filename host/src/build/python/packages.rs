//! Which packages of the contract a guest's files ask for besides those that every guest
//! in Python has. Python calls by name at run time, so a world must be chosen before the
//! component is made; the names of the SDK's modules in the sources decide.

use super::imports::{self, Import};
use super::sources::Sources;

/// The name of the world in [`Packages::world`].
pub(super) const WORLD: &str = "component";

/// What a guest uses of `hotsocket:topics`, of the store, of `hotsocket:peer` and of
/// `hotsocket:tls`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Packages {
    topics: bool,
    subscriber: bool,
    store: bool,
    peer: bool,
    tls: bool,
}

impl Packages {
    pub(super) fn of(sources: &Sources) -> Self {
        let texts = sources
            .files()
            .map(|(_, content)| String::from_utf8_lossy(content));
        Self::of_texts(texts)
    }

    fn of_texts(texts: impl Iterator<Item = impl AsRef<str>>) -> Self {
        let mut packages = Packages::default();
        for text in texts {
            let text = text.as_ref();
            let imports = imports::of(text);
            let uses = |module| {
                is_named(text, module) || imports.iter().any(|import| takes(import, module))
            };
            let topics = uses("topics");
            packages.topics |= topics;
            packages.store |= uses("store");
            packages.peer |= uses("peer");
            packages.tls |= uses("tls");
            packages.subscriber |= topics && words(text).any(|word| word == "Subscriber");
        }
        packages
    }

    /// The world of the component, as the text of a file next to `world.wit`.
    pub(super) fn world(self) -> String {
        let includes: String = self
            .included()
            .map(|world| format!("include {world}; "))
            .collect();
        format!("package hotsocket:guest@0.1.0;\nworld {WORLD} {{ {includes}}}\n")
    }

    fn included(self) -> impl Iterator<Item = &'static str> {
        [
            Some("guest"),
            self.topics.then_some("hotsocket:topics/imports@0.1.0"),
            self.subscriber.then_some("hotsocket:topics/exports@0.1.0"),
            self.store.then_some("hotsocket:store/imports@0.1.0"),
            self.peer.then_some("hotsocket:peer/imports@0.1.0"),
            self.tls.then_some("hotsocket:tls/imports@0.1.0"),
        ]
        .into_iter()
        .flatten()
    }

    /// What the module that is compiled exports: a class for each interface.
    pub(super) fn classes(self) -> &'static str {
        match self.subscriber {
            true => "Handler = Subscriber",
            false => "Handler",
        }
    }
}

/// Whether a file names this module of the SDK, be it in a string.
fn is_named(text: &str, module: &str) -> bool {
    let mut dotted = text.split("hotsocket.").skip(1);
    dotted.any(|rest| words(rest).next() == Some(module))
}

/// Whether a statement imports this module of the SDK.
fn takes(import: &Import<'_>, module: &str) -> bool {
    match import.module.as_slice() {
        ["hotsocket"] => import.level == 0 && import.names.contains(&module),
        ["hotsocket", first, ..] => import.level == 0 && *first == module,
        _ => false,
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> Vec<&'static str> {
        Packages::of_texts(texts.iter()).included().collect()
    }

    #[test]
    fn a_guest_has_the_packages_that_its_files_import() {
        const TOPICS: &str = "hotsocket:topics/imports@0.1.0";
        const SUBSCRIBER: &str = "hotsocket:topics/exports@0.1.0";
        for (texts, worlds) in [
            (&["from hotsocket import Handler"][..], &["guest"][..]),
            (&["from hotsocket import Handler\ntopics = {}"], &["guest"]),
            (&["class Subscriber: pass"], &["guest"]),
            (&["from hotsocket import a, topics"], &["guest", TOPICS]),
            (
                &["from hotsocket import (\n  a,\n  topics as t,\n)"],
                &["guest", TOPICS],
            ),
            (
                &["from hotsocket import (\n  a,  # the peer (remote)\n  topics,\n)"],
                &["guest", TOPICS],
            ),
            (
                &["from hotsocket import a, \\\n  topics"],
                &["guest", TOPICS],
            ),
            (&["from  hotsocket  import topics"], &["guest", TOPICS]),
            (&["from .hotsocket import topics"], &["guest"]),
            (&["import hotsocket.topics"], &["guest", TOPICS]),
            (&["import os, hotsocket . topics"], &["guest", TOPICS]),
            (&["load('hotsocket.topics')"], &["guest", TOPICS]),
            (
                &["from hotsocket.store import Bucket"],
                &["guest", "hotsocket:store/imports@0.1.0"],
            ),
            (
                &["from hotsocket import Handler, peer"],
                &["guest", "hotsocket:peer/imports@0.1.0"],
            ),
            (
                &[
                    "from hotsocket import tls",
                    "from hotsocket.peer import tls",
                ],
                &[
                    "guest",
                    "hotsocket:peer/imports@0.1.0",
                    "hotsocket:tls/imports@0.1.0",
                ],
            ),
            (
                &["x = 1", "from hotsocket.topics import (\n Subscriber)"],
                &["guest", TOPICS, SUBSCRIBER],
            ),
            (
                &["from hotsocket import topics\nclass A(topics.Subscriber): pass"],
                &["guest", TOPICS, SUBSCRIBER],
            ),
        ] {
            assert_eq!(of(texts), worlds, "{texts:?}");
        }
    }
}
