//! The lock file of a new Rust guest: that of single-file guests, under the new
//! guest's own name. So both are made of the same crates, and whoever has built
//! one needs no network for the other.

use crate::build;

/// What single-file guests are called in their lock file.
const OLD: &str = "name = \"guest\"\nversion = \"0.0.0\"";
const PACKAGE: &str = "[[package]]\n";

/// The lock file for a guest of this name. Cargo keeps the packages in order.
pub fn of(lock: &str, name: &str) -> String {
    let lock = lock.replace(OLD, &format!("name = \"{name}\"\nversion = \"0.1.0\""));
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

/// Whether a package of this name is among those of every guest.
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
    fn the_new_name_has_its_place() {
        let (_, lock) = build::RUST_SDK
            .iter()
            .find(|(path, _)| *path == "Cargo.lock")
            .expect("a lock file");
        assert_eq!(
            of(lock, "guest").replace("\"0.1.0\"", ""),
            lock.replace("\"0.0.0\"", "").replace("\"0.1.0\"", "")
        );
        let renamed = of(lock, "zebra");
        let names: Vec<_> = renamed
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
