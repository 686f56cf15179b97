//! How events on fibers share the serving threads: each runs for a tick at once,
//! then in turns, and not beyond the wall-clock limit.
//!
//! Most events end within their first tick. One that computes longer resumes
//! only when it has a *turn*, and there are fewer turns than serving threads:
//! however many guests spin, a thread is left for short events, and a short
//! event waits for one slice at most.
//!
//! First ticks would add up in the same way where many events begin at once. So
//! an event also needs a *start*, of which there are as few, unless its instance is
//! proven: unless its last events met no tick (see [`crate::cpu_budget`]).
//!
//! Who has computed for a while gives up its turn, or its start, only after
//! everything else that is ready has run and the runtime has looked at its
//! sockets. Without that, a chain of tasks that wake one another could keep both
//! from it: tokio looks at its sockets only once in 61 polls
//! (<https://docs.rs/tokio/latest/tokio/runtime/index.html#detailed-runtime-behavior>).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::yield_now;
use tokio::time::{Sleep, timeout};

use crate::cpu_budget::{TICK, mark_slice, wants_more};
use crate::epoch_ticker::{EpochTicker, TickRate};
use crate::fault::Cause;

/// An unproven event that took longer lets everything else run before the next
/// one begins.
const SHORT: Duration = Duration::from_micros(250);
const _: () = assert!(SHORT.as_nanos() * 4 <= TICK.as_nanos());

/// The turns and starts of all events of a process.
#[derive(Clone)]
pub struct Turns {
    turns: Arc<Semaphore>,
    starts: Arc<Semaphore>,
}

impl Turns {
    /// For so many serving threads.
    pub fn new(threads: usize) -> Self {
        let fewer = threads.saturating_sub(1).max(1);
        Turns {
            turns: Arc::new(Semaphore::new(fewer)),
            starts: Arc::new(Semaphore::new(fewer)),
        }
    }
}

/// The right to begin an event.
struct Start {
    permit: OwnedSemaphorePermit,
    began: Instant,
}

/// How the events of a sandbox on fibers run.
pub struct Fairness {
    turns: Turns,
    timeout: Duration,
}

impl Fairness {
    /// `timeout` is the wall-clock limit of each event.
    pub fn new(turns: Turns, timeout: Duration) -> Self {
        Fairness { turns, timeout }
    }

    /// Run one event until it is over or times out. The wait for a start may take
    /// as long as the event itself.
    pub async fn event<R>(
        &self,
        ticker: &EpochTicker,
        is_proven: bool,
        call: impl Future<Output = wasmtime::Result<R>>,
    ) -> wasmtime::Result<R> {
        let start = match is_proven {
            true => None,
            false => Some(self.start().await?),
        };
        let event = FairEvent {
            call,
            alarm: None,
            next: Next::First,
            start,
            ticker,
            fairness: self,
        };
        let (result, start) = event.await;
        if start.is_some_and(|start| start.began.elapsed() > SHORT) {
            yield_now().await;
        }
        result
    }

    async fn start(&self) -> wasmtime::Result<Start> {
        let starts = Arc::clone(&self.turns.starts);
        let permit = match Arc::clone(&starts).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let waited = timeout(self.timeout, starts.acquire_owned()).await;
                let permit = waited.map_err(|_| self.timed_out())?;
                // Woken by the one that had it, this would run next.
                yield_now().await;
                permit.map_err(wasmtime::Error::from)?
            }
        };
        let began = Instant::now();
        Ok(Start { permit, began })
    }

    fn timed_out(&self) -> wasmtime::Error {
        Cause::EventTimeout(self.timeout).into_error()
    }
}

/// What must happen before the event is polled again.
enum Next {
    /// It has not begun.
    First,
    /// It waits for something of its own.
    Wake,
    /// It waits for a turn.
    Turn(Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send>>),
}

pin_project! {
    struct FairEvent<'a, F> {
        #[pin]
        call: F,
        #[pin]
        alarm: Option<Sleep>,
        next: Next,
        start: Option<Start>,
        ticker: &'a EpochTicker,
        fairness: &'a Fairness,
    }
}

impl<R, F: Future<Output = wasmtime::Result<R>>> Future for FairEvent<'_, F> {
    /// With the start, if it has not been given up yet.
    type Output = (wasmtime::Result<R>, Option<Start>);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let resumed = !matches!(this.next, Next::First);
        let mut turn = None;
        let ready = match this.next {
            Next::First | Next::Wake => true,
            Next::Turn(wait) => match wait.as_mut().poll(cx) {
                Poll::Ready(permit) => {
                    turn = permit;
                    true
                }
                Poll::Pending => false,
            },
        };
        if ready {
            this.ticker.request(TickRate::Fine);
            mark_slice(resumed);
            if let Poll::Ready(result) = this.call.poll(cx) {
                return Poll::Ready((result, this.start.take()));
            }
            let start = this.start.take().map(|start| start.permit);
            *this.next = if wants_more() {
                let turns = Arc::clone(&this.fairness.turns.turns);
                Next::Turn(Box::pin(async move {
                    yield_now().await;
                    // To the next in line. This event queues up for another.
                    drop((start, turn));
                    turns.acquire_owned().await.ok()
                }))
            } else {
                Next::Wake
            };
        }
        if this.alarm.is_none() {
            this.alarm
                .set(Some(tokio::time::sleep(this.fairness.timeout)));
        }
        match this.alarm.as_pin_mut().map(|alarm| alarm.poll(cx)) {
            Some(Poll::Ready(())) => Poll::Ready((Err(this.fairness.timed_out()), None)),
            _ => Poll::Pending,
        }
    }
}
