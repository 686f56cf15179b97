//! How events on fibers share the serving threads: each runs for a tick at once,
//! then in turns, and not beyond the wall-clock limit.
//!
//! Most events end within their first tick. One that computes longer resumes
//! only when it has a *turn*, and there are fewer turns than serving threads:
//! however many guests spin, a thread is left for short events, and a short
//! event waits for one slice at most. One that waits again and again, and computes a
//! little each time, needs a turn for each tick of that.
//!
//! First ticks would add up in the same way where many events begin at once. So
//! an event also needs a *start*, of which there is one for each thread, unless its
//! instance is proven: unless its last events were short (see [`crate::proof`]). It
//! doesn't wait for one forever: hundreds of hostile connections may delay others, but
//! never keep an honest one from being served.
//!
//! Who has computed for a while gives up its start only after everything else that
//! is ready has run and the runtime has looked at its sockets. Without that, a chain
//! of tasks that wake one another could keep both from it: tokio looks at its sockets
//! only once in 61 polls
//! (<https://docs.rs/tokio/latest/tokio/runtime/index.html#detailed-runtime-behavior>).
//! With a single thread the same holds for turns. With several, a turn is given up at
//! once: another thread looks at the sockets, and an honest event that met a tick by
//! chance waits for its turn behind all that compute.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::yield_now;
use tokio::time::{Sleep, timeout};

use crate::cpu_budget::{TICK, carry, end_slice, mark_slice, wants_more};
use crate::epoch_ticker::{EpochTicker, TickRate};
use crate::fault::Cause;
use crate::limits::LiveLimits;

/// When the events of unproven instances on a thread have taken longer together,
/// everything else runs before the next of them begins.
const SHORT: Duration = Duration::from_micros(250);
const _: () = assert!(SHORT.as_nanos() * 4 <= TICK.as_nanos());

/// An event that has waited so long for a start begins without one.
const PATIENCE: Duration = Duration::from_millis(50);

/// The turns and starts of all events of a process.
#[derive(Clone)]
pub struct Turns {
    turns: Arc<Semaphore>,
    starts: Arc<Semaphore>,
    /// There is no other thread that looks at the sockets meanwhile.
    is_alone: bool,
}

impl Turns {
    /// For so many serving threads.
    pub fn new(threads: usize) -> Self {
        let fewer = threads.saturating_sub(1).max(1);
        Turns {
            turns: Arc::new(Semaphore::new(fewer)),
            starts: Arc::new(Semaphore::new(threads.max(1))),
            is_alone: threads <= 1,
        }
    }
}

/// Everything else that is ready on this thread runs, and the runtime looks at its
/// sockets and lets run what it finds there.
pub async fn let_others_run() {
    yield_now().await;
    to_the_back().await;
}

