//! `hotsocket build`: from source to a guest component, with whatever this
//! machine has.
//!
//! This module owns the path from a [`Request`] to a file: `toolchain` finds a
//! compiler, `single` makes a package around a lone file (`embedded` holds the
//! SDK and the contract for it), `package` looks at a package that is already
//! one, `cargo` runs the compiler, `javascript`, `python` and `c` make guests of
//! files in these languages, the latter each in a `stage` of its own, `encode`
//! makes a component of the module that a compiler of Rust or C has made, `strip`
//! takes out what says nothing to their authors, `cached` builds for `serve`
//! only what has changed, `section` says in the component what it is, and
//! `sources` hashes what it was made of. It uses nothing of the host.

mod c;
mod cached;
mod cargo;
mod embedded;
mod encode;
mod error;
mod javascript;
mod package;
mod python;
mod section;
mod single;
mod sources;
mod stage;
mod strip;
mod toolchain;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

pub use cached::cached;
pub use error::Error;
pub use section::{Section, read as section};
pub use sources::of_file as sources_of_file;

use hotsocket_sandbox::write_whole;

/// The interface that makes a component a guest.
const HANDLER: &str = "hotsocket:socket/handler@0.1.0";

/// The SDK for Rust with the contract and a lock file: path and content.
pub(crate) const RUST_SDK: &[(&str, &str)] = embedded::FILES;

/// What to build, and where to.
#[derive(Clone, Debug)]
pub struct Request {
    /// A cargo package's directory, that of a script with its `package.json`,
    /// or a single file.
    pub source: PathBuf,
    /// Where the component goes; by default beside the source, as
    /// `DIR/NAME.wasm` or `FILE.wasm`.
    pub output: Option<PathBuf>,
}

/// A component that was built.
#[derive(Clone, Debug)]
pub struct Built {
    /// Where it is.
    pub output: PathBuf,
    /// How large it is.
    pub size: u64,
    /// What it says of itself.
    pub section: Section,
    /// What compiled it, in words.
    pub toolchain: &'static str,
    /// What it was made of: files, or a package's directory.
    pub inputs: Vec<PathBuf>,
}

/// What a kind of source comes down to.
struct Compiled {
    component: Vec<u8>,
    section: Section,
    output: PathBuf,
    inputs: Vec<PathBuf>,
    toolchain: &'static str,
}

/// Build a guest and write the component to a file. Takes seconds to minutes;
/// the compiler's messages go to standard error as they come.
pub fn build(request: &Request) -> Result<Built, Error> {
    let compiled = compile(&request.source)?;
    let output = request.output.clone().unwrap_or(compiled.output);
    write_whole(&output, &compiled.component).map_err(|error| Error::write(&output, error))?;
    Ok(Built {
        output,
        size: compiled.component.len() as u64,
        section: compiled.section,
        toolchain: compiled.toolchain,
        inputs: compiled.inputs,
    })
}

/// Build a guest and return the component, without writing a file.
pub fn component(source: &Path) -> Result<Vec<u8>, Error> {
    compile(source).map(|compiled| compiled.component)
}

/// The component with its section, whatever the source is written in.
fn compile(source: &Path) -> Result<Compiled, Error> {
    let kind = fs::metadata(source).map_err(|error| Error::read(source, error))?;
    let mut compiled = if kind.is_dir() {
        match javascript::entry_of(source) {
            Some(script) if !source.join("Cargo.toml").exists() => javascript::compile(&script)?,
            _ => package::compile(source)?,
        }
    } else {
        match extension(source) {
            "rs" => single::compile(source)?,
            "py" => python::compile(source)?,
            "c" => c::compile(source)?,
            known if javascript::EXTENSIONS.contains(&known) => javascript::compile(source)?,
            _ => {
                return Err(Error::NotSource {
                    path: source.to_owned(),
                });
            }
        }
    };
    if !section::exports(&compiled.component, HANDLER) {
        return Err(Error::NotAGuest {
            path: source.to_owned(),
        });
    }
    section::append(&mut compiled.component, &compiled.section);
    Ok(compiled)
}

fn extension(path: &Path) -> &str {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.unwrap_or_default()
}

/// Whether this is something to build, and not a component.
pub fn is_source(path: &Path) -> bool {
    let extension = extension(path);
    ["rs", "py", "c"].contains(&extension)
        || javascript::EXTENSIONS.contains(&extension)
        || path.join("Cargo.toml").exists()
        || javascript::entry_of(path).is_some()
}

/// A line for the person who waits.
fn say(line: &str) {
    // Whoever has closed standard error does not want to know.
    let _ = writeln!(std::io::stderr(), "{}", line.trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(source: impl Into<PathBuf>) -> Request {
        Request {
            source: source.into(),
            output: None,
        }
    }

    #[test]
    fn what_is_no_source_is_told_before_anything_is_compiled() {
        let error = |source: &str| build(&request(source)).expect_err("no source").to_string();
        assert!(error("/nowhere/at.rs").starts_with("cannot read /nowhere/at.rs: "));
        assert!(error("/dev/null").contains("neither a directory nor a source file"));
    }
}
