//! A guest that is a C file: clang compiles it with the header and the bindings
//! that this binary carries, and wasm-ld links it with wasi-libc.
//!
//! The bindings in `guest/c/bindings` are wit-bindgen's, made once from `wit/`;
//! a test fails when they are older than the contract. What only some guests use (topics,
//! the store, who the peer is, TLS that begins later) is compiled and linked only for
//! those: [`symbols`] looks into the guest's object.

mod symbols;
mod tools;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::sources::Hashed;
use super::stage::Stage;
use super::{Compiled, Error, Section, dep_info, encode};
use symbols::Symbols;
pub use tools::CError;
use tools::Tools;

/// What the guest is compiled with.
const FILES: &[(&str, &[u8])] = &[
    (
        "hotsocket.h",
        include_bytes!("../../../../guest/c/hotsocket.h"),
    ),
    (
        "hotsocket.c",
        include_bytes!("../../../../guest/c/hotsocket.c"),
    ),
    ("framing.c", include_bytes!("../../../../guest/c/framing.c")),
    (
        "environment.c",
        include_bytes!("../../../../guest/c/environment.c"),
    ),
    (
        "guest.h",
        include_bytes!("../../../../guest/c/bindings/guest.h"),
    ),
    (
        "guest.c",
        include_bytes!("../../../../guest/c/bindings/guest.c"),
    ),
    (
        "guest_component_type.o",
        include_bytes!("../../../../guest/c/bindings/guest_component_type.o"),
    ),
    ("topics.c", include_bytes!("../../../../guest/c/topics.c")),
    (
        "bindings/topics.h",
        include_bytes!("../../../../guest/c/bindings/topics.h"),
    ),
    (
        "bindings/topics.c",
        include_bytes!("../../../../guest/c/bindings/topics.c"),
    ),
    (
        "bindings/topics_component_type.o",
        include_bytes!("../../../../guest/c/bindings/topics_component_type.o"),
    ),
    ("store.c", include_bytes!("../../../../guest/c/store.c")),
    (
        "bindings/store.h",
        include_bytes!("../../../../guest/c/bindings/store.h"),
    ),
    (
        "bindings/store.c",
        include_bytes!("../../../../guest/c/bindings/store.c"),
    ),
    (
        "bindings/store_component_type.o",
        include_bytes!("../../../../guest/c/bindings/store_component_type.o"),
    ),
    ("peer.c", include_bytes!("../../../../guest/c/peer.c")),
    (
        "bindings/peer.h",
        include_bytes!("../../../../guest/c/bindings/peer.h"),
    ),
    (
        "bindings/peer.c",
        include_bytes!("../../../../guest/c/bindings/peer.c"),
    ),
    (
        "bindings/peer_component_type.o",
        include_bytes!("../../../../guest/c/bindings/peer_component_type.o"),
    ),
    ("tls.c", include_bytes!("../../../../guest/c/tls.c")),
    (
        "bindings/tls.h",
        include_bytes!("../../../../guest/c/bindings/tls.h"),
    ),
    (
        "bindings/tls.c",
        include_bytes!("../../../../guest/c/bindings/tls.c"),
    ),
    (
        "bindings/tls_component_type.o",
        include_bytes!("../../../../guest/c/bindings/tls_component_type.o"),
    ),
    (
        "subscriber.c",
        include_bytes!("../../../../guest/c/subscriber.c"),
    ),
    (
        "bindings/subscriber.h",
        include_bytes!("../../../../guest/c/bindings/subscriber.h"),
    ),
    (
        "bindings/subscriber.c",
        include_bytes!("../../../../guest/c/bindings/subscriber.c"),
    ),
    (
        "bindings/subscriber_component_type.o",
        include_bytes!("../../../../guest/c/bindings/subscriber_component_type.o"),
    ),
];

/// What every guest is made of besides its own file.
const PARTS: [&str; 4] = ["hotsocket", "framing", "environment", "guest"];

/// What is linked only if the guest uses it.
const PACKAGES: [Package; 5] = [
    Package {
        name: "topics",
        is_used: |symbols| symbols.calls_any(TOPICS_FUNCTIONS),
    },
    Package {
        name: "subscriber",
        is_used: |symbols| symbols.defines_any(&["on_message", "on_lagged"]),
    },
    Package {
        name: "store",
        is_used: |symbols| symbols.calls_one_with("hs_store_"),
    },
    Package {
        name: "peer",
        is_used: |symbols| symbols.calls_one_with("hs_peer_"),
    },
    Package {
        name: "tls",
        is_used: |symbols| symbols.calls_any(&["hs_can_start_tls", "hs_start_tls"]),
    },
];
const TOPICS_FUNCTIONS: &[&str] = &[
    "hs_subscribe",
    "hs_unsubscribe",
    "hs_publish",
    "hs_subscribers",
    "hs_set_will",
    "hs_clear_will",
    "hs_why",
];

/// A package of the contract: a file of the SDK, and one of bindings.
struct Package {
    name: &'static str,
    is_used: fn(&Symbols) -> bool,
}

/// Stack of a guest, in bytes. It lies first in memory, so that an overflow
/// traps instead of changing data.
const STACK: u32 = 128 * 1024;

