//! The CPU time of one event: charged at epoch ticks, up to a budget.
//!
//! A guest is charged the CPU time of the thread that it runs on, never the
//! wall clock: on a busy machine an honest event may take long without using
//! much. The clock is read only at epoch ticks, so an event shorter than a
//! tick pays nothing for it.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::call_mode::CallHistory;
use crate::epoch_ticker::{EpochTicker, TickRate};
use crate::measures::SAMPLED;
use crate::proof::{Proof, Ticks};

/// How often the epoch advances while events may be long (see
/// [`crate::epoch_ticker`]). A guest on a fiber that computes longer than this
/// yields to the other connections of its thread.
pub const TICK: Duration = Duration::from_millis(1);

/// A tick that an event meets sooner after it was resumed came while it waited, and would
/// make one that has just begun wait behind those that compute.
const STALE: Duration = Duration::from_micros(125);
const _: () = assert!(STALE.as_nanos() * 8 <= TICK.as_nanos());

thread_local! {
    /// CPU time of this thread when the event that it polls was resumed;
    /// `None` during the first slice of an event, whose start was not measured.
    static RESUMED_AT: Cell<Option<Duration>> = const { Cell::new(None) };
    /// CPU time that the event being polled is still to be charged: of slices that ended
    /// because it waited for something, between two ticks.
    static CARRIED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    /// The event being polled has computed up to a tick.
    static TICKED: Cell<bool> = const { Cell::new(false) };
}

/// CPU time that the calling thread has used so far.
pub fn thread_cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}

/// Attempts to leave the thread's other tasks to another thread, in one event.
const MAX_HAND_OVERS: u8 = 3;
/// How long another thread may need to take them.
const HAND_OVER: Duration = Duration::from_micros(200);

/// What an event may spend.
#[derive(Clone, Copy, Debug)]
pub struct Budgets {
    pub event: Duration,
    /// Of those in which an instance starts: see [`CpuBudget::begin_event`].
    pub start: Duration,
}

/// What an event does that has met a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tick {
    /// It has used up its budget.
    Over,
    /// It lets others run.
    GivesWay,
    GoesOn,
}

/// The CPU time of the event in progress, and whether those before it were short.
/// Call [`Self::begin_event`] first, and [`Self::run_directly`] too if the event runs without a fiber; then
/// [`Self::tick`] at each epoch tick, and [`Self::settle`] and [`Self::record`] when it is
/// over.
pub struct CpuBudget {
    ticker: Arc<EpochTicker>,
    /// Of the guest: whether its events are short.
    history: Arc<CallHistory>,
    budgets: Budgets,
    /// The event in progress is one of an instance that starts.
    is_starting: bool,
    spent: Duration,
    /// The event has met a tick, other than one that came while it waited.
    met_tick: bool,
    /// The event runs without a fiber and cannot yield.
    is_direct: bool,
    proof: Proof,
    hand_overs: u8,
}

impl CpuBudget {
    pub fn new(budgets: Budgets, ticker: Arc<EpochTicker>, history: Arc<CallHistory>) -> Self {
        // As long as no other instance has shown the contrary.
        let is_proven = history.is_short();
        CpuBudget {
            ticker,
            history,
            budgets,
            is_starting: true,
            spent: Duration::ZERO,
            met_tick: false,
            is_direct: false,
            proof: Proof::new(is_proven),
            hand_overs: 0,
        }
    }

    /// Whether the last events of this instance were short.
    pub fn proof(&mut self) -> &mut Proof {
        &mut self.proof
    }

    /// Of the event in progress.
    pub fn budget(&self) -> Duration {
        match self.is_starting {
            true => self.budgets.start,
            false => self.budgets.event,
        }
    }

