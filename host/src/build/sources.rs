//! Hashes the sources of a component, to find out whether it is older than they
//! are. Contents count, time stamps don't.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{embedded, settings, single};
use crate::guest_file;

/// Read a source. Whatever stands in its place, that ends; see [`guest_file`].
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let content = guest_file::read(path, MAX_SOURCE)?;
    match content.len() > MAX_SOURCE {
        true => Err(io::Error::other("it has more than 64 MiB")),
        false => Ok(content),
    }
}

/// Size of one source file, in bytes.
const MAX_SOURCE: usize = 64 << 20;

/// A hash over named contents. Lengths are hashed too, so that no two lists of
/// files look alike.
#[derive(Default)]
pub(super) struct Hashed(Sha256);

impl Hashed {
    pub(super) fn add(&mut self, name: &str, content: &[u8]) {
        for part in [name.as_bytes(), content] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
    }

    pub(super) fn hex(self) -> String {
        use std::fmt::Write;
        self.0
            .finalize()
            .iter()
            .fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            })
    }
}

/// The hash of what `hotsocket build FILE` makes a component of: the file, the
/// SDK, the contract, and in Rust the lock file and the manifest around them. The
/// `sources` of the component's [`Section`](super::Section) are equal to it
/// while the component is up to date.
pub fn of_file(file: &Path) -> io::Result<String> {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("py") => return super::python::sources(file),
        Some("c") => return super::c::sources(file),
        _ => {}
    }
    let mut sources = Hashed::default();
    sources.add("embedded", of_embedded().as_bytes());
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    // Without the directory: it is another on every machine.
    let source = read(file)?;
    // With settings that are wrong the build fails, whatever the hash is.
    let features = settings::features(&source, file).unwrap_or_default();
    let manifest = single::manifest(&name, Path::new("guest.rs"), &features).unwrap_or_default();
    sources.add("Cargo.toml", manifest.as_bytes());
    sources.add(&name, &source);
    Ok(sources.hex())
}

/// The hash of what this binary carries for single-file guests.
pub(super) fn of_embedded() -> String {
    let mut sources = Hashed::default();
    for (path, content) in embedded::FILES {
        sources.add(path, content.as_bytes());
    }
    sources.hex()
}

/// The hash of a package's own files. What it depends on counts through its
/// lock file.
pub fn of_package(dir: &Path) -> io::Result<String> {
    let mut sources = Hashed::default();
    for name in ["Cargo.toml", "Cargo.lock", "build.rs"] {
        let path = dir.join(name);
        if path.exists() {
            sources.add(name, &read(&path)?);
        }
    }
    add_dir(&mut sources, dir, "src")?;
    Ok(sources.hex())
}

/// The hash of a file, or of a package's own files.
pub(super) fn of_input(path: &Path) -> io::Result<String> {
    if path.is_dir() {
        return of_package(path);
    }
    let mut sources = Hashed::default();
    sources.add("", &read(path)?);
    Ok(sources.hex())
}

/// The hash of the contents of these files, in their order.
pub fn of_files(files: &[PathBuf]) -> io::Result<String> {
    let mut sources = Hashed::default();
    for file in files {
        sources.add("", of_input(file)?.as_bytes());
    }
    Ok(sources.hex())
}

fn add_dir(sources: &mut Hashed, root: &Path, dir: &str) -> io::Result<()> {
    let path = root.join(dir);
    if !path.is_dir() {
        return Ok(());
    }
    let entries = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
    let mut names: Vec<_> = entries.iter().map(fs::DirEntry::file_name).collect();
    names.sort();
    for name in names {
        let name = format!("{dir}/{}", name.to_string_lossy());
        let path = root.join(&name);
        if path.is_dir() {
            add_dir(sources, root, &name)?;
        } else if path.is_file() {
            sources.add(&name, &read(&path)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_border_between_files_counts() {
        let hash = |files: &[(&str, &str)]| {
            let mut sources = Hashed::default();
            for (name, content) in files {
                sources.add(name, content.as_bytes());
            }
            sources.hex()
        };
        assert_eq!(
            hash(&[]),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_ne!(hash(&[("a", "b"), ("c", "")]), hash(&[("a", "bc")]));
        assert_ne!(hash(&[("a", "b")]), hash(&[("ab", "")]));
    }

    #[test]
    fn name_and_content_of_a_file_count_and_its_directory_does_not() {
        let kept = tempfile::tempdir().expect("a directory");
        let dir = kept.path();
        fs::create_dir_all(dir.join("other")).expect("temporary directory");
        let hash = |name: &str, content: &str| {
            fs::write(dir.join(name), content).expect("writable");
            of_file(&dir.join(name)).expect("readable")
        };
        let first = hash("a.rs", "1");
        assert_eq!(first, hash("other/a.rs", "1"));
        assert_ne!(first, hash("b.rs", "1"));
        assert_ne!(first, hash("a.rs", "2"));
    }
}
