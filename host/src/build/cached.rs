//! Guests that are served from their source: built into the user's cache, and
//! built again only when a source has changed.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::single::cache_dir;
use super::sources::{self, Hashed};
use super::{Error, Request, build, c, encode, javascript, python};
use hotsocket_sandbox::write_whole;

/// The component of a source, built if there is none yet or if a source has
/// changed since. Prints a line to standard error when it builds, as that takes
/// seconds; whatever a build has said of the source is printed each time.
pub fn cached(source: &Path) -> Result<PathBuf, Error> {
    let found = super::find(source)?;
    let source = found.path.as_path();
    let path = as_given(source).map_err(|error| Error::read(source, error))?;
    let venv = env::var_os("VIRTUAL_ENV");
    let key = key(&path, venv.as_deref()).map_err(|error| Error::read(source, error))?;
    let dir = cache_dir()?.join("served").join(format!("{key:.16}"));
    let stem = path.file_stem().unwrap_or_default();
    let component = dir.join(stem).with_extension("wasm");
    let (list, said) = (dir.join("inputs"), dir.join("remarks"));
    let stamp = stamp(source);
    if component.exists() && fs::read_to_string(&list).is_ok_and(|list| is_fresh(&list, &stamp)) {
        for remark in fs::read_to_string(&said).unwrap_or_default().lines() {
            super::print_progress(remark);
        }
        return Ok(component);
    }
    super::print_progress(&format!("building {} …", found.name.display()));
    fs::create_dir_all(&dir).map_err(|error| Error::write(&dir, error))?;
    let (started, before) = (SystemTime::now(), sources::of_input(source).ok());
    let built = build(&Request {
        source: source.to_owned(),
        output: Some(component.clone()),
    })?;
    // A file saved during the build may be in the component or not: build again at
    // the next start.
    let changed = |input: &PathBuf| changed_since(input, started);
    if built.inputs.iter().any(changed)
        || sources::of_input(source).ok() != before
        || self::stamp(source) != stamp
    {
        let _ = fs::remove_file(&list);
        return Ok(component);
    }
    let mut text = format!("{stamp}\n");
    for input in &built.inputs {
        let hash = sources::of_input(input).map_err(|error| Error::read(input, error))?;
        // With its symlinks, which may lead elsewhere next time.
        let input = std::path::absolute(input).map_err(|error| Error::read(input, error))?;
        text.push_str(&format!("{hash} {}\n", input.display()));
    }
    // The list last: with it the rest counts.
    for (path, text) in [(&said, built.remarks.join("\n")), (&list, text)] {
        write_whole(path, text.as_bytes()).map_err(|error| Error::write(path, error))?;
    }
    Ok(component)
}

/// A source's full path, in which the source itself may be a symlink: compilers look for what
/// it includes in the directory of the symlink, not in that of what it leads to.
fn as_given(source: &Path) -> io::Result<PathBuf> {
    let Some(name) = source.file_name() else {
        return fs::canonicalize(source);
    };
    let parent = source.parent().filter(|parent| *parent != Path::new(""));
    Ok(fs::canonicalize(parent.unwrap_or(Path::new(".")))?.join(name))
}

/// The hash of what makes two builds differ besides the contents of files: where the source
/// is, where it leads to, and for Python the virtual environment with its packages.
fn key(path: &Path, venv: Option<&OsStr>) -> io::Result<String> {
    let leads_to = fs::canonicalize(path)?;
    let mut key = Hashed::default();
    key.add("", leads_to.as_os_str().as_encoded_bytes());
    if path != leads_to {
        key.add("symlink", path.as_os_str().as_encoded_bytes());
    }
    if let Some(venv) = venv.filter(|_| super::extension(path) == "py") {
        key.add("VIRTUAL_ENV", venv.as_encoded_bytes());
    }
    Ok(key.hex())
}

fn changed_since(input: &Path, time: SystemTime) -> bool {
    let modified = fs::metadata(input).and_then(|input| input.modified());
    modified.is_ok_and(|modified| modified >= time)
}

