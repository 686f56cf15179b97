//! Removes keys whose time is over and that nobody asks for.
//!
//! A task of its own, which runs only while any key has an end.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use hotsocket_sandbox::let_others_run;
use tokio::runtime::Handle;
use tokio::time::sleep;

use super::memory::Table;

/// Between two rounds.
const INTERVAL: Duration = Duration::from_secs(1);
/// Keys that are removed before others run: about 100 µs.
pub(super) const SLICE: usize = 256;

/// Sweep from now on, if nobody does yet.
pub fn start(table: &Arc<Table>) {
    if table.is_swept.load(Ordering::Relaxed) || table.is_swept.swap(true, Ordering::AcqRel) {
        return;
    }
    match Handle::try_current() {
        Ok(runtime) => {
            let table = Arc::downgrade(table);
            runtime.spawn(run(Sweeper(table)));
        }
        // Keys are still gone when their time is over.
        Err(_) => table.is_swept.store(false, Ordering::Release),
    }
}

/// Whoever drops it says that nobody sweeps.
struct Sweeper(Weak<Table>);

impl Drop for Sweeper {
    fn drop(&mut self) {
        if let Some(table) = self.0.upgrade() {
            table.is_swept.store(false, Ordering::Release);
        }
    }
}

async fn run(mut sweeper: Sweeper) {
    loop {
        sleep(INTERVAL).await;
        let Some(table) = sweeper.0.upgrade() else {
            return;
        };
        round(&table).await;
        let has_ends = || table.shards.iter().any(|shard| shard.lock().has_ends());
        if has_ends() {
            continue;
        }
        // One that comes after this finds that nobody sweeps; one that came before it is
        // found here.
        table.is_swept.store(false, Ordering::Release);
        if !has_ends() || table.is_swept.swap(true, Ordering::AcqRel) {
            sweeper.0 = Weak::new();
            return;
        }
    }
}

/// Remove all keys whose time is over.
pub(super) async fn round(table: &Table) {
    // Since others have run, of all shards.
    let mut swept = 0;
    for shard in &table.shards {
        loop {
            let most = SLICE - swept;
            let removed = shard.lock().sweep(table.now(), most, &table.usage);
            if removed > 0 {
                table.note_changes();
            }
            if removed < most {
                swept += removed;
                break;
            }
            swept = 0;
            let_others_run().await;
        }
    }
}
