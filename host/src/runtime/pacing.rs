//! How an event runs among others: for a tick at once, then in turns, and not
//! beyond the wall-clock limit.
//!
//! Most events end within their first tick and never get here. One that
//! computes longer goes on only when it has a *turn*, and there are fewer turns
//! than serving threads: however many guests spin, a thread is left for short
//! events, and a short event waits for one slice at most.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::Sleep;

use super::clock::{Clock, Want};
use super::fault::Cause;
use super::meter::{mark_slice, wants_more};

/// What all instances of a runtime share of the processors.
pub struct Pacing {
    turns: Arc<Semaphore>,
    /// Threads that may be taken by events run aside.
    aside: Semaphore,
    timeout: Duration,
}

/// Events that run aside at once, each on a thread of its own.
const MAX_ASIDE: usize = 8;

impl Pacing {
    /// For so many serving threads, and events of at most this long.
    pub fn new(threads: usize, timeout: Duration) -> Self {
        Pacing {
            turns: Arc::new(Semaphore::new(threads.saturating_sub(1).max(1))),
            aside: Semaphore::new(MAX_ASIDE),
            timeout,
        }
    }

    /// Wait for a thread on which an event may run aside.
    pub async fn aside(&self) -> Option<SemaphorePermit<'_>> {
        self.aside.acquire().await.ok()
    }

    /// Run one event to its end, or to that of its time.
    pub async fn event<R>(
        &self,
        clock: &Clock,
        call: impl Future<Output = wasmtime::Result<R>>,
    ) -> wasmtime::Result<R> {
        Paced {
            call,
            alarm: None,
            next: Next::First,
            clock,
            pacing: self,
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
    struct Paced<'a, F> {
        #[pin]
        call: F,
        #[pin]
        alarm: Option<Sleep>,
        next: Next,
        clock: &'a Clock,
        pacing: &'a Pacing,
    }
}

impl<R, F: Future<Output = wasmtime::Result<R>>> Future for Paced<'_, F> {
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
            this.clock.want(Want::Fine);
            mark_slice(resumed);
            if let Poll::Ready(result) = this.call.poll(cx) {
                return Poll::Ready(result);
            }
            *this.next = if wants_more() {
                let turns = Arc::clone(&this.pacing.turns);
                Next::Turn(Box::pin(async move { turns.acquire_owned().await.ok() }))
            } else {
                Next::Wake
            };
        }
        // The next in line may have it; this one stands at the end again, and
        // is polled for that by the wake-up that its yielding has caused.
        drop(turn);
        if this.alarm.is_none() {
            this.alarm
                .set(Some(tokio::time::sleep(this.pacing.timeout)));
        }
        match this.alarm.as_pin_mut().map(|alarm| alarm.poll(cx)) {
            Some(Poll::Ready(())) => {
                let cause = Cause::EventTimeout(this.pacing.timeout);
                Poll::Ready(Err(cause.into_error()))
            }
            _ => Poll::Pending,
        }
    }
}
