//! Metrics of the process, by the names that Prometheus' own libraries give them
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>), from
//! proc_pid_stat(5) and its neighbours.

use std::fmt;
use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

use super::family::Families;

pub fn write(families: &mut Families<'_>) -> fmt::Result {
    families.info(
        "hotsocket_build",
        "Version of hotsocket.",
        [vec![("version", env!("CARGO_PKG_VERSION"))]],
    )?;
    if let Some(stat) = Stat::read() {
        let ticks = clock_ticks_per_second() as f64;
        families.counter_f64(
            "process_cpu_seconds",
            "CPU time of the process, in user mode and in the kernel.",
            stat.cpu_ticks as f64 / ticks,
        )?;
        families.gauge(
            "process_resident_memory_bytes",
            "Memory of the process that is in RAM.",
            [(vec![], stat.resident_pages * page_size() as u64)],
        )?;
        families.gauge(
            "process_virtual_memory_bytes",
            "Address space of the process, most of which is only reserved for instances.",
            [(vec![], stat.virtual_bytes)],
        )?;
        families.gauge(
            "process_threads",
            "Threads of the process.",
            [(vec![], stat.threads)],
        )?;
        if let Some(boot) = boot_time() {
            families.gauge_f64(
                "process_start_time_seconds",
                "When the process started, in seconds since 1970.",
                boot as f64 + stat.start_ticks as f64 / ticks,
            )?;
        }
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        families.gauge(
            "process_open_fds",
            "Open file descriptors.",
            // One of them is that of the directory.
            [(vec![], (open.count() as u64).saturating_sub(1))],
        )?;
    }
    if let Some(max) = getrlimit(Resource::Nofile).current {
        families.gauge(
            "process_max_fds",
            "File descriptors that may be open.",
            [(vec![], max)],
        )?;
    }
    Ok(())
}

/// What is taken from /proc/self/stat.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        // The name before it may contain anything.
        let (_, fields) = text.rsplit_once(") ")?;
        let fields: Vec<_> = fields.split_ascii_whitespace().collect();
        // By their numbers in proc_pid_stat(5); the first here is the third there.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Stat {
            cpu_ticks: field(14)? + field(15)?,
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// When the machine started, in seconds since 1970.
fn boot_time() -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "));
    line?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_confuses_nobody() {
        let text = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 12 30 0 0 20 0 5 0 99 4096 2 18";
        let expected = Stat {
            cpu_ticks: 42,
            threads: 5,
            start_ticks: 99,
            virtual_bytes: 4096,
            resident_pages: 2,
        };
        assert_eq!(Stat::parse(text), Some(expected));
        assert!(Stat::read().is_some_and(|stat| stat.threads > 0));
    }
}