    /// The flag that sets [`Self::budget`].
    pub fn flag(&self) -> &'static str {
        match self.is_starting {
            true => "--start-budget",
            false => "--cpu-budget",
        }
    }

    /// A new event begins with nothing spent, on a fiber. An instance starts in its
    /// start function, in `listening` and in `open`: a script's modules may run there.
    pub fn begin_event(&mut self, is_starting: bool) {
        self.is_starting = is_starting;
        self.spent = Duration::ZERO;
        self.met_tick = false;
        self.is_direct = false;
        self.hand_overs = 0;
    }

    /// The event runs without a fiber.
    pub fn run_directly(&mut self) {
        self.ticker.request(TickRate::Coarse);
        self.is_direct = true;
        mark_slice(false, Duration::ZERO);
    }

    /// Whether the event has computed for more than the tick that any event
    /// may meet.
    fn is_long(&self) -> bool {
        self.spent > TICK + TICK / 2
    }

    /// The event is over: charge what it has computed before it waited. No other event may
    /// have run on this thread since, or [`carry`] must have been called.
    pub fn settle(&mut self) {
        self.spent += CARRIED.take();
    }

    /// The event is over, and was measured to have taken so long, without a tick: a host
    /// function or one instruction (`memory.fill`) meets none before its end.
    pub fn note_measured(&mut self, took: Duration) {
        self.spent = self.spent.max(took);
        if self.is_long() {
            self.lose_direct_calls();
        }
    }

    fn lose_direct_calls(&self) {
        if self.history.was_long() {
            tracing::debug!("events are long: the guest is called on fibers from now on");
        }
    }

    /// Record how long the event was. If the instance is unproven, it was measured to
    /// have taken so long.
    pub fn record(&mut self, took: Duration) {
        let ticks = match self.is_long() {
            true => Ticks::Many,
            false if self.met_tick => Ticks::One,
            false => Ticks::None,
        };
        self.proof.record(ticks, took);
        if !self.is_long() {
            self.history.was_short();
        }
    }

    /// CPU time of the event that is just over on this thread, and for how many events it
    /// stands, if it is known: of one that has met a tick or was resumed after a wait, or
    /// that began to be `measured` then. No other event may have run since.
    #[inline]
    pub fn used(&self, measured: Option<Duration>) -> Option<(Duration, u64)> {
        match (RESUMED_AT.get(), measured) {
            (Some(since), _) => {
                let slice = thread_cpu_time().saturating_sub(since);
                Some((self.spent + slice, 1))
            }
            (None, Some(since)) => Some((thread_cpu_time().saturating_sub(since), SAMPLED)),
            (None, None) => None,
        }
    }

    /// CPU time that is known of the event from its ticks.
    pub fn spent(&self) -> Duration {
        self.spent
    }

    /// The epoch ticked while the guest computed: charge it.
    pub fn tick(&mut self) -> Tick {
        // The next tick comes soon, whatever was known of these events.
        self.ticker.request(TickRate::Soon);
        let now = thread_cpu_time();
        let since = RESUMED_AT.get();
        // The first slice of an event has no beginning on the clock. It ended
        // at the first tick after it began. Where ticks are coarse that is
        // charged too little, once.
        let slice = since.map_or(TICK, |since| now.saturating_sub(since));
        let spent = self.spent + CARRIED.get() + slice;
        if since.is_some() && slice < STALE && spent < self.budget() {
            return Tick::GoesOn;
        }
        TICKED.set(true);
        self.met_tick = true;
        RESUMED_AT.set(Some(now));
        CARRIED.set(Duration::ZERO);
        self.spent = spent;
        if self.is_long() {
            // At once: the next event of this guest begins when this one gives way.
            self.lose_direct_calls();
            if self.is_direct && self.hand_overs < MAX_HAND_OVERS {
                self.hand_overs += 1;
                hand_over();
            }
        }
        match self.is_direct {
            _ if self.spent >= self.budget() => Tick::Over,
            true => Tick::GoesOn,
            false => Tick::GivesWay,
        }
    }
}

