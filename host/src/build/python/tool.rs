//! `componentize-py`, which makes components of Python files: a pinned version with
//! known hashes, in a virtual environment in the user's cache. It is installed from
//! PyPI once; later builds need no network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use sha2::{Digest, Sha256};

use super::super::stage::Stage;
use super::super::{Error, single};
use super::packages::WORLD;
use super::{PythonError, pip};

/// The program and its version.
pub(super) const NAME: &str = "componentize-py 0.25.1";
/// The component that a run writes to the stage.
pub(super) const OUTPUT: &str = "guest.wasm";

/// Looks for errors of syntax.
const CHECK_SYNTAX: &str = include_str!("../../../../guest/python/check_syntax.py");
/// Looks for variables of which each connection has its own copy.
const OWN_COPIES: &str = include_str!("../../../../guest/python/own_copies.py");
/// How [`CHECK_SYNTAX`] says that it has found one.
const SYNTAX_ERROR: i32 = 3;
/// What pip installs, with hashes.
const REQUIREMENTS: &str = include_str!("requirements.txt");
/// This file exists in an environment once everything is installed.
const INSTALLED: &str = "complete";
/// Encloses the SDK's errors for the guest's author in the program's output.
const MARK: char = '\u{1e}';
/// Otherwise Python imports what is called like its own modules (`types.py`, `email.py`) from
/// the current directory and from the user's packages. It then ignores its variables, so the
/// encoding is an option, too.
const ISOLATED: [&str; 3] = ["-I", "-X", "utf8"];
/// What an installed program can do.
const CHECK: &str = "import sys; from importlib.metadata import version; \
                     from componentize_py import script; \
                     sys.exit(' '.join(('componentize-py', version('componentize-py'))) != sys.argv[1])";

/// An installed program.
pub(super) struct Tool {
    python: PathBuf,
    /// The file [`INSTALLED`].
    marker: PathBuf,
}

/// The program, installed first if it is not there yet.
pub(super) fn find(cache: &Path) -> Result<Tool, Error> {
    // An environment belongs to the Python that made it: after an upgrade
    // another one is made.
    let probe = "import sys; assert sys.version_info >= (3, 9); print(sys.version, sys.executable)";
    let probed = python("python3")
        .args(["-c", probe])
        .output()
        .ok()
        .filter(|output| output.status.success())
        .ok_or(PythonError::NoPython)?;
    let mut hash = Sha256::new();
    hash.update(REQUIREMENTS);
    hash.update(&probed.stdout);
    let hash = u64::from_le_bytes(*hash.finalize().first_chunk().unwrap_or(&[0; 8]));

    let dir = cache.join(format!("python-{hash:016x}"));
    let _lock = single::lock(cache, "python-lock")?;
    let tool = Tool {
        python: dir.join("bin/python3"),
        marker: dir.join(INSTALLED),
    };
    if !dir.join(INSTALLED).exists() || !tool.python.exists() {
        tool.install(&dir)?;
    }
    Ok(tool)
}

impl Tool {
    fn install(&self, dir: &Path) -> Result<(), Error> {
        super::super::print_progress(&format!(
            "installing {NAME} from PyPI, once: half a minute; then each build takes 10 to 30 s …"
        ));
        let made = python("python3")
            .args(["-m", "venv", "--clear"])
            .arg(dir)
            .output()
            .map_err(|_| PythonError::NoPython)?;
        if !made.status.success() {
            let message = last_line(&made);
            return Err(PythonError::NoVenv { message }.into());
        }
        let requirements = dir.join("requirements.txt");
        fs::write(&requirements, REQUIREMENTS).map_err(|error| Error::write(dir, error))?;
        // As the user has configured it, with variables and files.
        let listed = Command::new(&self.python)
            .args(ISOLATED)
            .args(["-m", "pip", "--disable-pip-version-check", "config", "list"])
            .stdin(Stdio::null())
            .output()
            .map_err(|_| PythonError::NoPython)?;
        let mut pip = python(&self.python);
        pip::configure(&mut pip, &String::from_utf8_lossy(&listed.stdout));
        let installed = pip
            .args(["-m", "pip", "install", "--quiet", "--no-input"])
            .args(["--disable-pip-version-check", "--retries", "1"])
            .args(["--only-binary", ":all:", "--require-hashes", "-r"])
            .arg(&requirements)
            .output()
            .map_err(|_| PythonError::NoPython)?;
        if !installed.status.success() {
            return Err(PythonError::Install {
                message: install_error(&installed),
            }
            .into());
        }
        self.check().map_err(|message| PythonError::Install {
            message: format!("pip reported success, but it does not run: {message}"),
        })?;
        fs::write(&self.marker, NAME).map_err(|error| Error::write(&self.marker, error))
    }

