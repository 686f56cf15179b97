//! Attackers on the same server as the soak's clients: connections of all the kinds that the
//! measurement of neighbours knows. They order the guest to do harm with a digit, see
//! `tests/guests/soak.rs`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};

use serde_json::Value;

use super::hostile::{self, KINDS};

/// Orders on one connection. A guest that has lost its state obeys no more.
const ON_EACH: usize = 100;

/// See the module's documentation.
pub struct Attackers {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<u64>>,
}

impl Attackers {
    /// So many of each kind.
    pub fn start(address: SocketAddr, each: u32) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let threads = (0..each)
            .flat_map(|_| KINDS.iter().zip(b'1'..))
            .map(|(kind, order)| {
                let over = Arc::clone(&over);
                thread::spawn(move || hostile::run(kind, address, order, ON_EACH, &over))
            })
            .collect();
        Attackers { over, threads }
    }

    /// How often they did harm.
    pub fn stop(self) -> u64 {
        self.over.store(true, Relaxed);
        let attacks = self.threads.into_iter();
        attacks.map(|one| one.join().expect("it ends")).sum()
    }
}

/// The kinds of which a server's `status` shows nothing.
pub fn without_effect(status: &Value) -> Vec<&'static str> {
    let kinds = KINDS.iter().filter(|kind| !kind.is_at_work(status, 1));
    kinds.map(|kind| kind.name).collect()
}
