//! The files that a single-file guest is built with, compiled in: the SDK and the
//! contract, at their relative paths, and a lock file, so that the same source
//! makes the same component everywhere.

/// Path in the generated package, and content.
pub(super) const FILES: &[(&str, &str)] = &[
    ("Cargo.lock", include_str!("guest.lock")),
    ("guest/sdk/Cargo.toml", SDK_MANIFEST),
    (
        "guest/sdk/src/address.rs",
        include_str!("../../../guest/sdk/src/address.rs"),
    ),
    (
        "guest/sdk/src/bindings.rs",
        include_str!("../../../guest/sdk/src/bindings.rs"),
    ),
    (
        "guest/sdk/src/connection.rs",
        include_str!("../../../guest/sdk/src/connection.rs"),
    ),
    (
        "guest/sdk/src/environment.rs",
        include_str!("../../../guest/sdk/src/environment.rs"),
    ),
    (
        "guest/sdk/src/framing.rs",
        include_str!("../../../guest/sdk/src/framing.rs"),
    ),
    (
        "guest/sdk/src/glue.rs",
        include_str!("../../../guest/sdk/src/glue.rs"),
    ),
    (
        "guest/sdk/src/handler.rs",
        include_str!("../../../guest/sdk/src/handler.rs"),
    ),
    (
        "guest/sdk/src/heap/memory.rs",
        include_str!("../../../guest/sdk/src/heap/memory.rs"),
    ),
    (
        "guest/sdk/src/heap/mod.rs",
        include_str!("../../../guest/sdk/src/heap/mod.rs"),
    ),
    (
        "guest/sdk/src/lib.rs",
        include_str!("../../../guest/sdk/src/lib.rs"),
    ),
    (
        "guest/sdk/src/libc.rs",
        include_str!("../../../guest/sdk/src/libc.rs"),
    ),
    (
        "guest/sdk/src/output.rs",
        include_str!("../../../guest/sdk/src/output.rs"),
    ),
    (
        "guest/sdk/src/peer.rs",
        include_str!("../../../guest/sdk/src/peer.rs"),
    ),
    (
        "guest/sdk/src/snapshot.rs",
        include_str!("../../../guest/sdk/src/snapshot.rs"),
    ),
    (
        "guest/sdk/src/start_tls.rs",
        include_str!("../../../guest/sdk/src/start_tls.rs"),
    ),
    (
        "guest/sdk/src/state.rs",
        include_str!("../../../guest/sdk/src/state.rs"),
    ),
    (
        "guest/sdk/src/store.rs",
        include_str!("../../../guest/sdk/src/store.rs"),
    ),
    (
        "guest/sdk/src/store/sys.rs",
        include_str!("../../../guest/sdk/src/store/sys.rs"),
    ),
    (
        "guest/sdk/src/store/tests.rs",
        include_str!("../../../guest/sdk/src/store/tests.rs"),
    ),
    (
        "guest/sdk/src/sys.rs",
        include_str!("../../../guest/sdk/src/sys.rs"),
    ),
    (
        "guest/sdk/src/testing.rs",
        include_str!("../../../guest/sdk/src/testing.rs"),
    ),
    (
        "guest/sdk/src/testing/asked.rs",
        include_str!("../../../guest/sdk/src/testing/asked.rs"),
    ),
    (
        "guest/sdk/src/testing/recorder.rs",
        include_str!("../../../guest/sdk/src/testing/recorder.rs"),
    ),
    (
        "guest/sdk/src/testing/recorder/store.rs",
        include_str!("../../../guest/sdk/src/testing/recorder/store.rs"),
    ),
    (
        "guest/sdk/src/topics.rs",
        include_str!("../../../guest/sdk/src/topics.rs"),
    ),
    (
        "wit/connection.wit",
        include_str!("../../../wit/connection.wit"),
    ),
    (
        "wit/environment/environment.wit",
        include_str!("../../../wit/environment/environment.wit"),
    ),
    ("wit/handler.wit", include_str!("../../../wit/handler.wit")),
    (
        "wit/keyvalue/atomics.wit",
        include_str!("../../../wit/keyvalue/atomics.wit"),
    ),
    (
        "wit/keyvalue/batch.wit",
        include_str!("../../../wit/keyvalue/batch.wit"),
    ),
    (
        "wit/keyvalue/store.wit",
        include_str!("../../../wit/keyvalue/store.wit"),
    ),
    (
        "wit/keyvalue/world.wit",
        include_str!("../../../wit/keyvalue/world.wit"),
    ),
    ("wit/output.wit", include_str!("../../../wit/output.wit")),
    (
        "wit/peer/peer.wit",
        include_str!("../../../wit/peer/peer.wit"),
    ),
    (
        "wit/session/hibernation.wit",
        include_str!("../../../wit/session/hibernation.wit"),
    ),
    (
        "wit/session/session.wit",
        include_str!("../../../wit/session/session.wit"),
    ),
    (
        "wit/store/store.wit",
        include_str!("../../../wit/store/store.wit"),
    ),
    ("wit/tls/tls.wit", include_str!("../../../wit/tls/tls.wit")),
    (
        "wit/topics/topics.wit",
        include_str!("../../../wit/topics/topics.wit"),
    ),
    ("wit/types.wit", include_str!("../../../wit/types.wit")),
    ("wit/world.wit", include_str!("../../../wit/world.wit")),
];

const SDK_MANIFEST: &str = include_str!("../../../guest/sdk/Cargo.toml");

/// The version of the SDK in `FILES`.
pub(super) fn sdk_version() -> &'static str {
    let version = SDK_MANIFEST
        .lines()
        .find_map(|line| line.strip_prefix("version = "));
    version.unwrap_or_default().trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn nothing_of_the_sdk_and_the_contract_is_missing() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for dir in ["guest/sdk/src", "wit"] {
            let mut there = BTreeSet::new();
            below(&root, dir, &mut there);
            // The SDK has no use for this.
            there.retain(|path| !path.starts_with("wit/text/"));
            let embedded = FILES.iter().map(|(path, _)| (*path).to_owned());
            let embedded = embedded.filter(|path| path.starts_with(dir)).collect();
            assert_eq!(there, embedded);
        }
    }

    fn below(root: &Path, dir: &str, files: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(root.join(dir)).expect("the checkout") {
            let entry = entry.expect("the checkout");
            let path = format!("{dir}/{}", entry.file_name().to_string_lossy());
            match entry.path().is_dir() {
                true => below(root, &path, files),
                false => assert!(files.insert(path)),
            }
        }
    }

    #[test]
    fn the_lock_file_fits_the_sdk() {
        let lock = FILES[0].1;
        assert!(lock.contains(&format!(
            "name = \"hotsocket-guest\"\nversion = \"{}\"\n",
            sdk_version()
        )));
        let pinned = SDK_MANIFEST.split("wit-bindgen = { version = \"=").nth(1);
        let pinned = pinned
            .and_then(|rest| rest.split('"').next())
            .expect("an exact version");
        assert!(lock.contains(&format!("name = \"wit-bindgen\"\nversion = \"{pinned}\"\n")));
    }
}
