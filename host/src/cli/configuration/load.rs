//! A file and the flags of the command line, which override it, become the configuration
//! of a process.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::document::{self, Document, ServiceTable};
use super::keys::{self, Kind, Scope};
use super::problem::{Place, Problem, Problems};
use super::table::{Origin, Table, Value};
use super::value::{Item, not_utf8};
use crate::cli::flags::Config;
use crate::guest_file;
use crate::listener::ListenAddress;
use crate::node::{self, Guest, ServiceListener};

/// The largest file, in bytes.
const MAX_FILE: usize = 1 << 20;

/// The flags on the command line.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Given {
    values: Table,
    /// What is wrong with them that clap accepts.
    problems: Vec<Problem>,
}

impl Given {
    /// Those of `serve`, of `config` or of no command.
    pub(in crate::cli) fn of(matches: &ArgMatches) -> Self {
        let mut given = Given::default();
        for key in keys::keys() {
            let id = key.name.replace('-', "_");
            if matches.value_source(&id) != Some(ValueSource::CommandLine) {
                continue;
            }
            let texts = match key.kind {
                Kind::Flag => Ok(vec![matches.get_flag(&id).to_string()]),
                Kind::Count => Ok(vec![matches.get_count(&id).to_string()]),
                _ => {
                    let raw = matches.get_raw(&id).into_iter().flatten();
                    let text = |raw: &OsStr| raw.to_str().map(str::to_owned);
                    raw.map(|raw| text(raw).ok_or_else(|| not_utf8(raw)))
                        .collect::<Result<Vec<_>, _>>()
                }
            };
            match texts {
                Ok(texts) => {
                    let items = texts.into_iter().map(|text| Item::given(key, text));
                    let value = Value {
                        items: items.collect(),
                        origin: Origin::Flag,
                    };
                    given.values.0.insert(key.name.clone(), value);
                }
                Err(message) => given.problems.push(Problem::everywhere(message)),
            }
        }
        given
    }
}

/// What is in force.
pub(in crate::cli) struct Loaded {
    pub(in crate::cli) config: Config,
    /// Whence each value of it comes.
    pub(super) node: Table,
    pub(super) services: Vec<LoadedService>,
    /// The file, if there is one, and what it had.
    pub(super) file: Option<PathBuf>,
    pub(super) text: String,
}

pub(super) struct LoadedService {
    pub at: Option<Place>,
    pub name: String,
    pub values: Table,
    /// Those that have tables of their own.
    pub listeners: Vec<(String, Table)>,
}

/// What a configuration file has, all of it.
///
/// # Errors
/// As reading any guest's file, and when it is too large.
pub(super) fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let bytes = guest_file::read(path, MAX_FILE)?;
    match bytes.len() > MAX_FILE {
        true => Err(io::Error::other("it is larger than 1 MiB")),
        false => Ok(bytes),
    }
}

/// The text of a configuration file.
///
/// # Errors
/// Why there is none.
fn read(path: &Path) -> Result<String, Problems> {
    let failed = |message: String| Problems::new(Some(path), vec![Problem::everywhere(message)]);
    let bytes = read_bytes(path);
    let bytes = bytes.map_err(|error| failed(crate::os_error::message(&error)))?;
    String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8".to_owned()))
}

/// What holds, with this file if there is one.
///
/// # Errors
/// Everything that is wrong with it.
pub(in crate::cli) fn load(file: Option<&Path>, given: &Given) -> Result<Loaded, Problems> {
    let Some(path) = file else {
        let nothing = (Document::default(), Vec::new());
        return resolve(nothing, given, None).map_err(|problems| Problems::new(None, problems));
    };
    let text = read(path)?;
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let base = absolute.parent().unwrap_or(Path::new("/"));
    let (mut document, problems) = document::parse(&text, base);
    let files = std::mem::take(&mut document.files);
    let loaded = resolve((document, problems), given, Some(path));
    let mut loaded = loaded.map_err(|problems| Problems {
        files,
        ..Problems::new(Some(path), problems)
    })?;
    loaded.text = text;
    Ok(loaded)
}

/// What is wrong with a text: at a line and a column, or at 0 and 0, and the message.
#[cfg(any(test, feature = "fuzzing"))]
type Wrong = Vec<((usize, usize), String)>;

/// Whether this text is a valid file; for tests.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn parse(text: &str) -> Result<(), Wrong> {
    let parsed = document::parse(text, Path::new("/none"));
    let loaded = resolve(parsed, &Given::default(), None);
    loaded.map(drop).map_err(|problems| {
        let place = |at: Option<Place>| at.map_or((0, 0), |place| (place.line, place.column));
        let problems = problems.into_iter();
        problems
            .map(|problem| (place(problem.at), problem.message))
            .collect()
    })
}