/// The hash of what a component depends on besides its sources: the files in this
/// binary that it is built with.
fn tools() -> String {
    let mut tools = Hashed::default();
    tools.add("version", env!("CARGO_PKG_VERSION").as_bytes());
    tools.add("encoder", encode::VERSION.as_bytes());
    tools.add("adapter", encode::ADAPTER);
    tools.add("rust", sources::of_embedded().as_bytes());
    tools.add("javascript", javascript::of_embedded().as_bytes());
    tools.add("c", c::of_embedded().as_bytes());
    tools.add("python", python::of_embedded().as_bytes());
    tools.hex()
}

/// The first line of a list: what a component depends on besides the files in it. In
/// Python that is also which files there are: one that has come since may be imported, too.
fn stamp(source: &Path) -> String {
    let mut stamp = Hashed::default();
    stamp.add("tools", tools().as_bytes());
    if super::extension(source) == "py" {
        // What cannot be read is an error of the build.
        let files = sources::of_file(source).unwrap_or_default();
        stamp.add("files", files.as_bytes());
    }
    stamp.hex()
}

/// Whether nothing has changed since the list was written: the stamp in its
/// first line, then a hash and a path in each.
fn is_fresh(list: &str, stamp: &str) -> bool {
    let mut lines = list.lines();
    let same = |line: &str| {
        line.split_once(' ').is_some_and(|(hash, path)| {
            sources::of_input(Path::new(path)).is_ok_and(|found| found == hash)
        })
    };
    lines.next() == Some(stamp) && lines.clone().next().is_some() && lines.all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_symlink_and_each_virtual_environment_has_its_own_build() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        for name in ["common", "a", "b"] {
            fs::create_dir(at(name)).expect("writable");
        }
        let keys = |source: &str, venv: Option<&str>| {
            let path = as_given(&at(source)).expect("there");
            key(&path, venv.map(OsStr::new)).expect("there")
        };
        for name in ["x.c", "x.py"] {
            fs::write(at("common").join(name), "").expect("writable");
            let to = Path::new("../common").join(name);
            let link = |dir: &str| std::os::unix::fs::symlink(&to, at(dir).join(name));
            link("a").and_then(|()| link("b")).expect("writable");
        }
        assert_eq!(keys("a/x.c", None), keys("a/../a/x.c", Some("/venv")));
        let all = ["common/x.c", "a/x.c", "b/x.c"].map(|source| keys(source, None));
        assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2]);
        assert_eq!(keys("a/x.py", Some("/v")), keys("a/x.py", Some("/v")));
        assert_ne!(keys("a/x.py", Some("/v")), keys("a/x.py", Some("/w")));
        assert_ne!(keys("a/x.py", Some("/v")), keys("a/x.py", None));
        // What it leads to counts as well.
        fs::rename(at("common/x.py"), at("common/y.c")).expect("ours");
        let before = keys("b/x.c", None);
        fs::remove_file(at("b/x.c")).expect("ours");
        std::os::unix::fs::symlink("../common/y.c", at("b/x.c")).expect("ours");
        assert_ne!(keys("b/x.c", None), before);
    }

    #[test]
    fn a_change_of_an_input_is_seen() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x y.js");
        fs::write(&path, "1").expect("writable");
        let hash = sources::of_input(&path).expect("readable");
        let stamp = stamp(&path);
        let list = format!("{stamp}\n{hash} {}\n", path.display());
        assert!(is_fresh(&list, &stamp));
        assert!(!is_fresh(&list, "other tools"));
        assert!(!is_fresh(&format!("{stamp}\n"), &stamp), "no sources");
        fs::write(&path, "2").expect("writable");
        assert!(!is_fresh(&list, &stamp));
        fs::remove_file(&path).expect("removable");
        assert!(!is_fresh(&list, &stamp));
    }

    #[test]
    fn a_module_in_python_that_was_not_there_before_is_seen() {
        let dir = tempfile::tempdir().expect("a directory");
        let source = dir.path().join("guest.py");
        let content = "try:\n    import local_settings\nexcept ImportError:\n    pass\n";
        fs::write(&source, content).expect("writable");
        let before = stamp(&source);
        fs::write(dir.path().join("other.py"), "").expect("writable");
        assert_eq!(stamp(&source), before);
        fs::write(dir.path().join("local_settings.py"), "").expect("writable");
        assert_ne!(stamp(&source), before);
    }
}
