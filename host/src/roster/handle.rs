//! What others see of one session: who is connected, what the session has carried, what
//! state it is in. The session reports; whoever asks reads, and neither waits for the
//! other.
//!
//! Taps are here as well: a session that is not watched pays a load for that, of a line
//! that it writes to anyway.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

use atomic_waker::AtomicWaker;
use hotsocket_sandbox::{ConnectionInfo, Event};
use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};

use crate::tap::{Record, Tap, What};

/// What a session waits for that is still open when the server has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum WaitsFor {
    /// An event of the guest: for its end, or for its turn.
    Guest,
    /// The peer, to take what is queued for it.
    Flush,
    /// The peer, to end its side.
    PeerEnd,
}

/// What a session does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SessionState {
    /// Its first event has not ended yet.
    Opening,
    Awake,
    /// It hibernates.
    Asleep,
    /// New code has taken over and has not survived its first event.
    Probation,
    /// It finishes on its old code, or because the server drains.
    Draining,
    /// It is over, but for its last bytes.
    Closing,
}

impl SessionState {
    const ALL: [SessionState; 6] = [
        SessionState::Opening,
        SessionState::Awake,
        SessionState::Asleep,
        SessionState::Probation,
        SessionState::Draining,
        SessionState::Closing,
    ];

    pub fn name(self) -> &'static str {
        match self {
            SessionState::Opening => "opening",
            SessionState::Awake => "awake",
            SessionState::Asleep => "asleep",
            SessionState::Probation => "probation",
            SessionState::Draining => "draining",
            SessionState::Closing => "closing",
        }
    }
}

/// What a session reports whenever it comes to rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes from the peer, and bytes that its socket has taken.
    pub received: u64,
    pub sent: u64,
    /// Bytes that wait for the peer.
    pub queued: u64,
    /// The code that serves it.
    pub generation: u64,
    pub state: SessionState,
}

/// See the module's documentation. The session's task calls [`Self::report`] and the
/// setters, everyone else the rest.
pub struct SessionHandle {
    pub connection: ConnectionInfo,
    /// The last rollout that the session has applied or need not apply.
    applied: AtomicU64,
    /// A [`WaitsFor`], for a session that is to close.
    waits_for: AtomicU8,
    waker: AtomicWaker,
    /// As in [`Progress`]. Written by the session alone, so that it need not use
    /// instructions that lock.
    received: AtomicU64,
    sent: AtomicU64,
    queued: AtomicU64,
    generation: AtomicU64,
    state: AtomicU8,
    /// The last event: 0 before the first, else one more than its number.
    last_event: AtomicU8,
    /// Somebody looks at it. Set under the lock of `taps`.
    is_tapped: AtomicBool,
    /// CPU time of its events in nanoseconds, as far as it is known or estimated.
    cpu: AtomicU64,
    /// When it began, and when bytes last moved, in milliseconds of [`now`].
    began: u64,
    moved: AtomicU64,
    /// What the guest calls the connection.
    label: Mutex<Option<Box<str>>>,
    /// Who looks at it.
    taps: Mutex<Vec<Arc<Tap>>>,
}

/// Milliseconds of a clock that stands still between two ticks of the kernel, which makes
/// it four times as fast to read (CLOCK_MONOTONIC_COARSE in clock_gettime(2)).
fn now() -> u64 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000
}

fn since(milliseconds: u64) -> Duration {
    Duration::from_millis(now().saturating_sub(milliseconds))
}

impl SessionHandle {
    /// For a session that begins with this generation and rollout.
    pub fn new(connection: ConnectionInfo, generation: u64, applied: u64) -> Self {
        let began = now();
        SessionHandle {
            connection,
            applied: AtomicU64::new(applied),
            waits_for: AtomicU8::new(WaitsFor::Guest as u8),
            waker: AtomicWaker::new(),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            queued: AtomicU64::new(0),
            generation: AtomicU64::new(generation),
            state: AtomicU8::new(SessionState::Opening as u8),
            last_event: AtomicU8::new(0),
            is_tapped: AtomicBool::new(false),
            cpu: AtomicU64::new(0),
            began,
            moved: AtomicU64::new(began),
            label: Mutex::default(),
            taps: Mutex::default(),
        }
    }

    /// Make the session look at the board of rollouts.
    pub fn wake(&self) {
        self.waker.wake();
    }