/// Leave the other tasks of this thread to another one, while the guest computes
/// on. This must be short itself: the guest's time is what is used.
fn hand_over() {
    let flavor = Handle::try_current().map(|handle| handle.runtime_flavor());
    if let Ok(RuntimeFlavor::MultiThread) = flavor {
        // What was not taken when it returns stays with this thread.
        tokio::task::block_in_place(|| std::thread::sleep(HAND_OVER));
    }
}

/// Call before polling an event, of which so much was [`end_slice`]'s before: `resumed`
/// when it has waited.
pub fn mark_slice(resumed: bool, carried: Duration) {
    RESUMED_AT.set(resumed.then(thread_cpu_time));
    TICKED.set(false);
    CARRIED.set(carried);
}

/// Call when an event gives way or waits. CPU time that it is still to be charged, of this
/// slice and of those before it.
pub fn end_slice() -> Duration {
    let carried = CARRIED.take();
    match RESUMED_AT.get() {
        Some(since) if !TICKED.get() => carried + thread_cpu_time().saturating_sub(since),
        _ => carried,
    }
}

/// Others have run since [`end_slice`]: the event that is over now is to be charged this.
pub fn carry(carried: Duration) {
    CARRIED.set(carried);
}

/// Whether the slice since [`mark_slice`] ended at a tick, so that the guest
/// wants to compute on, and not because it waits for something.
pub fn wants_more() -> bool {
    TICKED.get()
}

#[cfg(test)]
mod tests {
    use wasmtime::Engine;

    use super::*;

    fn budget(event: Duration) -> CpuBudget {
        let ticker = EpochTicker::start(&Engine::default()).expect("a thread");
        let budgets = Budgets {
            event,
            start: event,
        };
        let history = Arc::new(CallHistory::new(true));
        CpuBudget::new(budgets, Arc::new(ticker), history)
    }

    #[test]
    fn what_an_event_computes_between_waits_is_charged() {
        let mut budget = budget(Duration::from_millis(2));
        budget.begin_event(false);
        let mut carried = Duration::ZERO;
        let mut slices = 0;
        while carried < Duration::from_millis(2) {
            mark_slice(true, carried);
            let until = thread_cpu_time() + Duration::from_micros(20);
            while thread_cpu_time() < until {}
            carried = end_slice();
            slices += 1;
        }
        assert!((1..=100).contains(&slices), "{slices}");
        mark_slice(true, carried);
        assert_eq!(budget.tick(), Tick::Over);
        assert!(budget.spent() >= Duration::from_millis(2));
        assert_eq!(end_slice(), Duration::ZERO, "it was charged");

        budget.begin_event(false);
        carry(carried);
        budget.settle();
        assert_eq!(budget.spent(), carried);
    }

    #[test]
    fn what_is_short_and_met_no_tick_costs_no_proof() {
        let mut budget = budget(Duration::from_secs(1));
        (0..16).for_each(|_| {
            budget.begin_event(false);
            budget.record(Duration::ZERO);
        });
        assert!(budget.proof().is_proven());
        for _ in 0..100 {
            budget.begin_event(false);
            carry(Duration::from_micros(40));
            budget.settle();
            budget.note_measured(Duration::from_micros(60));
            budget.record(Duration::ZERO);
            assert!(budget.proof().is_proven());
        }
        budget.begin_event(false);
        budget.note_measured(2 * TICK);
        budget.record(Duration::ZERO);
        assert!(!budget.proof().is_proven());
    }

    #[test]
    fn a_tick_from_before_an_event_was_resumed_does_not_end_its_slice() {
        let mut budget = budget(Duration::from_secs(1));
        budget.begin_event(false);
        mark_slice(true, Duration::ZERO);
        assert_eq!(budget.tick(), Tick::GoesOn);
        assert!(!wants_more());
        assert_eq!(budget.spent(), Duration::ZERO);
        let until = thread_cpu_time() + TICK;
        while thread_cpu_time() < until {}
        assert_eq!(budget.tick(), Tick::GivesWay);
        assert!(wants_more() && budget.spent() >= TICK);
    }
}
