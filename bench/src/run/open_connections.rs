//! Many open connections: the limits that they need, and what an event costs.
//!
//! The kernel limits the memory mappings of a process (vm.max_map_count), and an
//! instance takes some. If the limit is too low and this runs as root, it is raised
//! while a row is measured, and restored after it.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use super::driver::Load;
use super::traffic::{Measure, cpu_per_request, interleaved, lines};
use super::{Plan, Row, counted};
use crate::Result;
use crate::cleanup::{self, Cleanup};
use crate::machine::raise_open_files;
use crate::table::{Line, Unit};

/// The largest number of connections in any row.
pub const MOST: usize = 15_000;
/// Connections with traffic, however many are open.
const ACTIVE: usize = 200;
/// Connections that hotsocket allows beyond those of the row.
const SPARE: usize = 500;
/// Mappings that suffice for one connection, and for everything else.
const MAPPINGS: (u64, u64) = (12, 10_000);
const LIMIT: &str = "/proc/sys/vm/max_map_count";

const MEASURED: &[Measure] = &[
    ("CPU per request", Unit::Micros, cpu_per_request),
    ("half of replies within", Unit::Micros, |sample| sample.p50),
    ("99% of replies within", Unit::Micros, |sample| sample.p99),
];

pub fn rows() -> Vec<Row> {
    [10, 100, ACTIVE, 1000, 5000, MOST]
        .into_iter()
        .map(|connections| Row {
            name: format!("open-c{connections}"),
            quick: false,
            measure: Box::new(move |plan| measure(plan, connections)),
        })
        .collect()
}

fn measure(plan: &Plan, connections: usize) -> Result<Vec<Line>> {
    // As for the largest, so that only the number of connections differs.
    let _limits = match raise_limits(MOST)? {
        Some(limits) => limits,
        None => return Ok(Vec::new()),
    };
    let active = ACTIVE.min(connections);
    let load = Load {
        active,
        ..Load::echo(64, connections)
    };
    let samples = interleaved(plan, &load, &flags(MOST))?;
    let work = format!(
        "{} open, 64 B echoed on {active} of them",
        counted(connections)
    );
    Ok(lines(&work, &samples, MEASURED))
}

/// hotsocket's flags for so many connections.
pub fn flags(connections: usize) -> Vec<String> {
    let most = connections + SPARE;
    vec!["--max-connections".to_owned(), most.to_string()]
}

/// A raised limit of the kernel, restored when dropped.
pub struct RaisedLimits {
    _restore: Option<Cleanup>,
}

/// Raise the limits to what so many connections need. `None` if that is not
/// allowed, with a line on standard error the first time.
pub fn raise_limits(connections: usize) -> Result<Option<RaisedLimits>> {
    static WARNED: AtomicBool = AtomicBool::new(false);
    let skip = |text: String| {
        if !WARNED.swap(true, Ordering::Relaxed) {
            eprintln!("{text}");
        }
        Ok(None)
    };
    let files = raise_open_files();
    if files < (connections + SPARE) as u64 {
        return skip(format!(
            "rows with {connections} connections are skipped: a process may open {files} files; \
             raise the limit with `ulimit -n`"
        ));
    }
    let before = fs::read_to_string(LIMIT)?;
    let wanted = (connections + SPARE) as u64 * MAPPINGS.0 + MAPPINGS.1;
    if before.trim().parse::<u64>().is_ok_and(|now| now >= wanted) {
        return Ok(Some(RaisedLimits { _restore: None }));
    }
    match fs::write(LIMIT, wanted.to_string()) {
        Ok(()) => Ok(Some(RaisedLimits {
            _restore: Some(cleanup::at_exit(move || {
                let _ = fs::write(LIMIT, before);
            })),
        })),
        Err(_) => skip(format!(
            "rows with {connections} connections are skipped: a process may have {} memory \
             mappings; raise the limit with `sysctl -w vm.max_map_count={wanted}`",
            before.trim()
        )),
    }
}
