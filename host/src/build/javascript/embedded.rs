//! The files that a script is built with, compiled in: the builder, the shim,
//! the lock file of the packages, and the contract.

/// A file of `guest/js`.
macro_rules! file {
    ($path:literal) => {
        ($path, include_str!(concat!("../../../../guest/js/", $path)))
    };
}

/// Path in the build's directory, and content.
pub(super) const FILES: &[(&str, &str)] = &[
    file!("package.json"),
    file!("package-lock.json"),
    file!("asked.mjs"),
    file!("build.mjs"),
    file!("bundle_guest.mjs"),
    file!("bundle_script.mjs"),
    file!("engine.mjs"),
    file!("own_copies.mjs"),
    file!("trial.mjs"),
    file!("shim/abort.js"),
    file!("shim/absent_class.js"),
    file!("shim/assert.js"),
    file!("shim/async_functions.js"),
    file!("shim/async_hooks.js"),
    file!("shim/blob.js"),
    file!("shim/block_list.js"),
    file!("shim/buffer.js"),
    file!("shim/buffer_checks.js"),
    file!("shim/buffer_making.js"),
    file!("shim/buffer_search.js"),
    file!("shim/checks.js"),
    file!("shim/capabilities.js"),
    file!("shim/clock.js"),
    file!("shim/console.js"),
    file!("shim/console_methods.js"),
    file!("shim/context.js"),
    file!("shim/crypto.js"),
    file!("shim/date.js"),
    file!("shim/diagnostics_channel.js"),
    file!("shim/dns.js"),
    file!("shim/environment.js"),
    file!("shim/equal.js"),
    file!("shim/errors.js"),
    file!("shim/event_target.js"),
    file!("shim/events.js"),
    file!("shim/files.js"),
    file!("shim/files_trial.js"),
    file!("shim/fs.js"),
    file!("shim/fs_sync.js"),
    file!("shim/framing.js"),
    file!("shim/globals.js"),
    file!("shim/handover.js"),
    file!("shim/host.js"),
    file!("shim/hotsocket.js"),
    file!("shim/http.js"),
    file!("shim/http_incoming.js"),
    file!("shim/http_outgoing.js"),
    file!("shim/http_parser.js"),
    file!("shim/http_response.js"),
    file!("shim/key_derivation.js"),
    file!("shim/lazily.js"),
    file!("shim/locale.js"),
    file!("shim/image.js"),
    file!("shim/loop.js"),
    file!("shim/main.js"),
    file!("shim/missing.js"),
    file!("shim/net.js"),
    file!("shim/os.js"),
    file!("shim/path.js"),
    file!("shim/peer.js"),
    file!("shim/peer_host.js"),
    file!("shim/peer_trial.js"),
    file!("shim/perf_hooks.js"),
    file!("shim/process.js"),
    file!("shim/promise.js"),
    file!("shim/promises.js"),
    file!("shim/querystring.js"),
    file!("shim/random_bytes.js"),
    file!("shim/readline.js"),
    file!("shim/session.js"),
    file!("shim/sleep.js"),
    file!("shim/socket.js"),
    file!("shim/socket_ends.js"),
    file!("shim/socket_idle.js"),
    file!("shim/socket_unread.js"),
    file!("shim/start_tls.js"),
    file!("shim/start_tls_host.js"),
    file!("shim/start_tls_trial.js"),
    file!("shim/store_host.js"),
    file!("shim/store_trial.js"),
    file!("shim/stream.js"),
    file!("shim/string_decoder.js"),
    file!("shim/structured_clone.js"),
    file!("shim/text.js"),
    file!("shim/timers.js"),
    file!("shim/tls.js"),
    file!("shim/topics.js"),
    file!("shim/topics_host.js"),
    file!("shim/topics_trial.js"),
    file!("shim/tr46.js"),
    file!("shim/trial.js"),
    file!("shim/tty.js"),
    file!("shim/url.js"),
    file!("shim/util.js"),
    file!("shim/web_crypto.js"),
    file!("shim/whatwg.js"),
    file!("wit/world.wit"),
    file!("wit/deps/cli/environment.wit"),
    file!("wit/deps/clocks/monotonic-clock.wit"),
    file!("wit/deps/clocks/wall-clock.wit"),
    file!("wit/deps/filesystem/filesystem.wit"),
    file!("wit/deps/random/random.wit"),
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
        "wit/deps/keyvalue/atomics.wit",
        include_str!("../../../../wit/keyvalue/atomics.wit"),
    ),
    (
        "wit/deps/keyvalue/batch.wit",
        include_str!("../../../../wit/keyvalue/batch.wit"),
    ),
    (
        "wit/deps/keyvalue/store.wit",
        include_str!("../../../../wit/keyvalue/store.wit"),
    ),
    (
        "wit/deps/keyvalue/world.wit",
        include_str!("../../../../wit/keyvalue/world.wit"),
    ),
    (
        "wit/deps/peer/peer.wit",
        include_str!("../../../../wit/peer/peer.wit"),
    ),
    (
        "wit/deps/store/store.wit",
        include_str!("../../../../wit/store/store.wit"),
    ),
    (
        "wit/deps/topics/topics.wit",
        include_str!("../../../../wit/topics/topics.wit"),
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
    (
        "wit/deps/tls/tls.wit",
        include_str!("../../../../wit/tls/tls.wit"),
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
        let is_script = |path: &str| path.ends_with(".mjs");
        let there: BTreeSet<String> = std::fs::read_dir(root.join("guest/js"))
            .expect("the checkout")
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| is_script(name))
            .collect();
        let embedded = FILES.iter().map(|(path, _)| (*path).to_owned());
        let embedded: BTreeSet<_> = embedded.filter(|path| is_script(path)).collect();
        assert_eq!(there, embedded);
        assert_eq!(version().as_deref(), Some(env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn the_lock_file_names_no_registry() {
        let lock = FILES[1].1;
        assert!(lock.contains("\"componentize-qjs\": \"0."));
        assert!(!lock.contains("\"resolved\""));
    }
}
