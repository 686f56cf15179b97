//! The lock file of a new Rust guest: that of single-file guests, with the new
//! guest's name in it. So both are built from the same crates, and after one has
//! been built the other needs no network.

use crate::build;

/// The entry of a single-file guest in its lock file.
const SINGLE_FILE: &str = "name = \"guest\"\nversion = \"0.0.0\"";
const PACKAGE: &str = "[[package]]\n";

/// The lock file for a guest of this name, with its packages sorted as Cargo
/// sorts them.
pub fn renamed(lock: &str, name: &str) -> String {
    let lock = lock.replace(
        SINGLE_FILE,
        &format!("name = \"{name}\"\nversion = \"0.1.0\""),
    );
    let mut parts = lock.split(PACKAGE);
    let head = parts.next().unwrap_or_default();
    let mut packages: Vec<_> = parts.map(str::trim_end).collect();
    packages.sort_unstable();
    let packages: Vec<_> = packages
        .iter()
        .map(|package| format!("{PACKAGE}{package}\n"))
        .collect();
    head.to_owned() + &packages.join("\n")
}

/// Whether every guest depends on a package of this name.
pub fn has(name: &str) -> bool {
    let line = format!("name = \"{name}\"");
    let lock = build::RUST_SDK
        .iter()
        .find(|(path, _)| *path == "Cargo.lock");
    name != "guest" && lock.is_some_and(|(_, lock)| lock.lines().any(|other| other == line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_name_is_sorted_in() {
        let (_, lock) = build::RUST_SDK
            .iter()
            .find(|(path, _)| *path == "Cargo.lock")
            .expect("a lock file");
        assert_eq!(
            renamed(lock, "guest").replace("\"0.1.0\"", ""),
            lock.replace("\"0.0.0\"", "").replace("\"0.1.0\"", "")
        );
        let lock_file = renamed(lock, "zebra");
        let names: Vec<_> = lock_file
            .lines()
            .filter_map(|line| line.strip_prefix("name = "))
            .collect();
        assert!(
            names.is_sorted() && names.contains(&"\"zebra\""),
            "{names:?}"
        );
        assert!(has("wit-bindgen") && !has("guest") && !has("zebra"));
    }
}
