//! CPU time, memory and mappings of a process, read from /proc, so that the
//! measured process takes no part in it.

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

use crate::Result;

/// CPU time of each thread of a process in nanoseconds, and of all of them in user
/// mode.
pub struct CpuTime {
    threads: HashMap<String, u64>,
    user: Duration,
}

/// The unit of /proc/PID/stat, 1/100 s on all machines.
const CLOCK_TICK: Duration = Duration::from_millis(10);
/// The index of user time there, counted from the field after the name.
const USER_TIME: usize = 11;

impl CpuTime {
    /// That of several processes together.
    pub fn of_all(pids: &[u32]) -> Result<Self> {
        let mut all = CpuTime {
            threads: HashMap::new(),
            user: Duration::ZERO,
        };
        for pid in pids {
            let one = CpuTime::of(*pid)?;
            all.threads.extend(one.threads);
            all.user += one.user;
        }
        Ok(all)
    }

    /// CPU time of the threads of this process so far, user and system.
    pub fn of(pid: u32) -> Result<Self> {
        let mut threads = HashMap::new();
        for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
            let entry = entry?;
            // The thread may have just ended.
            let Ok(text) = fs::read_to_string(entry.path().join("schedstat")) else {
                continue;
            };
            let ran = text.split_whitespace().next().unwrap_or_default();
            let ran = ran
                .parse()
                .map_err(|_| "cannot read the CPU time of threads from schedstat")?;
            threads.insert(entry.file_name().to_string_lossy().into_owned(), ran);
        }
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let user = stat
            .rsplit_once(") ")
            .and_then(|(_, fields)| fields.split(' ').nth(USER_TIME)?.parse().ok())
            .ok_or("cannot read the CPU time of a process from stat")?;
        Ok(CpuTime {
            threads,
            user: CLOCK_TICK * user,
        })
    }

    /// CPU time since an earlier sample.
    pub fn since(&self, before: &CpuTime) -> Duration {
        let earlier = |thread| before.threads.get(thread).copied().unwrap_or(0);
        let used = self
            .threads
            .iter()
            .map(|(thread, now)| now.saturating_sub(earlier(thread)))
            .sum();
        Duration::from_nanos(used)
    }

    /// The part of it in user mode, which the kernel only samples.
    pub fn user_since(&self, before: &CpuTime) -> Duration {
        self.user.saturating_sub(before.user)
    }
}

/// Between two samples of a process that becomes idle.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(50);
/// An idle process uses less than this share of a processor.
const IDLE_SHARE: f64 = 0.05;
/// The longest that [`wait_until_idle`] waits.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Wait until a process uses almost no CPU time any more.
pub fn wait_until_idle(pid: u32) -> Result<()> {
    let started = Instant::now();
    let mut before = CpuTime::of(pid)?;
    while started.elapsed() < IDLE_TIMEOUT {
        std::thread::sleep(SAMPLE_INTERVAL);
        let now = CpuTime::of(pid)?;
        if now.since(&before).as_secs_f64() < SAMPLE_INTERVAL.as_secs_f64() * IDLE_SHARE {
            break;
        }
        before = now;
    }
    Ok(())
}

/// Proportional set size in bytes: private memory, and a share of shared memory.
pub fn pss(pid: u32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix("Pss:")?.split_whitespace().next())
        .and_then(|number| number.parse::<u64>().ok())
        .ok_or("cannot read the PSS of a process from smaps_rollup")?;
    Ok(kib * 1024)
}

/// Memory mappings of a process, which vm.max_map_count limits.
pub fn mappings(pid: u32) -> Result<u64> {
    let text = fs::read(format!("/proc/{pid}/maps"))?;
    Ok(text.iter().filter(|byte| **byte == b'\n').count() as u64)
}
