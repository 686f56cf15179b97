//! `hotsocket build`: compiles a source to a guest component, with the compilers
//! that are installed.
//!
//! This module owns the path from a [`Request`] to a file: `find` says which source a
//! path stands for, `toolchain` finds a Rust compiler, `single` generates a package for
//! a single file (`settings` reads what the file asks for, `embedded` holds the SDK and
//! the contract), `package` reads a package of the user's, `cargo` runs the compiler,
//! `replaced` finds sources that cargo would not compile again;
//! `javascript`, `python` and `c` build guests in these languages, the latter two in a
//! temporary `stage`; `encode` encodes the module of a Rust or C compiler as a
//! component, `dep_info` reads which files it has read, `strip` removes the function
//! names of a language's runtime, `section` adds the metadata (`setting_names` finds the
//! settings that it lists), `sources` hashes the
//! sources, and `cached`
//! builds again for `serve` only what has changed. It depends on no other module of
//! the host but small ones (durations, writing a file).

mod c;
mod cached;
mod cargo;
mod dep_info;
mod embedded;
mod encode;
mod error;
mod find;
mod javascript;
mod package;
mod python;
mod replaced;
mod section;
mod setting_names;
mod settings;
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
pub use find::{Source, find, is_source};
pub use section::{Section, read as section};
pub use sources::{
    of_file as sources_of_file, of_files as contents_of, of_package as sources_of_package,
};

use hotsocket_sandbox::write_whole;

/// The SDK for Rust with the contract and a lock file: path and content.
pub(crate) const RUST_SDK: &[(&str, &str)] = embedded::FILES;

/// What to build, and where to.
#[derive(Clone, Debug)]
pub struct Request {
    /// A file, or a directory, as for [`find()`].
    pub source: PathBuf,
    /// The component's path; by default next to the source, as `DIR/NAME.wasm` or
    /// `FILE.wasm`.
    pub output: Option<PathBuf>,
}

/// A component that was built.
#[derive(Clone, Debug)]
pub struct Built {
    /// Its path.
    pub output: PathBuf,
    /// Whether that is a file, and not a pipe or a device, such as `/dev/stdout`.
    pub is_file: bool,
    /// Its size in bytes.
    pub size: u64,
    /// Its metadata.
    pub section: Section,
    /// The name of the compiler, for people.
    pub toolchain: &'static str,
    /// The files that it was made of, as far as they are the author's.
    pub inputs: Vec<PathBuf>,
    /// What the build has said of the source, a line each. It was printed.
    pub remarks: Vec<String>,
}

/// What each language's module returns: a component without its section yet.
struct Compiled {
    component: Vec<u8>,
    section: Section,
    output: PathBuf,
    inputs: Vec<PathBuf>,
    remarks: Vec<String>,
    toolchain: &'static str,
}

/// Build a guest and write the component to a file. Takes seconds to minutes; the
/// compiler prints its messages to standard error meanwhile.
pub fn build(request: &Request) -> Result<Built, Error> {
    let compiled = compile(&request.source)?;
    let output = request.output.clone().unwrap_or(compiled.output);
    let replaced = is_replaceable(&output);
    match replaced {
        true => write_whole(&output, &compiled.component),
        false => write_into(&output, &compiled.component),
    }
    .map_err(|error| Error::write(&output, error))?;
    Ok(Built {
        output,
        is_file: replaced,
        size: compiled.component.len() as u64,
        section: compiled.section,
        toolchain: compiled.toolchain,
        inputs: compiled.inputs,
        remarks: compiled.remarks,
    })
}

/// Whether a path is, or can become, a file of its own. Devices, pipes, and what
/// stands for an open file are written to; as root they could be replaced.
fn is_replaceable(path: &Path) -> bool {
    let special = ["/dev", "/proc"].iter().any(|dir| path.starts_with(dir));
    !special && fs::metadata(path).map_or(true, |found| found.is_file())
}

fn write_into(path: &Path, content: &[u8]) -> std::io::Result<()> {
    fs::OpenOptions::new()
        .write(true)
        .open(path)?
        .write_all(content)
}

/// A component that was built, and not written to a file.
#[derive(Clone, Debug)]
pub struct Component {
    pub bytes: Vec<u8>,
    pub section: Section,
    /// As in [`Built`].
    pub inputs: Vec<PathBuf>,
}

/// Build a guest and return the component, without writing a file.
pub fn component(source: &Path) -> Result<Component, Error> {
    compile(source).map(|compiled| Component {
        bytes: compiled.component,
        section: compiled.section,
        inputs: compiled.inputs,
    })
}

/// Compile a source in any language, and append the section.
fn compile(source: &Path) -> Result<Compiled, Error> {
    let Source { path, name } = find(source)?;
    let mut compiled = match extension(&path) {
        _ if path.is_dir() => package::compile(&path, &name)?,
        "rs" => single::compile(&path)?,
        "py" => python::compile(&path)?,
        "c" => c::compile(&path)?,
        _ => javascript::compile(&path)?,
    };
    if !section::exports_handler(&compiled.component) {
        return Err(Error::NotAGuest { path: name });
    }
    compiled.section.settings = setting_names::of(&compiled.inputs);
    section::append(&mut compiled.component, &compiled.section);
    Ok(compiled)
}

fn extension(path: &Path) -> &str {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.unwrap_or_default()
}

/// Whether a file is called like a source.
fn is_source_file(path: &Path) -> bool {
    let extension = extension(path);
    ["rs", "py", "c"].contains(&extension) || javascript::EXTENSIONS.contains(&extension)
}

/// Print a line about the progress to standard error.
fn print_progress(line: &str) {
    // A closed standard error must not fail the build.
    let _ = writeln!(std::io::stderr(), "{}", line.trim_end());
}

/// Print what there is to say of a source that can be built, and keep it.
fn remark(remarks: &mut Vec<String>, line: String) {
    print_progress(&line);
    remarks.push(line);
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
    fn only_files_are_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x.wasm");
        assert!(is_replaceable(&path), "a new one");
        fs::write(&path, "").expect("writable");
        assert!(is_replaceable(&path));
        std::os::unix::fs::symlink("/dev/null", dir.path().join("null")).expect("a symlink");
        for special in ["/dev/stdout", "/dev/null", "/proc/self/fd/1"] {
            assert!(!is_replaceable(Path::new(special)), "{special}");
        }
        assert!(!is_replaceable(&dir.path().join("null")));
        assert!(!is_replaceable(dir.path()), "a directory");
        write_into(Path::new("/dev/null"), b"x").expect("writable");
    }

    #[test]
    fn a_path_that_is_not_a_source_is_rejected_before_compiling() {
        let error = |source: &str| build(&request(source)).expect_err("no source").to_string();
        assert!(error("/nowhere/at.rs").starts_with("cannot read /nowhere/at.rs: "));
        assert!(error("/dev/null").contains("neither a directory nor a source file"));
    }
}