    /// The session's task; the last one registered is woken.
    pub fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// The last rollout that the session has applied.
    pub fn applied(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    pub fn waits_for(&self) -> WaitsFor {
        let waits_for = self.waits_for.load(Ordering::Relaxed);
        [WaitsFor::Flush, WaitsFor::PeerEnd]
            .into_iter()
            .find(|which| *which as u8 == waits_for)
            .unwrap_or(WaitsFor::Guest)
    }

    /// A session begins with [`WaitsFor::Guest`].
    pub fn set_waits_for(&self, waits_for: WaitsFor) {
        self.waits_for.store(waits_for as u8, Ordering::Relaxed);
    }

    pub fn set_applied(&self, rollout: u64) {
        self.applied.store(rollout, Ordering::Release);
    }

    /// The session comes to rest.
    #[inline]
    pub fn report(&self, progress: Progress) {
        let Progress {
            received,
            sent,
            queued,
            generation,
            state,
        } = progress;
        if received != self.received.load(Ordering::Relaxed)
            || sent != self.sent.load(Ordering::Relaxed)
        {
            self.received.store(received, Ordering::Relaxed);
            self.sent.store(sent, Ordering::Relaxed);
            self.moved.store(now(), Ordering::Relaxed);
        }
        self.queued.store(queued, Ordering::Relaxed);
        self.generation.store(generation, Ordering::Relaxed);
        self.state.store(state as u8, Ordering::Relaxed);
    }

    pub fn progress(&self) -> Progress {
        let state = self.state.load(Ordering::Relaxed);
        let state = SessionState::ALL
            .into_iter()
            .find(|which| *which as u8 == state);
        Progress {
            received: self.received.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            queued: self.queued.load(Ordering::Relaxed),
            generation: self.generation.load(Ordering::Relaxed),
            state: state.unwrap_or(SessionState::Opening),
        }
    }

    /// Since the session began.
    pub fn age(&self) -> Duration {
        since(self.began)
    }

    /// Since bytes last moved, in either direction.
    pub fn idle(&self) -> Duration {
        since(self.moved.load(Ordering::Relaxed))
    }

    pub fn set_label(&self, label: Option<&str>) {
        *self.label.lock() = label.map(Into::into);
    }

    pub fn label(&self) -> Option<Box<str>> {
        self.label.lock().clone()
    }

    /// The session calls its guest. Whether somebody looks.
    pub fn begin_event(&self, event: Event) -> bool {
        self.last_event.store(event as u8 + 1, Ordering::Relaxed);
        self.is_tapped()
    }

    /// The name of its last event, with the one in progress.
    pub fn last_event(&self) -> Option<&'static str> {
        let number = self.last_event.load(Ordering::Relaxed).checked_sub(1)?;
        Event::from_number(number).map(Event::name)
    }

    /// Its events took so much more.
    pub fn add_cpu(&self, time: Duration) {
        let more = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let all = self.cpu.load(Ordering::Relaxed).saturating_add(more);
        // The session alone writes.
        self.cpu.store(all, Ordering::Relaxed);
    }

    /// CPU time of its events, estimated from those that are measured.
    pub fn cpu(&self) -> Duration {
        Duration::from_nanos(self.cpu.load(Ordering::Relaxed))
    }

    /// Whether somebody looks at the session.
    pub fn is_tapped(&self) -> bool {
        self.is_tapped.load(Ordering::Relaxed)
    }

    /// Show this to whoever looks.
    #[cold]
    pub fn record(&self, what: What) {
        let record = Record::new(self.connection.id, what);
        let mut taps = self.taps.lock();
        // One that nobody has renewed costs the session nothing more, even while its viewer
        // still reads what waits.
        taps.retain(|tap| tap.push(&record));
        self.is_tapped.store(!taps.is_empty(), Ordering::Relaxed);
    }

    /// From now on this tap sees it.
    pub fn attach(&self, tap: &Arc<Tap>) {
        let mut taps = self.taps.lock();
        if !taps.iter().any(|known| Arc::ptr_eq(known, tap)) {
            taps.push(Arc::clone(tap));
        }
        self.is_tapped.store(true, Ordering::Relaxed);
    }

    pub fn detach(&self, tap: &Arc<Tap>) {
        let mut taps = self.taps.lock();
        taps.retain(|known| !Arc::ptr_eq(known, tap));
        self.is_tapped.store(!taps.is_empty(), Ordering::Relaxed);
    }

    /// The session has left the roster: whoever looks at it alone has seen all.
    pub fn end_taps(&self) {
        if !self.is_tapped() {
            return;
        }
        let taps = std::mem::take(&mut *self.taps.lock());
        self.is_tapped.store(false, Ordering::Relaxed);
        for tap in taps {
            tap.end_with(self.connection.id);
        }
    }
}