pub(super) fn compile(file: &Path) -> Result<Compiled, Error> {
    let stem = file.file_stem().and_then(|stem| stem.to_str());
    let stem = stem.ok_or_else(|| Error::NotUtf8 {
        path: file.to_owned(),
    })?;
    let tools = Tools::find()?;
    let stage = Stage::new("c")?;
    for (name, content) in FILES {
        stage.put(name, content)?;
    }
    let hash = sources(file).map_err(|error| Error::read(file, error))?;

    let dir = stage.path();
    let path = std::path::absolute(file).map_err(|error| Error::read(file, error))?;
    let own = path.parent().unwrap_or(Path::new("/"));
    let failed = || Error::Compile {
        path: file.to_owned(),
    };
    let compile = |source: &Path, object: &Path| {
        let mut clang = Command::new(&tools.clang);
        clang
            .env("TMPDIR", stage.temporary()?)
            .args([
                "--target=wasm32-wasip1",
                "-std=gnu17",
                "-O2",
                "-c",
                "-Wall",
                "-MMD",
            ])
            // The paths in messages of `assert` are the same on every machine.
            .arg(format!("-ffile-prefix-map={}/=", own.display()))
            .arg("-isystem")
            .arg(&tools.headers)
            .arg("-isystem")
            .arg(dir)
            .arg(source)
            .arg("-o")
            .arg(object);
        match tools::run(&mut clang)? {
            true => Ok(()),
            false => Err(failed()),
        }
    };
    let handler = dir.join("handler.o");
    compile(&path, &handler)?;
    let object = fs::read(&handler).map_err(|error| Error::read(&handler, error))?;
    let symbols = Symbols::of(&object);
    let mut parts: Vec<_> = PARTS.map(str::to_owned).into();
    let mut types = vec![dir.join("guest_component_type.o")];
    for Package { name, is_used } in PACKAGES {
        if is_used(&symbols) {
            parts.extend([name.to_owned(), format!("bindings/{name}")]);
            types.push(dir.join(format!("bindings/{name}_component_type.o")));
        }
    }
    let mut objects = vec![handler];
    for part in parts {
        let object = dir.join(format!("{part}.o"));
        compile(&dir.join(format!("{part}.c")), &object)?;
        objects.push(object);
    }

    let made = dir.join("guest.wasm");
    let mut linker = Command::new(&tools.wasm_ld);
    linker.env("TMPDIR", stage.temporary()?);
    linker.args([
        "--no-entry",
        "--gc-sections",
        "--stack-first",
        "--strip-debug",
        "-z",
    ]);
    linker.arg(format!("stack-size={STACK}"));
    linker.args(objects);
    linker.args(types);
    linker.arg("-L").arg(&tools.libraries).arg("-lc");
    linker.arg(&tools.builtins).arg("-o").arg(&made);
    if !tools::run(&mut linker)? {
        return Err(failed());
    }
    let module = fs::read(&made).map_err(|error| Error::read(&made, error))?;
    Ok(Compiled {
        component: encode::component(&module, file)?,
        section: Section {
            name: stem.to_owned(),
            language: "c".to_owned(),
            sdk: Some(env!("CARGO_PKG_VERSION").to_owned()),
            sources: Some(hash),
            settings: Vec::new(),
            port: None,
        },
        inputs: inputs(dir, &path),
        output: file.with_extension("wasm"),
        remarks: Vec::new(),
        toolchain: "clang",
    })
}

/// The files that clang has read for the guest's own, without those of the stage and
/// of the system.
fn inputs(stage: &Path, file: &Path) -> Vec<PathBuf> {
    let list = fs::read_to_string(stage.join("handler.d")).unwrap_or_default();
    let mut inputs = dep_info::files(&list);
    inputs.retain(|input| input != file && !input.starts_with(stage));
    inputs.insert(0, file.to_owned());
    inputs
}

/// The hash of a guest's sources, except headers of its own.
pub(super) fn sources(file: &Path) -> std::io::Result<String> {
    let mut hash = Hashed::default();
    for (name, content) in FILES {
        hash.add(name, content);
    }
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    hash.add(&name, &super::sources::read(file)?);
    Ok(hash.hex())
}

/// The hash of what any guest in C is built with.
pub(super) fn of_embedded() -> String {
    let mut hash = Hashed::default();
    for (name, content) in FILES {
        hash.add(name, content);
    }
    hash.hex()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bindings begin with the hash of the contract that they were made
    /// from; see `guest/c/bindings/README.md` for how they are made again.
    #[test]
    fn the_bindings_are_those_of_the_contract() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut hash = Hashed::default();
        for name in [
            "wit/connection",
            "wit/handler",
            "wit/output",
            "wit/types",
            "wit/world",
            "wit/session/session",
            "wit/environment/environment",
            "wit/topics/topics",
            "wit/peer/peer",
            "wit/tls/tls",
            "wit/keyvalue/atomics",
            "wit/keyvalue/batch",
            "wit/keyvalue/store",
            "wit/keyvalue/world",
            "wit/store/store",
            "guest/wit/world",
        ] {
            let path = root.join(format!("{name}.wit"));
            hash.add(name, &fs::read(path).expect("the contract"));
        }
        let hash = hash.hex();
        let readme = fs::read_to_string(root.join("guest/c/bindings/README.md"));
        assert!(
            readme.expect("a text").contains(&hash),
            "wit/ has changed: make guest/c/bindings again, and write {hash} into its README.md"
        );
    }
}
