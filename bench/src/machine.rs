//! The machine: which processors the measured processes run on, temporary
//! directories, and a line that describes it.
//!
//! Children inherit the CPU affinity of the thread that spawns them, so a pinned
//! thread spawns pinned children.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Result;
use crate::cleanup::{self, Cleanup};

/// The processors that servers and load run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cpus {
    /// This one: no wake-up goes to another, which gives the steadiest figures.
    One(usize),
    /// All; the kernel schedules.
    All,
}

impl Cpus {
    /// The last processor that this process may use: the first gets most of
    /// the interrupts.
    pub fn last() -> Result<Self> {
        let set = sched_getaffinity(None)?;
        let last = (0..CpuSet::MAX_CPU).rev().find(|core| set.is_set(*core));
        Ok(last.map_or(Cpus::All, Cpus::One))
    }

    /// Pin the calling thread to them, and the processes that it spawns.
    pub fn pin_thread(self) -> Result<()> {
        let Cpus::One(core) = self else {
            return Ok(());
        };
        let mut pinned = CpuSet::new();
        pinned.set(core);
        sched_setaffinity(None, &pinned).map_err(|error| {
            format!("cannot run on processor {core}: {error}; choose another with --core").into()
        })
    }

    /// Spawn a child on them.
    pub fn spawn(self, command: &mut Command) -> Result<Child> {
        let before = sched_getaffinity(None)?;
        self.pin_thread()?;
        let child = command.spawn();
        sched_setaffinity(None, &before)?;
        Ok(child?)
    }
}

/// A temporary directory, removed when dropped.
pub struct TempDir {
    path: PathBuf,
    _remove: Cleanup,
}

impl TempDir {
    pub fn new() -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("hotsocket-bench-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // The code cache accepts only a directory that nobody else can write to.
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|error| format!("cannot create {}: {error}", path.display()))?;
        let removed = path.clone();
        let _remove = cleanup::at_exit(move || {
            let _ = fs::remove_dir_all(removed);
        });
        Ok(TempDir { path, _remove })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Raise the limit of open files of this process and its children to the hard
/// limit. Returns the limit.
pub fn raise_open_files() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// One line: processors, kernel, and the commit that was measured.
pub fn describe(checkout: &Path) -> String {
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
