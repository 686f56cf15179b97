//! What the binary has of the machine when no connection is open, before and after.
//!
//! It is compared with what it has after a first, short time of the same, not with a
//! fresh process: by then it has the code of all generations that it keeps, its threads,
//! and memory in the pool's places and the allocator that it keeps for the next
//! connections.

use std::thread;
use std::time::{Duration, Instant};

use super::server::TestServer;
use super::{Plan, Visits};
use crate::harness::Usage;

/// How long the first time is.
const FIRST: Duration = Duration::from_secs(15);
/// Threads of tokio that had something to do end 10 s after it.
const REST: Duration = Duration::from_secs(12);
/// Nothing takes longer to be given back.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// Memory may be more by a tenth and this: the allocator gives back whole pages, and
/// other connections than before are the last on them. A byte for each connection of a
/// hundred thousand would not be seen, a kilobyte would.
const MEMORY: usize = 16 << 20;
/// Each code that is kept has a file in memory for the contents of its guest's memory,
/// and after a first short time not all of `--keep 8` are different ones.
const DESCRIPTORS: usize = 8;
/// A place of the pool that has been used keeps up to six (see `docs/limits.md`), and at
/// first perhaps none of the 178 that are left over, for trials and successors among
/// others, has been; a few belong to the allocator. A hundred thousand connections that
/// left one in a hundred behind would not go unseen.
const MAPPINGS: usize = 178 * 6 + 100;
/// Of tokio, for files: they come with the first work, and end when it has none.
const THREADS: usize = 2;

/// What is done before the measurement begins.
pub fn first(plan: &Plan) -> Plan {
    Plan {
        time: FIRST,
        // What attackers and hostile components make the server take once shall not
        // become more.
        complete: plan.attackers > 0,
        measured: Duration::ZERO,
        visits: plan.visits.map(|_| Visits {
            connections: u64::from(plan.connections) * 2,
            swaps: 150,
        }),
        ..*plan
    }
}

/// What it has when it has had time to give back what it does not need: when that has
/// become no less for a while, or is as little as before.
pub fn at_rest(server: &TestServer, before: Option<Usage>) -> Usage {
    let usage = || server.usage().expect("the binary");
    let began = Instant::now();
    let (mut least, mut since) = (usage(), Instant::now());
    while since.elapsed() < REST && began.elapsed() < LONGEST_REST {
        thread::sleep(Duration::from_millis(500));
        let now = usage();
        if now.threads < least.threads || now.descriptors < least.descriptors {
            since = Instant::now();
        }
        least = now;
        if before.is_some_and(|before| kept(before, now).is_empty()) {
            break;
        }
    }
    least
}

/// What it has not given back.
pub fn kept(before: Usage, after: Usage) -> Vec<String> {
    let compared = [
        (
            "bytes of memory",
            before.anonymous,
            after.anonymous,
            before.anonymous / 10 + MEMORY,
        ),
        (
            "descriptors",
            before.descriptors,
            after.descriptors,
            DESCRIPTORS,
        ),
        ("mappings", before.mappings, after.mappings, MAPPINGS),
        ("threads", before.threads, after.threads, THREADS),
    ];
    compared
        .into_iter()
        .filter(|(_, before, after, margin)| *after > before + margin)
        .map(|(what, before, after, margin)| {
            format!("{after} {what}, more than {before} before and {margin}")
        })
        .collect()
}
