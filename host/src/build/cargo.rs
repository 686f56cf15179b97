//! Runs cargo, and reads in its messages which file it has made.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::toolchain::{TARGET, Toolchain, remap};
use super::{Error, dep_info, encode};
use crate::descriptors;

/// Prefixes of environment variables that would change how a single file is
/// compiled. It has no settings of its own, so they are meant for other packages.
const CLEARED_ENV: [&str; 4] = [
    "CARGO_BUILD_",
    "CARGO_PROFILE_",
    "CARGO_UNSTABLE_",
    "RUSTC_W",
];

/// A guest's stack: 2 KiB less than the usual 1 MiB, below its data. So the end
/// of the stack that is in use and the beginning of the data share one of the
/// processor's pages, of which each connection has its own.
const STACK: &str = "-Clink-arg=-zstack-size=1046528";

/// What cargo has made.
pub(super) struct Made {
    pub(super) component: Vec<u8>,
    /// The files that it was made of, but for those of registries.
    pub(super) inputs: Vec<PathBuf>,
}

/// A crate that is compiled by its full path, which must not get into the component.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outside {
    /// The crate as cargo's metadata has it: a [package ID specification].
    ///
    /// [package ID specification]: https://doc.rust-lang.org/cargo/reference/pkgid-spec.html
    pub(super) id: String,
    /// The compiler's flag that hides its path.
    pub(super) remap: String,
}

/// One call of cargo.
pub(super) struct Cargo<'a> {
    pub(super) toolchain: &'a Toolchain,
    /// Where the manifest is, and where cargo runs.
    pub(super) dir: &'a Path,
    /// The path that the user named, for error messages.
    pub(super) source: &'a Path,
    /// Crates on this machine outside the guest's workspace, and how their paths are hidden.
    pub(super) outside: Vec<Outside>,
    /// Whether cargo's own variables, such as those of profiles, are inherited.
    pub(super) inherit_env: bool,
}

