//! Which directories to watch so that no change of a file goes unnoticed, also
//! where symlinks lead to it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Symlinks followed on the way to a file. Linux follows no more
/// (path_resolution(7)).
const MAX_SYMLINKS: usize = 40;

/// The directories that hold the file and each symlink on the way to it. To
/// change where the path leads, something in one of them must change.
pub fn directories_of(path: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for _ in 0..MAX_SYMLINKS {
        let step = walk(&path);
        let (Step::End(at) | Step::Symlink { at, .. }) = &step;
        found.insert(at.parent().unwrap_or(Path::new("/")).to_owned());
        match step {
            Step::End(_) => break,
            Step::Symlink { leads_to, .. } => path = leads_to,
        }
    }
    found
}

/// How far a path leads without following a symlink.
enum Step {
    /// To its end, which need not exist.
    End(PathBuf),
    Symlink {
        at: PathBuf,
        /// The path with the symlink's target in its place.
        leads_to: PathBuf,
    },
}

/// Walk an absolute path from the root on. `..` leads to the parent here,
/// because everything before it has turned out to be no symlink.
fn walk(path: &Path) -> Step {
    let mut at = PathBuf::new();
    let mut rest = path.components();
    while let Some(part) = rest.next() {
        if part == Component::ParentDir {
            at.pop();
            continue;
        }
        at.push(part);
        if let Ok(target) = fs::read_link(&at) {
            let parent = at.parent().unwrap_or(Path::new("/"));
            let leads_to = parent.join(target).join(rest.as_path());
            return Step::Symlink { at, leads_to };
        }
    }
    Step::End(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn every_directory_on_the_way_is_found() {
        let temp = tempfile::tempdir().expect("a directory");
        let root = fs::canonicalize(temp.path()).expect("it exists");
        let dir = |name: &str| root.join(name);
        fs::create_dir_all(dir("releases/2/wasm")).expect("writable");
        fs::create_dir_all(dir("etc")).expect("writable");
        symlink("releases/2", dir("current")).expect("writable");
        symlink("../current/wasm/../guest.wasm", dir("etc/guest.wasm")).expect("writable");
        assert_eq!(
            directories_of(&dir("etc/guest.wasm")),
            BTreeSet::from([dir("etc"), root.clone(), dir("releases/2")])
        );
        assert_eq!(
            directories_of(&dir("none/guest.wasm")),
            BTreeSet::from([dir("none")])
        );
        assert_eq!(directories_of(Path::new("/")), BTreeSet::from(["/".into()]));
    }

    #[test]
    fn a_cycle_of_symlinks_ends() {
        let temp = tempfile::tempdir().expect("a directory");
        let root = fs::canonicalize(temp.path()).expect("it exists");
        symlink("b", root.join("a")).expect("writable");
        symlink("a", root.join("b")).expect("writable");
        assert_eq!(directories_of(&root.join("a")), BTreeSet::from([root]));
    }
}
