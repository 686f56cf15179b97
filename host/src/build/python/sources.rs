//! The files of a Python guest: the one that was named, and what it imports from
//! its directory or from the active virtual environment. The standard library is
//! part of the interpreter.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::super::sources::Hashed;
use super::imports::{self, Import};

/// More than any guest needs: such imports are a mistake.
const MAX_FILES: usize = 10_000;

/// What a guest is made of.
pub(super) struct Sources {
    main: String,
    /// By path below the guest's directory: where it was found, and the content.
    files: BTreeMap<String, (PathBuf, Vec<u8>)>,
}

impl Sources {
    /// An error comes with the path of the file that could not be read.
    pub(super) fn of(file: &Path) -> Result<Self, (PathBuf, io::Error)> {
        let file = std::path::absolute(file).map_err(|error| (file.to_owned(), error))?;
        let main = file.file_name().unwrap_or_default().to_string_lossy();
        let mut sources = Sources {
            main: main.into_owned(),
            files: BTreeMap::new(),
        };
        let mut roots = vec![file.parent().unwrap_or(Path::new("/")).to_owned()];
        roots.extend(env::var_os("VIRTUAL_ENV").and_then(|venv| packages(Path::new(&venv))));
        let mut taken = BTreeSet::new();
        let mut waiting = vec![(sources.main.clone(), file.clone())];
        while let Some((name, path)) = waiting.pop() {
            if sources.files.contains_key(&name) {
                continue;
            }
            if sources.files.len() == MAX_FILES {
                let error = format!("it imports more than {MAX_FILES} files");
                return Err((file, io::Error::other(error)));
            }
            let content = match super::super::sources::read(&path) {
                Ok(content) => content,
                Err(error) => return Err((path, error)),
            };
            for import in imports::of(&String::from_utf8_lossy(&content)) {
                for module in modules(&name, &import) {
                    waiting.extend(find(&roots, "", &module, &mut taken));
                }
            }
            sources.files.insert(name, (path, content));
        }
        Ok(sources)
    }

    /// The name of the file that holds the handler.
    pub(super) fn main(&self) -> &str {
        &self.main
    }

    /// Where they are.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.files.values().map(|(path, _)| path.clone()).collect()
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files
            .iter()
            .map(|(name, (_, content))| (name.as_str(), content.as_slice()))
    }

    /// A message with the real paths of these files instead of those in the
    /// stage.
    pub(super) fn with_real_paths(&self, message: &str) -> String {
        self.files
            .iter()
            .fold(message.to_owned(), |message, (name, (path, _))| {
                message.replace(
                    &format!("\"/0/{name}\""),
                    &format!("\"{}\"", path.display()),
                )
            })
    }

    /// The hash of these files and of what they are built with.
    pub(super) fn hash(&self) -> String {
        let mut hashed = Hashed::default();
        hashed.add("tool", super::tool::NAME.as_bytes());
        for (name, content) in super::FILES {
            hashed.add(name, content.as_bytes());
        }
        for (name, content) in self.files() {
            hashed.add(name, content);
        }
        hashed.hex()
    }
}

/// Where a virtual environment has its packages.
fn packages(venv: &Path) -> Option<PathBuf> {
    let versions = fs::read_dir(venv.join("lib")).ok()?.flatten();
    versions
        .map(|version| version.path().join("site-packages"))
        .find(|dir| dir.is_dir())
}

/// The names of all modules that an import in this file may mean, in parts: what is taken
/// from a package may be a module of it.
fn modules<'a>(file: &'a str, import: &Import<'a>) -> Vec<Vec<&'a str>> {
    let mut module: Vec<&str> = Vec::new();
    if import.level > 0 {
        module.extend(file.split('/'));
        // Without the file, and without a package for each dot but the first.
        module.truncate(module.len().saturating_sub(import.level));
        if module.is_empty() {
            return Vec::new();
        }
    }
    module.extend(&import.module);
    // The SDK's own name is never the guest's.
    if module.first() == Some(&"hotsocket") {
        return Vec::new();
    }
    let with = |name: &&'a str| [module.as_slice(), &[*name]].concat();
    match import.names.is_empty() {
        true => vec![module],
        false => import.names.iter().map(with).collect(),
    }
}

