//! A guest that is a Python file: `componentize-py` makes a component of it, with
//! the interpreter inside.
//!
//! `tool` installs that program, `imports` reads the statements of that name, `sources`
//! finds the files that the guest imports, `packages` which packages of the contract they
//! ask for, and this module copies them and the embedded SDK into a directory of their
//! own: the program reads everything in a source's directory, and that may be a home
//! directory. `missing` says what to do about a module that was not found, and `kept`
//! keeps what was built.

mod imports;
mod kept;
mod missing;
mod packages;
mod pip;
mod sources;
mod tool;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use super::stage::Stage;
use super::{Compiled, Error, Section, single, strip};
use kept::Kept;
use packages::Packages;
use sources::Sources;
use tool::Tool;

/// The SDK and the contract, as the guest's files find them.
const FILES: &[(&str, &str)] = &[
    (
        "guest/hotsocket/__init__.py",
        include_str!("../../../../guest/python/hotsocket/__init__.py"),
    ),
    (
        "guest/hotsocket/environment.py",
        include_str!("../../../../guest/python/hotsocket/environment.py"),
    ),
    (
        "guest/hotsocket/framing.py",
        include_str!("../../../../guest/python/hotsocket/framing.py"),
    ),
    (
        "guest/hotsocket/glue.py",
        include_str!("../../../../guest/python/hotsocket/glue.py"),
    ),
    (
        "guest/hotsocket/host.py",
        include_str!("../../../../guest/python/hotsocket/host.py"),
    ),
    (
        "guest/hotsocket/peer.py",
        include_str!("../../../../guest/python/hotsocket/peer.py"),
    ),
    (
        "guest/hotsocket/store.py",
        include_str!("../../../../guest/python/hotsocket/store.py"),
    ),
    (
        "guest/hotsocket/tls.py",
        include_str!("../../../../guest/python/hotsocket/tls.py"),
    ),
    (
        "guest/hotsocket/topics.py",
        include_str!("../../../../guest/python/hotsocket/topics.py"),
    ),
    (
        "wit/world.wit",
        include_str!("../../../../guest/wit/world.wit"),
    ),
    (
        "wit/deps/socket/connection.wit",
        include_str!("../../../../wit/connection.wit"),
    ),
    (
        "wit/deps/socket/handler.wit",
        include_str!("../../../../wit/handler.wit"),
    ),
    (
        "wit/deps/socket/output.wit",
        include_str!("../../../../wit/output.wit"),
    ),
    (
        "wit/deps/socket/types.wit",
        include_str!("../../../../wit/types.wit"),
    ),
    (
        "wit/deps/socket/world.wit",
        include_str!("../../../../wit/world.wit"),
    ),
    (
        "wit/deps/session/session.wit",
        include_str!("../../../../wit/session/session.wit"),
    ),
    (
        "wit/deps/environment/environment.wit",
        include_str!("../../../../wit/environment/environment.wit"),
    ),
    (
        "wit/deps/keyvalue/atomics.wit",
        include_str!("../../../../wit/keyvalue/atomics.wit"),
    ),
    (
        "wit/deps/keyvalue/batch.wit",
        include_str!("../../../../wit/keyvalue/batch.wit"),
    ),
    (
        "wit/deps/keyvalue/store.wit",
        include_str!("../../../../wit/keyvalue/store.wit"),
    ),
    (
        "wit/deps/keyvalue/world.wit",
        include_str!("../../../../wit/keyvalue/world.wit"),
    ),
    (
        "wit/deps/peer/peer.wit",
        include_str!("../../../../wit/peer/peer.wit"),
    ),
    (
        "wit/deps/store/store.wit",
        include_str!("../../../../wit/store/store.wit"),
    ),
    (
        "wit/deps/tls/tls.wit",
        include_str!("../../../../wit/tls/tls.wit"),
    ),
    (
        "wit/deps/topics/topics.wit",
        include_str!("../../../../wit/topics/topics.wit"),
    ),
];

/// Names the SDK's version.
const PROJECT: &str = include_str!("../../../../guest/python/pyproject.toml");

/// The module that the program compiles.
const ENTRY: &str = "hotsocket_guest";

/// Errors of Python guests only; the others are in [`Error`].
#[derive(Debug, thiserror::Error)]
pub enum PythonError {
    #[error(
        "a Python guest needs Python 3.9 or newer to be built: install it, on Debian with `apt-get install python3-venv`"
    )]
    NoPython,
    #[error(
        "cannot make a virtual environment: {message}; on Debian `apt-get install python3-venv` may help"
    )]
    NoVenv { message: String },
    #[error(
        "cannot install {} from PyPI, which the first build of a Python guest needs: {message}",
        tool::NAME
    )]
    Install { message: String },
    #[error(
        "{} in the user's cache is damaged: {message}; the next build installs it again",
        tool::NAME
    )]
    Damaged { message: String },
}

