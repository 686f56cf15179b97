//! What must be undone however this program ends: processes, directories, and a
//! raised limit of the kernel.
//!
//! Each is undone when its guard is dropped, or all of them when Ctrl-C or
//! SIGTERM ends the program.

use std::collections::BTreeMap;
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use crate::Result;
use crate::place::Place;

type Deed = Box<dyn FnOnce() + Send>;

/// In the order in which they were done.
static DEEDS: Mutex<BTreeMap<u64, Deed>> = Mutex::new(BTreeMap::new());

fn deeds() -> MutexGuard<'static, BTreeMap<u64, Deed>> {
    DEEDS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Undoes something when dropped.
pub struct Undo(u64);

/// Do this at the latest when the program ends.
pub fn later(deed: impl FnOnce() + Send + 'static) -> Undo {
    let mut deeds = deeds();
    let number = deeds.last_key_value().map_or(0, |(last, _)| last + 1);
    deeds.insert(number, Box::new(deed));
    Undo(number)
}

impl Drop for Undo {
    fn drop(&mut self) {
        let deed = deeds().remove(&self.0);
        if let Some(deed) = deed {
            deed();
        }
    }
}

/// From now on, the signals that end the program undo everything first.
pub fn at_signals() -> Result<()> {
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
        undo_all();
        end(code);
    });
    Ok(())
}

fn undo_all() {
    loop {
        // Not locked while it is done.
        let last = deeds().pop_last();
        match last {
            Some((_, deed)) => deed(),
            None => return,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "nothing is printed that must get out first"
)]
fn end(code: i32) -> ! {
    std::process::exit(code)
}

/// A child process, killed when dropped.
pub struct Running {
    pub child: Child,
    kill: Option<Undo>,
}

impl Running {
    pub fn start(place: Place, command: &mut Command) -> Result<Self> {
        let child = place.spawn(command)?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        // Its number is its own until it has been waited for, below.
        let kill = pid.map(|pid| {
            later(move || {
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