fn resolve(
    (mut document, mut problems): (Document, Vec<Problem>),
    Given {
        values: given,
        problems: wrong,
    }: &Given,
    file: Option<&Path>,
) -> Result<Loaded, Vec<Problem>> {
    problems.extend(wrong.iter().cloned());
    if document.services.is_empty() {
        document.services.push(ServiceTable::default());
    }
    if document.services.len() > 1 {
        for name in ["guest", "listen", "port"] {
            if given.0.contains_key(name) {
                problems.push(Problem::everywhere(format!(
                    "{name} on the command line is for one service, and the file has several"
                )));
            }
        }
    }
    let mut configs: Vec<Config> = Vec::new();
    let mut services = Vec::new();
    for service in document.services {
        let values = document.node.with(&service.values).with(given);
        match values.config_or_problems(service.at) {
            Ok(mut config) => {
                let (listeners, wrong) = listeners(&service, &values, given, &mut config);
                problems.extend(wrong);
                let options = config.options.services.first_mut();
                let name = options.map(|options| {
                    options.name = service.name.unwrap_or_default();
                    options.name()
                });
                services.push(LoadedService {
                    at: service.at,
                    name: name.unwrap_or_default(),
                    values,
                    listeners,
                });
                configs.push(config);
            }
            Err(wrong) => problems.extend(wrong),
        }
    }
    problems.extend(same(&services, &configs));
    problems.sort_by(|a, b| (a.at, &a.message).cmp(&(b.at, &b.message)));
    problems.dedup();
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut configs = configs.into_iter();
    let Some(mut config) = configs.next() else {
        return Err(vec![Problem::everywhere("there is no service")]);
    };
    for other in configs {
        config.options.services.extend(other.options.services);
    }
    Ok(Loaded {
        config,
        node: document.node.with(given),
        services,
        file: file.map(Path::to_owned),
        text: String::new(),
    })
}

/// Those of a service that have tables of their own, put into its options.
fn listeners(
    service: &ServiceTable,
    values: &Table,
    given: &Table,
    config: &mut Config,
) -> (Vec<(String, Table)>, Vec<Problem>) {
    let (mut tables, mut problems) = (Vec::new(), Vec::new());
    let is_given = |name: &&str| given.0.contains_key(*name);
    let Some(options) = config.options.services.first_mut() else {
        return (tables, problems);
    };
    if service.listeners.is_empty() || ["listen", "port"].iter().any(is_given) {
        return (tables, problems);
    }
    if !["listen", "port"]
        .iter()
        .any(|name| values.0.contains_key(*name))
    {
        options.listeners.clear();
    }
    for listener in &service.listeners {
        let own = listener.values.with(&given.without(&["listen", "port"]));
        let all = values.without(&["listen", "port"]).with(&own);
        match all.config_or_problems(Some(listener.at)) {
            Ok(config) => {
                let parsed = config.options.services.into_iter();
                let parsed = parsed.flat_map(|service| service.listeners);
                options
                    .listeners
                    .extend(parsed.map(|parsed| ServiceListener {
                        name: listener.name.clone(),
                        ..parsed
                    }));
                let mut own = own;
                own.0.retain(|name, _| {
                    let of_listener =
                        keys::find(name).map(|key| key.scope) == Some(Scope::Listener);
                    name == "listen" || of_listener
                });
                tables.push((listener.name.clone(), own));
            }
            Err(wrong) => problems.extend(wrong),
        }
    }
    (tables, problems)
}

/// Names and addresses that two have, where each needs its own.
fn same(services: &[LoadedService], configs: &[Config]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let (mut names, mut stores) = (BTreeMap::new(), BTreeMap::new());
    let mut addresses: Vec<(ListenAddress, &String)> = Vec::new();
    let options = configs.iter().flat_map(|config| &config.options.services);
    for (service, options) in services.iter().zip(options) {
        let mut wrong = |message: String| {
            problems.push(Problem {
                at: service.at,
                message,
            });
        };
        if names.insert(&service.name, ()).is_some() {
            wrong(format!(
                "two services are called {}: give each a name of its own",
                service.name
            ));
        }
        for listener in &options.listeners {
            let address = match &listener.place {
                node::Place::At(address) => Some(address.clone()),
                // What the guest names is known when it has been read.
                node::Place::OfGuest if matches!(options.guest, Guest::BuiltIn) => {
                    Some(std::net::SocketAddr::from(([127, 0, 0, 1], node::DEFAULT_PORT)).into())
                }
                _ => None,
            };
            let Some(address) = address else {
                continue;
            };
            let taken = addresses.iter();
            let mut taken = taken.filter(|(taken, _)| taken.conflicts_with(&address));
            match taken.next() {
                Some((taken, other)) if *taken == address => wrong(format!(
                    "{address} is listened on twice: by service {other} and by {}",
                    service.name
                )),
                Some((taken, other)) => wrong(format!(
                    "{taken} (service {other}) and {address} (service {}) cannot both be \
                     listened on: one includes the other",
                    service.name
                )),
                None => {}
            }
            addresses.push((address, &service.name));
        }
        if let Some(store) = service
            .values
            .0
            .get("store")
            .and_then(|value| value.items.first())
            && !store.text.contains("://")
            && let Some(other) = stores.insert(&store.text, &service.name)
        {
            wrong(format!(
                "services {other} and {} have the same file for their stores",
                service.name
            ));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_were_looked_for_in_vain_are_known() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.toml");
        let text = "[[service]]\nset = { A = \"x\", B = { file = \"b\" }, K = { file = \"k\" } }\n\
                    dir = [\"data::/\", \".\"]\n";
        std::fs::write(&path, text).expect("writable");
        std::fs::write(dir.path().join("b"), "x").expect("writable");
        let problems = load(Some(&path), &Given::default()).err();
        let problems = problems.expect("k is missing");
        let files = problems.files.into_iter();
        let mut files: Vec<_> = files.map(|(file, stamp)| (file, stamp.is_some())).collect();
        files.sort();
        let expected = [("b", true), ("data", false), ("k", false)];
        let expected = expected.map(|(name, is_there)| (dir.path().join(name), is_there));
        assert_eq!(files, expected);
    }
}