impl Cargo<'_> {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.toolchain.cargo);
        descriptors::inherit_limit(&mut command)
            .current_dir(self.dir)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit());
        if !self.inherit_env {
            let is_cleared = |name: &OsString| {
                CLEARED_ENV
                    .iter()
                    .any(|start| name.as_encoded_bytes().starts_with(start.as_bytes()))
            };
            for (name, _) in env::vars_os().filter(|(name, _)| is_cleared(name)) {
                command.env_remove(name);
            }
        }
        for (name, value) in &self.toolchain.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let mut flags = self.toolchain.rustflags.clone();
        if !self.toolchain.compiles_library() {
            flags.extend(self.outside.iter().map(|outside| outside.remap.clone()));
        }
        if let Some(home) = cargo_home() {
            flags.push(remap(&home, "cargo"));
        }
        // The compiler's messages keep the real paths, which editors can open.
        flags.push("--remap-path-scope=macro,debuginfo,object".to_owned());
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
        command
    }

    /// The output of `cargo metadata`: the package and its dependencies.
    pub(super) fn metadata(&self) -> Result<Value, Error> {
        let output = self
            .command()
            .args([
                "metadata",
                "--format-version=1",
                "--filter-platform",
                TARGET,
            ])
            .output()
            .map_err(|error| self.run_error(error))?;
        let value = output
            .status
            .success()
            .then(|| serde_json::from_slice(&output.stdout).ok());
        value.flatten().ok_or_else(|| Error::Metadata {
            path: self.source.to_owned(),
        })
    }

    /// Compile the package's library, and encode the module as a component. `last`
    /// are flags for the package's own crate only, `target` is where cargo compiles, if it
    /// is the directory that builds share.
    pub(super) fn compile(
        &self,
        args: &[OsString],
        env: &[(&str, &str)],
        last: &[String],
        target: Option<&Path>,
    ) -> Result<Made, Error> {
        if let Some(target) = target
            && self.compiles_library(target)
        {
            super::print_progress(
                "compiling Rust's standard library first, once: one to three minutes …",
            );
        }
        let mut child = self
            .command()
            .args([
                "rustc",
                "--release",
                "--lib",
                "--message-format=json-render-diagnostics",
            ])
            .args(self.toolchain.args)
            .args(self.flags_of_crates())
            .args(args)
            .arg("--")
            .arg(STACK)
            .arg(self.toolchain.linker())
            .args(last)
            .envs(env.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| self.run_error(error))?;
        let manifest = self.dir.join("Cargo.toml");
        let made = child.stdout.take().and_then(|messages| {
            // Read to the end: cargo must not find its pipe closed.
            let lines = BufReader::new(messages).lines().map_while(Result::ok);
            lines.filter_map(|line| module_in(&line, &manifest)).last()
        });
        let status = child.wait().map_err(|error| self.run_error(error))?;
        if !status.success() {
            return Err(Error::Compile {
                path: self.source.to_owned(),
            });
        }
        let made = made.ok_or_else(|| Error::NoArtifact {
            path: self.source.to_owned(),
        })?;
        let module = fs::read(&made).map_err(|error| Error::read(&made, error))?;
        // Without it, nothing but the source is known, which is added by whoever asks.
        let list = fs::read_to_string(made.with_extension("d")).unwrap_or_default();
        Ok(Made {
            component: encode::component(&module, self.source)?,
            inputs: dep_info::files(&list),
        })
    }

    /// Have these packages compiled again, whatever cargo thinks of their files' times. `args`
    /// say where.
    pub(super) fn forget(&self, args: &[OsString], packages: &[&str]) -> Result<(), Error> {
        if packages.is_empty() {
            // Cargo would remove all that it has made there.
            return Ok(());
        }
        let packages = packages.iter().flat_map(|name| ["--package", *name]);
        let status = self
            .command()
            .args(["clean", "--quiet", "--release", "--target", TARGET])
            .args(args)
            .args(packages)
            .stdout(Stdio::null())
            .status()
            .map_err(|error| self.run_error(error))?;
        match status.success() {
            true => Ok(()),
            false => Err(Error::Compile {
                path: self.source.to_owned(),
            }),
        }
    }

    /// Arguments that give each outside crate its flag, and no other crate. As flags for all
    /// crates, cargo would compile the standard library again whenever a guest with other crates
    /// follows. They are [unstable], so a toolchain that brings its library does not use them.
    ///
    /// [unstable]: https://doc.rust-lang.org/cargo/reference/unstable.html#profile-rustflags-option
    fn flags_of_crates(&self) -> Vec<String> {
        if !self.toolchain.compiles_library() || self.outside.is_empty() {
            return Vec::new();
        }
        let config = |outside: &Outside| {
            // JSON strings are TOML strings.
            let [id, remap] = [&outside.id, &outside.remap].map(|text| Value::from(text.as_str()));
            format!("profile.release.package.{id}.rustflags=[{remap}]")
        };
        let configs = self.outside.iter().map(config);
        let configs = configs.flat_map(|config| ["--config".to_owned(), config]);
        ["-Z".to_owned(), "profile-rustflags".to_owned()]
            .into_iter()
            .chain(configs)
            .collect()
    }

    /// Whether the standard library is compiled, and has not been yet.
    fn compiles_library(&self, target: &Path) -> bool {
        let deps = target.join(TARGET).join("release/deps");
        let mut found = fs::read_dir(deps).into_iter().flatten().flatten();
        let is_library = |name: &OsString| name.as_encoded_bytes().starts_with(b"libstd-");
        self.toolchain.compiles_library() && !found.any(|entry| is_library(&entry.file_name()))
    }

    fn run_error(&self, error: std::io::Error) -> Error {
        Error::Run {
            path: self.toolchain.cargo.clone(),
            error,
        }
    }
}

/// The module that one line of cargo's messages reports for this manifest, if it
/// does.
fn module_in(line: &str, manifest: &Path) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message.get("reason")? != "compiler-artifact"
        || message.get("manifest_path")? != manifest.to_str()?
    {
        return None;
    }
    let mut files = message
        .get("filenames")?
        .as_array()?
        .iter()
        .filter_map(|file| file.as_str().map(PathBuf::from));
    files.find(|file| file.extension().is_some_and(|end| end == "wasm"))
}

fn cargo_home() -> Option<PathBuf> {
    let set = env::var_os("CARGO_HOME").map(PathBuf::from);
    set.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_found_among_cargos_messages() {
        let find = |line: &str| module_in(line, Path::new("/g/Cargo.toml"));
        let artifact = r#"{"reason":"compiler-artifact","manifest_path":"/g/Cargo.toml","filenames":["/t/e.d","/t/e.wasm"]}"#;
        assert_eq!(find(artifact), Some(PathBuf::from("/t/e.wasm")));
        assert_eq!(find(&artifact.replace("/g/", "/other/")), None);
        assert_eq!(find(&artifact.replace("e.wasm", "e.rlib")), None);
        assert_eq!(find(r#"{"reason":"build-finished","success":true}"#), None);
        assert_eq!(find("no JSON"), None);
    }
}