pub(super) fn compile(file: &Path) -> Result<Compiled, Error> {
    let not_utf8 = || Error::NotUtf8 {
        path: file.to_owned(),
    };
    let stem = file.file_stem().and_then(|stem| stem.to_str());
    let stem = stem.ok_or_else(not_utf8)?;
    let sources = Sources::of(file).map_err(|(path, error)| Error::read(&path, error))?;
    let cache = single::cache_dir()?;
    fs::create_dir_all(&cache).map_err(|error| Error::write(&cache, error))?;
    let tool = tool::find(&cache)?;

    if let Some(error) = tool.syntax_error(&sources.paths()) {
        super::print_progress(&error);
        return Err(Error::Compile {
            path: file.to_owned(),
        });
    }
    let mut remarks = Vec::new();
    for warning in tool.own_copies(&sources.paths()).lines() {
        super::remark(&mut remarks, format!("warning: {warning}"));
    }

    let generated = generated(&sources);
    let kept = Kept::of(&cache, &sources, &generated);
    let component = match kept.component() {
        Some(component) => component,
        None => kept.keep(make(file, &sources, &generated, &tool)?),
    };
    Ok(Compiled {
        component,
        section: Section {
            name: stem.to_owned(),
            language: "python".to_owned(),
            sdk: Some(sdk_version().to_owned()),
            sources: Some(sources.hash()),
            settings: Vec::new(),
            port: None,
        },
        inputs: sources.paths(),
        remarks,
        output: file.with_extension("wasm"),
        toolchain: tool::NAME,
    })
}

/// A file in the stage: path and content.
type Generated = (String, String);

/// The module that the program compiles, and the world of the component.
fn generated(sources: &Sources) -> [Generated; 2] {
    // A JSON string is a Python string.
    let name = serde_json::Value::from(sources.main());
    let packages = Packages::of(sources);
    let classes = packages.classes();
    let entry = format!("from hotsocket.glue import export\n\n{classes} = export({name})\n");
    [
        (format!("guest/{ENTRY}.py"), entry),
        ("wit/component.wit".to_owned(), packages.world()),
    ]
}

/// Run the program on these files.
fn make(
    file: &Path,
    sources: &Sources,
    generated: &[Generated],
    tool: &Tool,
) -> Result<Vec<u8>, Error> {
    let stage = Stage::new("python")?;
    for (path, content) in FILES {
        stage.put(path, content.as_bytes())?;
    }
    for (path, content) in sources.files() {
        stage.put(&format!("guest/{path}"), content)?;
    }
    for (path, content) in generated {
        stage.put(path, content.as_bytes())?;
    }
    if let Some(errors) = tool.run(&stage, ENTRY)? {
        tool.check_again()?;
        super::print_progress(&sources.with_real_paths(&errors));
        let venv = env::var_os("VIRTUAL_ENV").map(PathBuf::from);
        if let Some(cure) = missing::cure(&errors, file, venv.as_deref()) {
            super::print_progress(&cure);
        }
        return Err(Error::Compile {
            path: file.to_owned(),
        });
    }
    let output = stage.path().join(tool::OUTPUT);
    let component = fs::read(&output).map_err(|error| Error::read(&output, error))?;
    // The function names in it are those of the interpreter, which mean nothing to a
    // guest's author.
    Ok(strip::names(&component).unwrap_or(component))
}

/// The hash of what any Python guest is built with.
pub(super) fn of_embedded() -> String {
    let mut hashed = super::sources::Hashed::default();
    hashed.add("tool", tool::NAME.as_bytes());
    for (name, content) in FILES {
        hashed.add(name, content.as_bytes());
    }
    hashed.hex()
}

/// The hash of what a guest is made of.
pub(super) fn sources(file: &Path) -> std::io::Result<String> {
    let sources = Sources::of(file).map_err(|(_, error)| error)?;
    Ok(sources.hash())
}

fn sdk_version() -> &'static str {
    let version = PROJECT
        .lines()
        .find_map(|line| line.strip_prefix("version = "));
    version.unwrap_or_default().trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_sdk_is_missing() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for (dir, prefix) in [
            ("guest/python/hotsocket", "guest/hotsocket"),
            ("wit", "wit/deps/socket"),
        ] {
            let mut there: Vec<String> = fs::read_dir(root.join(dir))
                .expect("the checkout")
                .flatten()
                .filter(|entry| entry.path().is_file())
                .map(|entry| format!("{prefix}/{}", entry.file_name().to_string_lossy()))
                .collect();
            there.sort();
            let embedded = FILES.iter().map(|(path, _)| (*path).to_owned());
            let embedded: Vec<_> = embedded.filter(|path| path.starts_with(prefix)).collect();
            assert_eq!(embedded, there, "in {dir}");
        }
        assert_eq!(sdk_version(), env!("CARGO_PKG_VERSION"));
    }
}
