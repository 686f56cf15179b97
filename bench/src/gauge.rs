//! What a process has used: CPU time, memory, mappings. Read from /proc, so
//! that the process measured does nothing for it.

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

use crate::Result;

/// CPU time of each thread of a process, in nanoseconds, and that of all in
/// user mode.
pub struct CpuTime {
    threads: HashMap<String, u64>,
    user: Duration,
}

/// What /proc/PID/stat counts in, the same on all machines: 1/100 s.
const CLOCK_TICK: Duration = Duration::from_millis(10);
/// Where user time stands there, counted from the end of the name.
const USER_TIME: usize = 11;

impl CpuTime {
    /// What the threads of this process have used until now, user and system.
    pub fn of(pid: u32) -> Result<Self> {
        let mut threads = HashMap::new();
        for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
            let entry = entry?;
            // A thread that has just ended has no file any more.
            let Ok(text) = fs::read_to_string(entry.path().join("schedstat")) else {
                continue;
            };
            let ran = text.split_whitespace().next().unwrap_or_default();
            let ran = ran
                .parse()
                .map_err(|_| "the kernel tells no CPU time of threads (schedstat)")?;
            threads.insert(entry.file_name().to_string_lossy().into_owned(), ran);
        }
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let user = stat
            .rsplit_once(") ")
            .and_then(|(_, fields)| fields.split(' ').nth(USER_TIME)?.parse().ok())
            .ok_or("the kernel tells no CPU time of processes")?;
        Ok(CpuTime {
            threads,
            user: CLOCK_TICK * user,
        })
    }

    /// What has been used since an earlier look.
    pub fn since(&self, before: &CpuTime) -> Duration {
        let earlier = |thread| before.threads.get(thread).copied().unwrap_or(0);
        let used = self
            .threads
            .iter()
            .map(|(thread, now)| now.saturating_sub(earlier(thread)))
            .sum();
        Duration::from_nanos(used)
    }

    /// The part of it in user mode, which the kernel knows by samples only.
    pub fn user_since(&self, before: &CpuTime) -> Duration {
        self.user.saturating_sub(before.user)
    }
}

/// How often a process is looked at while it comes to rest.
const LOOK: Duration = Duration::from_millis(50);
/// A process at rest uses less than this share of the time.
const REST: f64 = 0.05;
/// It is not waited longer than this.
const PATIENCE: Duration = Duration::from_secs(10);

/// Wait until a process has done what was left to do.
pub fn wait_for_rest(pid: u32) -> Result<()> {
    let began = Instant::now();
    let mut before = CpuTime::of(pid)?;
    while began.elapsed() < PATIENCE {
        std::thread::sleep(LOOK);
        let now = CpuTime::of(pid)?;
        if now.since(&before).as_secs_f64() < LOOK.as_secs_f64() * REST {
            break;
        }
        before = now;
    }
    Ok(())
}

/// Proportional set size: the memory that a process has for itself, and its
/// share of what it shares. In bytes.
pub fn pss(pid: u32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix("Pss:")?.split_whitespace().next())
        .and_then(|number| number.parse::<u64>().ok())
        .ok_or("the kernel tells no PSS of processes")?;
    Ok(kib * 1024)
}

/// Memory mappings of a process; the kernel allows so many (vm.max_map_count).
pub fn mappings(pid: u32) -> Result<u64> {
    let text = fs::read(format!("/proc/{pid}/maps"))?;
    Ok(text.iter().filter(|byte| **byte == b'\n').count() as u64)
}