    /// Whether what is installed is complete, or what it says.
    fn check(&self) -> Result<(), String> {
        let output = python(&self.python).args(["-c", CHECK, NAME]).output();
        match output {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(last_line(&output)),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The same after a failure, which may be that of a damaged program and none of the
    /// guest's.
    pub(super) fn check_again(&self) -> Result<(), Error> {
        self.check().map_err(|message| {
            // If that fails, the next build says the same.
            let _ = fs::remove_file(&self.marker);
            PythonError::Damaged { message }.into()
        })
    }

    /// The first error of syntax in these files, if Python itself finds one. It takes
    /// milliseconds, where a run takes seconds.
    pub(super) fn syntax_error(&self, files: &[PathBuf]) -> Option<String> {
        let checked = python(&self.python)
            .args(["-c", CHECK_SYNTAX])
            .args(files)
            .output()
            .ok()?;
        let error = String::from_utf8_lossy(&checked.stderr).into_owned();
        (checked.status.code() == Some(SYNTAX_ERROR)).then_some(error)
    }

    /// Warnings about variables of modules that methods of a handler change, a line each.
    /// Nothing where Python is older than the guest's syntax.
    pub(super) fn own_copies(&self, files: &[PathBuf]) -> String {
        let found = python(&self.python)
            .args(["-c", OWN_COPIES])
            .args(files)
            .output();
        let found = found.map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&found).into_owned()
    }

    /// Make a component of the module in `stage`. Returns the errors in the
    /// guest, if there are any.
    pub(super) fn run(&self, stage: &Stage, module: &str) -> Result<Option<String>, Error> {
        let temporary = stage.temporary()?;
        let stage = stage.path();
        // Given an environment, the program looks through its packages; those
        // that the guest needs are in the stage already.
        let nothing = stage.join("nothing");
        let packages = nothing.join("lib/python3/site-packages");
        fs::create_dir_all(&packages).map_err(|error| Error::write(&packages, error))?;
        let script = "import sys; from componentize_py import script; sys.exit(script())";
        let output = python(&self.python)
            .current_dir(stage)
            .env("VIRTUAL_ENV", nothing)
            .env("TMPDIR", temporary)
            .args(["-c", script, "-q", "-d", "wit", "-w", WORLD])
            .args(["componentize", "-p", "guest", "-o", OUTPUT, module])
            .output()
            .map_err(|error| Error::Run {
                path: self.python.clone(),
                error,
            })?;
        if output.status.success() {
            return Ok(None);
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        let for_author = errors.split(MARK).nth(1);
        Ok(Some(
            for_author.map_or_else(|| errors.to_string(), str::to_owned),
        ))
    }
}

fn python(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.args(ISOLATED);
    crate::descriptors::inherit_limit(&mut command).stdin(Stdio::null());
    // Python's and pip's own variables are meant for other programs.
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PYTHON") {
            command.env_remove(name);
        }
    }
    pip::clear(&mut command);
    // For other Pythons that it starts.
    command.env("PYTHONUTF8", "1");
    command
}

fn last_line(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text);
    let last = text.lines().map(str::trim).rfind(|line| !line.is_empty());
    last.unwrap_or("no error message").to_owned()
}

/// Why pip failed, in one line. Without a network pip prints many lines, none
/// of which names the cause.
fn install_error(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let offline = [
        "NewConnectionError",
        "NameResolutionError",
        "ConnectTimeoutError",
        "Max retries exceeded",
        "from versions: none",
    ];
    if offline.iter().any(|sign| stderr.contains(sign)) {
        // pip says the same of both.
        return "PyPI cannot be reached, or has no wheel for this machine; try again with a network"
            .to_owned();
    }
    let error = stderr.lines().find_map(|line| line.strip_prefix("ERROR: "));
    error.map_or_else(|| last_line(output), str::to_owned)
}
