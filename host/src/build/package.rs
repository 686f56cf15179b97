//! A guest that is a cargo package of its own.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::cargo::{Cargo, Outside};
use super::replaced::Record;
use super::toolchain::{self, remap};
use super::{Compiled, Error, Section, single, sources};

/// The release profile of packages that have none of their own.
const PROFILE: [(&str, &str); 5] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s"),
    ("CARGO_PROFILE_RELEASE_LTO", "true"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_STRIP", "debuginfo"),
];

/// Build the package in a directory, which messages call `called`.
pub(super) fn compile(source: &Path, called: &Path) -> Result<Compiled, Error> {
    let dir = fs::canonicalize(source).map_err(|error| Error::read(source, error))?;
    let toolchain = toolchain::find(&dir)?;
    let mut cargo = Cargo {
        toolchain: &toolchain,
        dir: &dir,
        source: called,
        outside: Vec::new(),
        inherit_env: true,
    };
    let metadata = cargo.metadata()?;
    let packages = metadata
        .get("packages")
        .unwrap_or(&Value::Null)
        .as_array()
        .map_or(&[][..], Vec::as_slice);

    let manifest = dir.join("Cargo.toml");
    let package = packages
        .iter()
        .find(|package| package["manifest_path"].as_str() == manifest.to_str());
    let package = package.filter(|package| has_cdylib(package));
    let package = package.ok_or_else(|| Error::NoCdylib {
        path: called.to_owned(),
    })?;
    let name = package["name"].as_str().unwrap_or("guest").to_owned();

    let path = |key| metadata.get(key).and_then(Value::as_str).map(PathBuf::from);
    let root = path("workspace_root").unwrap_or_default();
    let outside = packages.iter().filter(|package| !is_below(package, &root));
    cargo.outside = outside.filter_map(outside_of).collect();
    let profile = if has_profile(&root) {
        &[][..]
    } else {
        &PROFILE
    };
    // Unless the author has set another target directory, share that of
    // single-file guests: compiling the standard library and the SDK's
    // dependencies takes minutes.
    let is_default = path("target_directory").is_none_or(|target| target == root.join("target"));
    let cache = match is_default {
        true => single::cache_dir().ok(),
        false => None,
    };
    let shared = cache.as_ref().map(|cache| cache.join("target"));
    let mut lock = None;
    let mut args = Vec::<OsString>::new();
    if let Some(cache) = &cache {
        fs::create_dir_all(cache).map_err(|error| Error::write(cache, error))?;
        lock = Some(single::lock(cache, "lock")?);
        args.extend(["--target-dir".into(), cache.join("target").into()]);
    }
    let local = packages
        .iter()
        .filter(|package| package["source"].is_null());
    let target = path("target_directory").unwrap_or_default();
    let record = Record::of(shared.as_deref().unwrap_or(&target), &dir);
    // What depends on them cargo compiles again by itself.
    let replaced = record.replaced();
    let is_replaced = |package: &&Value| {
        let manifest = package["manifest_path"].as_str().map(Path::new);
        let dir = manifest.and_then(Path::parent);
        dir.is_some_and(|dir| replaced.iter().any(|file| file.starts_with(dir)))
    };
    let names = local.clone().filter(is_replaced);
    let names = names.filter_map(|package| package["name"].as_str());
    cargo.forget(&args, &names.collect::<Vec<_>>())?;
    let begun = record.begin()?;
    let made = cargo.compile(&args, profile, &[], shared.as_deref())?;
    // Besides the files that were compiled: the manifests of the packages on this machine,
    // and what cargo reads for all of them.
    let manifests = local.filter_map(|package| package["manifest_path"].as_str());
    let settings = ["Cargo.toml", "Cargo.lock", ".cargo/config.toml"].map(|name| root.join(name));
    let settings = settings.into_iter().filter(|path| path.is_file());
    let inputs = made.inputs.into_iter();
    let inputs = inputs.chain(manifests.map(PathBuf::from)).chain(settings);
    let written = [cache.as_deref(), Some(target.as_path())];
    let written: Vec<_> = written.into_iter().flatten().collect();
    let inputs = single::authors(inputs.collect(), &written, manifest);
    begun.finish(&inputs)?;
    drop(lock);
    let hash = sources::of_package(&dir).map_err(|error| Error::read(&dir, error))?;
    let sdk = packages
        .iter()
        .find(|package| package["name"] == "hotsocket-guest");
    Ok(Compiled {
        component: made.component,
        section: Section {
            name: name.clone(),
            language: "rust".to_owned(),
            sdk: sdk
                .and_then(|sdk| sdk["version"].as_str())
                .map(str::to_owned),
            sources: Some(hash),
            settings: Vec::new(),
            port: None,
        },
        output: source
            .strip_prefix(".")
            .unwrap_or(source)
            .join(format!("{name}.wasm")),
        inputs,
        remarks: Vec::new(),
        toolchain: toolchain.name,
    })
}

