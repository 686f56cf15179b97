//! Many open connections: room for them, and what an event costs among them.
//!
//! The kernel allows a process so many memory mappings, and an instance takes
//! some. Where that is not enough and this runs as root, the limit is raised
//! while a row is measured, and put back.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use super::driver::Load;
use super::traffic::{Measure, cpu_per_request, interleaved, lines};
use super::{Plan, Row, counted};
use crate::Result;
use crate::place::raise_open_files;
use crate::table::{Line, Unit};
use crate::undo::{self, Undo};

/// The largest number of connections in any row.
pub const MOST: usize = 15_000;
/// Connections with traffic, whatever number is open.
const ACTIVE: usize = 200;
/// Connections that hotsocket allows beyond those of the row.
const SPARE: usize = 500;
/// Mappings that are surely enough for one connection, and for all the rest.
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
            name: format!("crowd-c{connections}"),
            quick: false,
            measure: Box::new(move |plan| measure(plan, connections)),
        })
        .collect()
}

fn measure(plan: &Plan, connections: usize) -> Result<Vec<Line>> {
    // As for the largest, so that only the number of connections differs.
    let _room = match room(MOST)? {
        Some(room) => room,
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

/// What hotsocket is told for so many connections.
pub fn flags(connections: usize) -> Vec<String> {
    let most = connections + SPARE;
    vec!["--max-connections".to_owned(), most.to_string()]
}

/// A raised limit of the kernel, put back when dropped.
pub struct Room {
    _lower: Option<Undo>,
}

/// Make room for so many connections; `None`, and said, if there isn't any.
pub fn room(connections: usize) -> Result<Option<Room>> {
    static SAID: AtomicBool = AtomicBool::new(false);
    let tell = |text: String| {
        if !SAID.swap(true, Ordering::Relaxed) {
            eprintln!("{text}");
        }
        Ok(None)
    };
    let files = raise_open_files();
    if files < (connections + SPARE) as u64 {
        return tell(format!(
            "rows with {connections} connections are left out: a process may open {files} files; \
             raise it with `ulimit -n`"
        ));
    }
    let before = fs::read_to_string(LIMIT)?;
    let wanted = (connections + SPARE) as u64 * MAPPINGS.0 + MAPPINGS.1;
    if before.trim().parse::<u64>().is_ok_and(|now| now >= wanted) {
        return Ok(Some(Room { _lower: None }));
    }
    match fs::write(LIMIT, wanted.to_string()) {
        Ok(()) => Ok(Some(Room {
            _lower: Some(undo::later(move || {
                let _ = fs::write(LIMIT, before);
            })),
        })),
        Err(_) => tell(format!(
            "rows with {connections} connections are left out: a process may have {} memory \
             mappings; raise it with `sysctl -w vm.max_map_count={wanted}`",
            before.trim()
        )),
    }
}