/// The files that importing a module needs, if it lies in one of these directories: one,
/// or all of a package that is not among those taken already. As in Python, the first
/// directory that has it counts; only if none has, one without `__init__.py` is a package.
fn find(
    roots: &[PathBuf],
    prefix: &str,
    module: &[&str],
    taken: &mut BTreeSet<PathBuf>,
) -> Vec<(String, PathBuf)> {
    let Some((first, rest)) = module.split_first() else {
        return Vec::new();
    };
    let name = format!("{prefix}{first}");
    for root in roots {
        let dir = root.join(first);
        if dir.join("__init__.py").is_file() {
            let mut found = Vec::new();
            if taken.insert(dir.clone()) {
                add_package(&mut found, &dir, &name);
            }
            return found;
        }
        let file = root.join(format!("{first}.py"));
        if file.is_file() {
            return vec![(format!("{name}.py"), file)];
        }
    }
    let parts = roots.iter().map(|root| root.join(first));
    let parts: Vec<PathBuf> = parts.filter(|dir| dir.is_dir()).collect();
    match parts.is_empty() {
        true => Vec::new(),
        false => find(&parts, &format!("{name}/"), rest, taken),
    }
}

fn add_package(found: &mut Vec<(String, PathBuf)>, dir: &Path, prefix: &str) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("__pycache__") || found.len() > MAX_FILES {
            continue;
        }
        let name = format!("{prefix}/{name}");
        if path.is_dir() {
            // A link to a directory may lead around in circles.
            if !path.is_symlink() {
                add_package(found, &path, &name);
            }
        } else if name.ends_with(".py") && path.is_file() {
            found.push((name, path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn put(dir: &Path, name: &str, content: &str) {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("ours");
        fs::write(path, content).expect("ours");
    }

    fn of(file: &Path) -> Sources {
        Sources::of(file).expect("readable")
    }

    #[test]
    fn a_directory_is_a_package_without_a_file_that_says_so() {
        let kept = tempfile::tempdir().expect("a directory");
        let dir = kept.path();
        put(
            dir,
            "guest.py",
            "import a.deep.one, b\nfrom a import two\nimport c.x\n",
        );
        put(
            dir,
            "a/deep/one.py",
            "from .three import x\nfrom ..two import y\n",
        );
        put(dir, "a/deep/three.py", "from .... import x\n");
        put(dir, "a/deep/other.py", "");
        put(dir, "a/two.py", "from . import four\n");
        put(dir, "a/four/__init__.py", "");
        put(dir, "a/four/x.py", "");
        put(dir, "b/other.py", "");
        // A package comes before a file of the same name.
        put(dir, "c.py", "");
        put(dir, "c/__init__.py", "");
        let sources = of(&dir.join("guest.py"));
        let names: Vec<_> = sources.files().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            [
                "a/deep/one.py",
                "a/deep/three.py",
                "a/four/__init__.py",
                "a/four/x.py",
                "a/two.py",
                "c/__init__.py",
                "guest.py",
            ]
        );
    }

    #[test]
    fn a_file_of_a_package_may_be_a_symlink() {
        let kept = tempfile::tempdir().expect("a directory");
        let dir = kept.path();
        put(dir, "guest.py", "import a");
        put(dir, "a/__init__.py", "");
        put(dir, "b.py", "");
        symlink("../b.py", dir.join("a/link.py")).expect("ours");
        symlink("nowhere", dir.join("a/broken.py")).expect("ours");
        symlink("../a", dir.join("a/circle")).expect("ours");
        let sources = of(&dir.join("guest.py"));
        let names: Vec<_> = sources.files().map(|(name, _)| name).collect();
        assert_eq!(names, ["a/__init__.py", "a/link.py", "guest.py"]);
    }

    #[test]
    fn an_error_names_the_file_that_cannot_be_read() {
        let kept = tempfile::tempdir().expect("a directory");
        let dir = kept.path();
        put(dir, "guest.py", "import helper");
        let helper = dir.join("helper.py");
        let file = fs::File::create(&helper).expect("ours");
        // Of no size on the disk.
        file.set_len((64 << 20) + 1).expect("ours");
        let found = Sources::of(&dir.join("guest.py")).map(|sources| sources.main);
        let (path, error) = found.expect_err("too large");
        assert_eq!(path, helper);
        assert!(error.to_string().contains("64 MiB"), "{error}");
    }

    #[test]
    fn only_what_is_imported_is_taken() {
        let dir = tempfile::tempdir().expect("a directory");
        let put = |name: &str, content: &str| put(dir.path(), name, content);
        put("guest-1.py", "import one, two.deep\nimport os\n");
        put("one.py", "import one, guest_2");
        put("other.py", "");
        put("two/__init__.py", "");
        put("two/deep/__init__.py", "from . import x");
        put("two/deep/data.so", "");
        put("two/__pycache__/x.py", "");
        let sources = of(&dir.path().join("guest-1.py"));
        let names: Vec<_> = sources.files().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            [
                "guest-1.py",
                "one.py",
                "two/__init__.py",
                "two/deep/__init__.py"
            ]
        );
        let real = sources.with_real_paths("File \"/0/one.py\", line 1");
        assert_eq!(
            real,
            format!("File \"{}\", line 1", dir.path().join("one.py").display())
        );
    }
}
