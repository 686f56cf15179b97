//! How events on fibers share the serving threads: each runs for a tick at once,
//! then in turns, and not beyond the wall-clock limit.
//!
//! Most events end within their first tick. One that computes longer resumes
//! only when it has a *turn*, and there are fewer turns than serving threads:
//! however many guests spin, a thread is left for short events, and a short
//! event waits for one slice at most.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

use crate::cpu_budget::{mark_slice, wants_more};
use crate::epoch_ticker::{EpochTicker, TickRate};
use crate::fault::Cause;

/// The turns of all long events of a process.
#[derive(Clone)]
pub struct Turns(Arc<Semaphore>);

impl Turns {
    /// For so many serving threads.
    pub fn new(threads: usize) -> Self {
        let turns = threads.saturating_sub(1).max(1);
        Turns(Arc::new(Semaphore::new(turns)))
    }
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

    /// Run one event until it is over or times out.
    pub async fn event<R>(
        &self,
        ticker: &EpochTicker,
        call: impl Future<Output = wasmtime::Result<R>>,
    ) -> wasmtime::Result<R> {
        FairEvent {
            call,
            alarm: None,
            next: Next::First,
            ticker,
            fairness: self,
        }
        .await
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
        ticker: &'a EpochTicker,
        fairness: &'a Fairness,
    }
}

impl<R, F: Future<Output = wasmtime::Result<R>>> Future for FairEvent<'_, F> {
    type Output = wasmtime::Result<R>;

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
                return Poll::Ready(result);
            }
            *this.next = if wants_more() {
                let Turns(turns) = this.fairness.turns.clone();
                Next::Turn(Box::pin(async move { turns.acquire_owned().await.ok() }))
            } else {
                Next::Wake
            };
        }
        // Release the turn to the next in line. This event queues up for another
        // when it is polled again; its yield has already woken the task.
        drop(turn);
        if this.alarm.is_none() {
            this.alarm
                .set(Some(tokio::time::sleep(this.fairness.timeout)));
        }
        match this.alarm.as_pin_mut().map(|alarm| alarm.poll(cx)) {
            Some(Poll::Ready(())) => {
                let cause = Cause::EventTimeout(this.fairness.timeout);
                Poll::Ready(Err(cause.into_error()))
            }
            _ => Poll::Pending,
        }
    }
}
