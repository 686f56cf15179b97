//! Cleans up however this program ends: kills child processes, removes temporary
//! directories, and restores a limit of the kernel.
//!
//! Each cleanup runs when its guard is dropped; all of them run when Ctrl-C or
//! SIGTERM ends the program.

use std::collections::BTreeMap;
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use crate::Result;
use crate::machine::Cpus;

type Callback = Box<dyn FnOnce() + Send>;

/// In the order in which they were registered.
static PENDING: Mutex<BTreeMap<u64, Callback>> = Mutex::new(BTreeMap::new());

fn pending() -> MutexGuard<'static, BTreeMap<u64, Callback>> {
    PENDING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs its callback when dropped.
pub struct Cleanup(u64);

/// Run this when the guard is dropped, at the latest when the program ends.
pub fn at_exit(callback: impl FnOnce() + Send + 'static) -> Cleanup {
    let mut pending = pending();
    let number = pending.last_key_value().map_or(0, |(last, _)| last + 1);
    pending.insert(number, Box::new(callback));
    Cleanup(number)
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        let callback = pending().remove(&self.0);
        if let Some(callback) = callback {
            callback();
        }
    }
}

/// Make SIGINT and SIGTERM run all cleanups before they end the program.
pub fn on_signals() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        )
    };
    std::thread::spawn(move || {
        let code = runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => 130,
                _ = terminate.recv() => 143,
            }
        });
        eprintln!("stopped by a signal: no table");
        run_all();
        end(code);
    });
    Ok(())
}

fn run_all() {
    loop {
        // The lock is released before the callback runs.
        let last = pending().pop_last();
        match last {
            Some((_, callback)) => callback(),
            None => return,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "standard output has nothing left to flush"
)]
fn end(code: i32) -> ! {
    std::process::exit(code)
}

/// A child process, killed when dropped.
pub struct Running {
    pub child: Child,
    kill: Option<Cleanup>,
}

impl Running {
    pub fn start(cpus: Cpus, command: &mut Command) -> Result<Self> {
        let child = cpus.spawn(command)?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        // The pid is not reused until `wait` has returned, below.
        let kill = pid.map(|pid| {
            at_exit(move || {
                let _ = kill_process(pid, Signal::KILL);
            })
        });
        Ok(Running { child, kill })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.kill.take());
        let _ = self.child.wait();
    }
}