fn has_cdylib(package: &Value) -> bool {
    let is = |target: &Value| {
        target["crate_types"]
            .as_array()
            .is_some_and(|types| types.iter().any(|kind| kind == "cdylib"))
    };
    package["targets"].as_array().is_some_and(|targets| {
        targets
            .iter()
            .any(|target| is(target) && target["kind"] != serde_json::json!(["example"]))
    })
}

fn is_below(package: &Value, root: &Path) -> bool {
    let manifest = package["manifest_path"].as_str().map(Path::new);
    manifest.is_some_and(|manifest| manifest.starts_with(root))
}

/// Of a crate outside the workspace, unless it comes from a registry or a repository. Nothing
/// of a procedural macro gets into the component, and its author wants its real path in the
/// compiler's messages.
fn outside_of(package: &Value) -> Option<Outside> {
    if !package["source"].is_null() || is_macro(package) {
        return None;
    }
    let dir = Path::new(package["manifest_path"].as_str()?).parent()?;
    Some(Outside {
        id: package["id"].as_str()?.to_owned(),
        remap: remap(dir, package["name"].as_str()?),
    })
}

fn is_macro(package: &Value) -> bool {
    let mut targets = package["targets"].as_array().into_iter().flatten();
    targets.any(|target| target["kind"] == serde_json::json!(["proc-macro"]))
}

/// Whether the author has chosen a profile; then ours must not override it.
fn has_profile(workspace: &Path) -> bool {
    let manifest = fs::read_to_string(workspace.join("Cargo.toml")).unwrap_or_default();
    manifest
        .lines()
        .any(|line| line.trim_start().starts_with("[profile.release]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_cdylib_makes_a_component() {
        let package = |kind: &str, target: &str| serde_json::json!({ "targets": [{ "kind": [target], "crate_types": [kind] }] });
        assert!(has_cdylib(&package("cdylib", "cdylib")));
        assert!(!has_cdylib(&package("lib", "lib")));
        assert!(!has_cdylib(&package("cdylib", "example")));
    }

    #[test]
    fn only_crates_of_this_machine_are_renamed() {
        let local = serde_json::json!({ "name": "a", "id": "path+file:///x/a#0.1.0", "source": null, "manifest_path": "/x/a/Cargo.toml" });
        let outside = outside_of(&local).expect("a crate of this machine");
        assert_eq!(outside.id, "path+file:///x/a#0.1.0");
        assert_eq!(outside.remap, "--remap-path-prefix=/x/a=a");
        let registry = serde_json::json!({ "name": "b", "id": "registry+…#b@0.1.0", "source": "registry+…", "manifest_path": "/x/b/Cargo.toml" });
        assert_eq!(outside_of(&registry), None);
        let mut macros = local.clone();
        macros["targets"] = serde_json::json!([{ "kind": ["proc-macro"] }]);
        assert_eq!(outside_of(&macros), None);
    }
}
