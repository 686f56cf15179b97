//! The files that a script is built with, compiled in: the builder, the shim,
//! the lock file of the packages, and the contract.

/// Path in the build's directory, and content.
pub(super) const FILES: &[(&str, &str)] = &[
    (
        "package.json",
        include_str!("../../../../guest/js/package.json"),
    ),
    (
        "package-lock.json",
        include_str!("../../../../guest/js/package-lock.json"),
    ),
    ("build.mjs", include_str!("../../../../guest/js/build.mjs")),
    (
        "shim/abort.js",
        include_str!("../../../../guest/js/shim/abort.js"),
    ),
    (
        "shim/assert.js",
        include_str!("../../../../guest/js/shim/assert.js"),
    ),
    (
        "shim/async_hooks.js",
        include_str!("../../../../guest/js/shim/async_hooks.js"),
    ),
    (
        "shim/buffer.js",
        include_str!("../../../../guest/js/shim/buffer.js"),
    ),
    (
        "shim/capabilities.js",
        include_str!("../../../../guest/js/shim/capabilities.js"),
    ),
    (
        "shim/clock.js",
        include_str!("../../../../guest/js/shim/clock.js"),
    ),
    (
        "shim/console.js",
        include_str!("../../../../guest/js/shim/console.js"),
    ),
    (
        "shim/context.js",
        include_str!("../../../../guest/js/shim/context.js"),
    ),
    (
        "shim/crypto.js",
        include_str!("../../../../guest/js/shim/crypto.js"),
    ),
    (
        "shim/diagnostics_channel.js",
        include_str!("../../../../guest/js/shim/diagnostics_channel.js"),
    ),
    (
        "shim/equal.js",
        include_str!("../../../../guest/js/shim/equal.js"),
    ),
    (
        "shim/errors.js",
        include_str!("../../../../guest/js/shim/errors.js"),
    ),
    (
        "shim/events.js",
        include_str!("../../../../guest/js/shim/events.js"),
    ),
    (
        "shim/framing.js",
        include_str!("../../../../guest/js/shim/framing.js"),
    ),
    (
        "shim/globals.js",
        include_str!("../../../../guest/js/shim/globals.js"),
    ),
    (
        "shim/handover.js",
        include_str!("../../../../guest/js/shim/handover.js"),
    ),
    (
        "shim/host.js",
        include_str!("../../../../guest/js/shim/host.js"),
    ),
    (
        "shim/loop.js",
        include_str!("../../../../guest/js/shim/loop.js"),
    ),
    (
        "shim/main.js",
        include_str!("../../../../guest/js/shim/main.js"),
    ),
    (
        "shim/missing.js",
        include_str!("../../../../guest/js/shim/missing.js"),
    ),
    (
        "shim/net.js",
        include_str!("../../../../guest/js/shim/net.js"),
    ),
    (
        "shim/os.js",
        include_str!("../../../../guest/js/shim/os.js"),
    ),
    (
        "shim/path.js",
        include_str!("../../../../guest/js/shim/path.js"),
    ),
    (
        "shim/perf_hooks.js",
        include_str!("../../../../guest/js/shim/perf_hooks.js"),
    ),
    (
        "shim/process.js",
        include_str!("../../../../guest/js/shim/process.js"),
    ),
    (
        "shim/promise.js",
        include_str!("../../../../guest/js/shim/promise.js"),
    ),
    (
        "shim/promises.js",
        include_str!("../../../../guest/js/shim/promises.js"),
    ),
    (
        "shim/querystring.js",
        include_str!("../../../../guest/js/shim/querystring.js"),
    ),
    (
        "shim/session.js",
        include_str!("../../../../guest/js/shim/session.js"),
    ),
    (
        "shim/sleep.js",
        include_str!("../../../../guest/js/shim/sleep.js"),
    ),
    (
        "shim/socket.js",
        include_str!("../../../../guest/js/shim/socket.js"),
    ),
    (
        "shim/stream.js",
        include_str!("../../../../guest/js/shim/stream.js"),
    ),
    (
        "shim/string_decoder.js",
        include_str!("../../../../guest/js/shim/string_decoder.js"),
    ),
    (
        "shim/text.js",
        include_str!("../../../../guest/js/shim/text.js"),
    ),
    (
        "shim/timers.js",
        include_str!("../../../../guest/js/shim/timers.js"),
    ),
    (
        "shim/trial.js",
        include_str!("../../../../guest/js/shim/trial.js"),
    ),
    (
        "shim/tty.js",
        include_str!("../../../../guest/js/shim/tty.js"),
    ),
    (
        "shim/url.js",
        include_str!("../../../../guest/js/shim/url.js"),
    ),
    (
        "shim/util.js",
        include_str!("../../../../guest/js/shim/util.js"),
    ),
    (
        "wit/world.wit",
        include_str!("../../../../guest/js/wit/world.wit"),
    ),
    (
        "wit/deps/cli/environment.wit",
        include_str!("../../../../guest/js/wit/deps/cli/environment.wit"),
    ),
    (
        "wit/deps/clocks/monotonic-clock.wit",
        include_str!("../../../../guest/js/wit/deps/clocks/monotonic-clock.wit"),
    ),
    (
        "wit/deps/random/random.wit",
        include_str!("../../../../guest/js/wit/deps/random/random.wit"),
    ),
    (
        "wit/deps/session/hibernation.wit",
        include_str!("../../../../wit/session/hibernation.wit"),
    ),
    (
        "wit/deps/session/session.wit",
        include_str!("../../../../wit/session/session.wit"),
    ),
    (
        "wit/deps/environment/environment.wit",
        include_str!("../../../../wit/environment/environment.wit"),
    ),
    (
        "wit/deps/text/utf8.wit",
        include_str!("../../../../wit/text/utf8.wit"),
    ),
    (
        "wit/deps/socket/connection.wit",
        include_str!("../../../../wit/connection.wit"),
    ),
    (
        "wit/deps/socket/handler.wit",
        include_str!("../../../../wit/handler.wit"),
    ),
    (
        "wit/deps/socket/output.wit",
        include_str!("../../../../wit/output.wit"),
    ),
    (
        "wit/deps/socket/types.wit",
        include_str!("../../../../wit/types.wit"),
    ),
    (
        "wit/deps/socket/world.wit",
        include_str!("../../../../wit/world.wit"),
    ),
];

/// The version of the shim.
pub(super) fn version() -> Option<String> {
    let (_, manifest) = FILES.first()?;
    let manifest: serde_json::Value = serde_json::from_str(manifest).ok()?;
    manifest.get("version")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn nothing_of_the_shim_and_the_contract_is_missing() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for (dir, place) in [("guest/js/shim", "shim"), ("wit", "wit/deps/socket")] {
            let there: BTreeSet<String> = std::fs::read_dir(root.join(dir))
                .expect("the checkout")
                .flatten()
                .filter(|entry| entry.path().is_file())
                .map(|entry| format!("{place}/{}", entry.file_name().to_string_lossy()))
                .collect();
            let embedded = FILES.iter().map(|(path, _)| (*path).to_owned());
            let embedded = embedded.filter(|path| path.starts_with(place)).collect();
            assert_eq!(there, embedded);
        }
        assert_eq!(version().as_deref(), Some(env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn the_lock_file_names_no_registry() {
        let lock = FILES[1].1;
        assert!(lock.contains("\"componentize-qjs\": \"0."));
        assert!(!lock.contains("\"resolved\""));
    }
}
