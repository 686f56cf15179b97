//! Which processor runs what, and what this machine is.
//!
//! Child processes run where the thread that starts them may run, so a pinned
//! thread starts pinned children, and nothing is done in the child.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Result;
use crate::undo::{self, Undo};

/// Where servers and load run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// All on this processor: no wake-up goes to another, the steadiest.
    Core(usize),
    /// Wherever the kernel puts them.
    Anywhere,
}

impl Place {
    /// The last processor that this process may use: the first gets most of
    /// the interrupts.
    pub fn last() -> Result<Self> {
        let set = sched_getaffinity(None)?;
        let last = (0..CpuSet::MAX_CPU).rev().find(|core| set.is_set(*core));
        Ok(last.map_or(Place::Anywhere, Place::Core))
    }

    /// Let the calling thread run there, and what it starts.
    pub fn stay(self) -> Result<()> {
        let Place::Core(core) = self else {
            return Ok(());
        };
        let mut pinned = CpuSet::new();
        pinned.set(core);
        sched_setaffinity(None, &pinned).map_err(|error| {
            format!("cannot run on processor {core}: {error}; --core names another").into()
        })
    }

    /// Start a child there.
    pub fn spawn(self, command: &mut Command) -> Result<Child> {
        let before = sched_getaffinity(None)?;
        self.stay()?;
        let child = command.spawn();
        sched_setaffinity(None, &before)?;
        Ok(child?)
    }
}

/// A directory of one's own, removed when dropped.
pub struct Scratch {
    path: PathBuf,
    _remove: Undo,
}

impl Scratch {
    pub fn new() -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("hotsocket-bench-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // Nobody else may write there: the code cache insists on it.
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|error| format!("cannot make {}: {error}", path.display()))?;
        let gone = path.clone();
        let _remove = undo::later(move || {
            let _ = fs::remove_dir_all(gone);
        });
        Ok(Scratch { path, _remove })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Let this process and its children have as many open files as is allowed;
/// how many that is.
pub fn raise_open_files() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// One line: processors, kernel, and the commit that was measured.
pub fn machine(checkout: &Path) -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model)
        .to_owned();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(checkout)
            .output()
            .ok()
            .filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    let changed = match git(&[
        "status",
        "--porcelain",
        "--untracked-files=no",
        "--",
        "host",
        "guest",
    ]) {
        Some(changes) if !changes.is_empty() => " with changes",
        _ => "",
    };
    format!(
        "{cores} × {model}, Linux {}, commit {commit}{changed}",
        kernel.trim()
    )
}