/// Run again after all tasks that are ready on this thread. Who is woken last, by a
/// permit that another gives up or after a [`yield_now`], would run next, before what
/// the runtime has just found to be ready at its sockets: it takes the thread's LIFO
/// slot
/// (<https://docs.rs/tokio/latest/tokio/runtime/index.html#multi-threaded-runtime-behavior-at-the-time-of-writing>).
/// A task that is woken while it runs goes to the end of the queue instead.
async fn to_the_back() {
    let mut is_there = false;
    poll_fn(|cx| {
        if is_there {
            return Poll::Ready(());
        }
        is_there = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The right to begin an event; without a permit, that of one that has waited long.
struct Start {
    permit: Option<OwnedSemaphorePermit>,
    began: Instant,
}

impl Start {
    fn new(permit: Option<OwnedSemaphorePermit>) -> Self {
        let began = Instant::now();
        Start { permit, began }
    }

    /// Keep it until everything that is ready has run.
    async fn end(self) {
        let_others_run().await;
    }
}

/// What is known of an instance.
pub enum Standing<'a> {
    /// Its last events met no tick.
    Proven,
    /// This is set to how long the event took, up to where it gave way.
    Unproven(&'a mut Duration),
}

thread_local! {
    /// How long events of unproven instances ran on this thread since others could.
    static USED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

impl Standing<'_> {
    /// The event has taken so long, and is over. Whether others must run before the
    /// next one.
    fn is_used_up(&mut self, took: Duration) -> bool {
        let Standing::Unproven(last) = self else {
            return false;
        };
        **last = took;
        let used = USED.get().saturating_add(took);
        let is_used_up = used > SHORT;
        USED.set(if is_used_up { Duration::ZERO } else { used });
        is_used_up
    }

    /// The event gives way after so long.
    fn gave_way(&mut self, took: Duration) {
        if let Standing::Unproven(last) = self {
            **last = took;
            USED.set(Duration::ZERO);
        }
    }
}

/// How the events of a sandbox on fibers run.
pub struct Fairness {
    turns: Turns,
    /// Has the wall-clock limit of each event.
    limits: Arc<LiveLimits>,
}

impl Fairness {
    pub fn new(turns: Turns, limits: Arc<LiveLimits>) -> Self {
        Fairness { turns, limits }
    }

    /// Run one event until it is over or times out. Its waits count.
    pub fn event<'a, R, F>(
        &'a self,
        ticker: &'a EpochTicker,
        standing: Standing<'a>,
        call: F,
    ) -> FairEvent<'a, R, F>
    where
        F: Future<Output = wasmtime::Result<R>>,
    {
        FairEvent {
            call,
            alarm: None,
            next: match standing {
                Standing::Proven => Next::Call,
                Standing::Unproven(_) => Next::Begin,
            },
            start: None,
            carried: Duration::ZERO,
            since_turn: Duration::ZERO,
            standing,
            ticker,
            fairness: self,
        }
    }
}

/// A future in a box of its own, as most events need none.
type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What happens when the event is polled again.
enum Next<R> {
    /// It needs a start.
    Begin,
    /// It waits for one.
    Start(Boxed<Start>),
    /// It begins.
    Call,
    /// It has waited for something of its own.
    Wake,
    /// It waits for a turn.
    Turn(Boxed<Option<OwnedSemaphorePermit>>),
    /// It is over, and others run before this is known.
    Over(Option<R>, Boxed<()>),
}

pin_project! {
    /// An event in progress.
    pub struct FairEvent<'a, R, F> {
        #[pin]
        call: F,
        #[pin]
        alarm: Option<Sleep>,
        next: Next<wasmtime::Result<R>>,
        // What it has begun with, until it gives that up.
        start: Option<Start>,
        // CPU time that it is still to be charged.
        carried: Duration,
        // CPU time of slices that it began as it was woken, since its last turn.
        since_turn: Duration,
        standing: Standing<'a>,
        ticker: &'a EpochTicker,
        fairness: &'a Fairness,
    }
}

impl<R, F: Future<Output = wasmtime::Result<R>>> Future for FairEvent<'_, R, F> {
    type Output = wasmtime::Result<R>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let mut resumed = matches!(this.next, Next::Turn(_) | Next::Wake);
        let mut turn = None;
        if matches!(this.next, Next::Wake) && *this.since_turn > TICK {
            *this.since_turn = Duration::ZERO;
            let turns = Arc::clone(&this.fairness.turns.turns);
            *this.next = Next::Turn(Box::pin(async move {
                let turn = turns.acquire_owned().await.ok();
                to_the_back().await;
                turn
            }));
        }
        if let Next::Begin = this.next {
            let starts = Arc::clone(&this.fairness.turns.starts);
            match Arc::clone(&starts).try_acquire_owned() {
                Ok(permit) => *this.start = Some(Start::new(Some(permit))),
                Err(_) => {
                    *this.next = Next::Start(Box::pin(async move {
                        let permit = timeout(PATIENCE, starts.acquire_owned()).await;
                        let_others_run().await;
                        Start::new(permit.ok().and_then(Result::ok))
                    }));
                }
            }
        }
        let ready = match this.next {
            Next::Begin | Next::Call | Next::Wake => true,
            Next::Start(wait) => match wait.as_mut().poll(cx) {
                Poll::Ready(start) => {
                    *this.start = Some(start);
                    // The epoch has ticked meanwhile.
                    resumed = true;
                    true
                }
                Poll::Pending => false,
            },
            Next::Turn(wait) => match wait.as_mut().poll(cx) {
                Poll::Ready(permit) => {
                    turn = permit;
                    true
                }
                Poll::Pending => false,
            },
            Next::Over(result, wait) => {
                return match (wait.as_mut().poll(cx), result.take()) {
                    (Poll::Ready(()), Some(result)) => {
                        carry(*this.carried);
                        Poll::Ready(result)
                    }
                    (_, waiting) => {
                        *result = waiting;
                        Poll::Pending
                    }
                };
            }
        };
        if ready {
            this.ticker.request(TickRate::Fine);
            mark_slice(resumed, *this.carried);
            if let Poll::Ready(result) = this.call.poll(cx) {
                let start = this.start.take();
                let standing = &mut *this.standing;
                let is_used_up = |start: &Start| standing.is_used_up(start.began.elapsed());
                let Some(start) = start.filter(is_used_up) else {
                    return Poll::Ready(result);
                };
                *this.carried = end_slice();
                let mut over: Boxed<()> = Box::pin(start.end());
                if over.as_mut().poll(cx).is_ready() {
                    carry(*this.carried);
                    return Poll::Ready(result);
                }
                *this.next = Next::Over(Some(result), over);
                return Poll::Pending;
            }
            let carried = end_slice();
            *this.since_turn += carried.saturating_sub(*this.carried);
            *this.carried = carried;
            let start = this.start.take();
            if let Some(start) = &start {
                this.standing.gave_way(start.began.elapsed());
            }
            let start = start.and_then(|start| start.permit);
            *this.next = if wants_more() {
                *this.since_turn = Duration::ZERO;
                let turns = Arc::clone(&this.fairness.turns.turns);
                if !this.fairness.turns.is_alone {
                    turn = None;
                }
                Next::Turn(Box::pin(async move {
                    yield_now().await;
                    // To the next in line. This event queues up for another.
                    drop((start, turn));
                    let turn = turns.acquire_owned().await.ok();
                    to_the_back().await;
                    turn
                }))
            } else {
                Next::Wake
            };
        }
        if this.alarm.is_none() {
            let timeout = this.fairness.limits.current().event_timeout;
            this.alarm.set(Some(tokio::time::sleep(timeout)));
        }
        match this.alarm.as_pin_mut().map(|alarm| alarm.poll(cx)) {
            Some(Poll::Ready(())) => {
                let timeout = this.fairness.limits.current().event_timeout;
                let cause = Cause::EventTimeout(timeout);
                carry(*this.carried);
                Poll::Ready(Err(cause.into_error()))
            }
            _ => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::io::AsyncReadExt;
    use tokio::net::UnixStream as TokioStream;

    use super::*;

    #[test]
    fn others_that_a_socket_wakes_run_first() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_io()
            .build()
            .expect("a runtime");
        let has_run = Arc::new(AtomicBool::new(false));
        let sets = Arc::clone(&has_run);
        let work = async move {
            let (mut ours, theirs) = UnixStream::pair().expect("sockets");
            theirs.set_nonblocking(true).expect("a socket");
            let mut theirs = TokioStream::from_std(theirs).expect("a socket");
            let other = tokio::spawn(async move {
                theirs.read_u8().await.expect("a byte");
                sets.store(true, Ordering::Relaxed);
            });
            // It waits for its byte.
            let_others_run().await;
            ours.write_all(b"x").expect("a byte");
            let_others_run().await;
            let is_first = has_run.load(Ordering::Relaxed);
            other.await.expect("it ends");
            is_first
        };
        let worker = runtime.spawn(work);
        assert!(runtime.block_on(worker).expect("it ends"));
    }
}
