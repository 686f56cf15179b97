//! Guests that are built from source by the binary under test, with compilers
//! that a machine has or lacks.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::skip::skip;
use super::{Ran, hotsocket, is_ci, run_within};

/// How long a build may take: the first on a machine may have to compile a
/// language's library, on a machine that is busy.
pub const FIRST_BUILD: Duration = Duration::from_secs(1200);

/// What `hotsocket build` says where it lacks something, and what that is.
const MISSING: [(&str, &str); 7] = [
    (
        "no compiler for wasm32-wasip2",
        "no compiler for wasm32-wasip2",
    ),
    ("install Node 18", "no Node with npm"),
    ("the first build needs the network", "no network, for npm"),
    ("a Python guest needs Python ", "no Python 3.9 or newer"),
    ("cannot make a virtual environment", "no venv for Python"),
    ("PyPI cannot be reached", "no network, for PyPI"),
    ("a guest in C needs ", "no compiler for C guests"),
];

/// Whether this is an error because the machine lacks something. The test is
/// then skipped.
#[track_caller]
pub fn lacks_tools_for(error: &str) -> bool {
    let found = MISSING.iter().find(|(says, _)| error.contains(says));
    if let Some((_, missing)) = found {
        skip(missing);
    }
    found.is_some()
}

/// The same, of a command that builds something.
#[track_caller]
pub fn lacks_tools(ran: &Ran) -> bool {
    ran.code == 1 && lacks_tools_for(ran.last_line())
}

/// A language whose compiler `hotsocket build` fetches once and keeps in the
/// user's cache.
#[derive(Clone, Copy, Debug)]
pub enum Fetched {
    JavaScript,
    Python,
}

impl Fetched {
    /// The language of a source file, if it is one of these.
    pub fn of(source: &Path) -> Option<Self> {
        match source.extension()?.to_str()? {
            "js" | "mjs" | "cjs" => Some(Fetched::JavaScript),
            "py" => Some(Fetched::Python),
            _ => None,
        }
    }

    /// Whether the compiler has not been fetched yet, and the test is skipped for
    /// that: a newcomer's first run would take minutes longer. Where CI must have
    /// everything, the build fetches it now.
    pub fn is_missing(self) -> bool {
        let (prefix, example) = match self {
            Fetched::JavaScript => ("javascript-", "echo.js"),
            Fetched::Python => ("python-", "echo.py"),
        };
        let mut kept = fs::read_dir(build_cache()).into_iter().flatten().flatten();
        let has =
            is_ci() || kept.any(|kept| kept.file_name().to_string_lossy().starts_with(prefix));
        if !has {
            skip(&format!(
                "no compiler for {self:?} yet: `hotsocket build guest/examples/{example}` fetches it"
            ));
        }
        !has
    }
}

/// Where `hotsocket build` keeps compilers.
pub fn build_cache() -> PathBuf {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(home).unwrap_or_default();
    cache.join("hotsocket/build")
}

/// A place that outlasts the run, so that the next one finds what this one built.
pub fn kept(name: &str) -> PathBuf {
    // Examples are not told: they build nothing.
    Path::new(option_env!("CARGO_TARGET_TMPDIR").unwrap_or(".")).join(name)
}

/// `hotsocket build SOURCE --output OUTPUT`.
pub fn build(source: &Path, output: &Path) -> Ran {
    let mut command = hotsocket();
    command.arg("build").arg(source).arg("--output").arg(output);
    run_within(FIRST_BUILD, &mut command)
}
