//! The files that a single-file guest is built with, compiled in: the SDK and the
//! contract, at their relative paths, and a lock file, so that the same source
//! makes the same component everywhere.

/// A file of the repository at its own path.
macro_rules! file {
    ($path:literal) => {
        ($path, include_str!(concat!("../../../", $path)))
    };
}

/// Path in the generated package, and content.
pub(super) const FILES: &[(&str, &str)] = &[
    ("Cargo.lock", include_str!("guest.lock")),
    ("guest/sdk/Cargo.toml", SDK_MANIFEST),
    file!("guest/sdk/src/address.rs"),
    file!("guest/sdk/src/bindings.rs"),
    file!("guest/sdk/src/connection.rs"),
    file!("guest/sdk/src/environment.rs"),
    file!("guest/sdk/src/framing.rs"),
    file!("guest/sdk/src/framing/codecs.rs"),
    file!("guest/sdk/src/framing/tests.rs"),
    file!("guest/sdk/src/glue.rs"),
    file!("guest/sdk/src/handler.rs"),
    file!("guest/sdk/src/heap/memory.rs"),
    file!("guest/sdk/src/heap/mod.rs"),
    file!("guest/sdk/src/lib.rs"),
    file!("guest/sdk/src/libc.rs"),
    file!("guest/sdk/src/output.rs"),
    file!("guest/sdk/src/peer.rs"),
    file!("guest/sdk/src/snapshot.rs"),
    file!("guest/sdk/src/start_tls.rs"),
    file!("guest/sdk/src/state.rs"),
    file!("guest/sdk/src/store.rs"),
    file!("guest/sdk/src/store/cas.rs"),
    file!("guest/sdk/src/store/sys.rs"),
    file!("guest/sdk/src/store/tests.rs"),
    file!("guest/sdk/src/sys.rs"),
    file!("guest/sdk/src/testing.rs"),
    file!("guest/sdk/src/testing/asked.rs"),
    file!("guest/sdk/src/testing/recorder.rs"),
    file!("guest/sdk/src/testing/recorder/store.rs"),
    file!("guest/sdk/src/testing/recorder/topics.rs"),
    file!("guest/sdk/src/testing/tests.rs"),
    file!("guest/sdk/src/topics.rs"),
    file!("wit/connection.wit"),
    file!("wit/environment/environment.wit"),
    file!("wit/handler.wit"),
    file!("wit/keyvalue/atomics.wit"),
    file!("wit/keyvalue/batch.wit"),
    file!("wit/keyvalue/store.wit"),
    file!("wit/keyvalue/world.wit"),
    file!("wit/output.wit"),
    file!("wit/peer/peer.wit"),
    file!("wit/session/hibernation.wit"),
    file!("wit/session/session.wit"),
    file!("wit/store/store.wit"),
    file!("wit/tls/tls.wit"),
    file!("wit/topics/topics.wit"),
    file!("wit/types.wit"),
    file!("wit/world.wit"),
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
