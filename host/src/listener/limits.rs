//! What one listener lets in: peers by their address (`--allow`, `--deny`), so many
//! connections at once (`--max-per-listener`) and so many a second
//! (`--max-accept-rate`). What holds for all listeners together is in
//! [`crate::service`].

use std::sync::Arc;

use hotsocket_sandbox::Endpoint;
use hotsocket_sandbox::limit_counters::{Limit, RateLimitedLog};
use tokio::time::{Duration, Instant, sleep_until};

use super::layers::ListenerOptions;
use super::ranges::Ranges;
use crate::limits::WhenFull;
use crate::service::{Permit, Permits, Refused, Service};

/// Whether a range of addresses may connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Allow,
    Deny,
}

/// See the module's documentation. Before a connection has a task, the accept loop asks
/// [`Self::check_address`], and then, if nothing else speaks against its peer,
/// [`Self::admit`]: who is refused takes no turn from others. Once a PROXY header has
/// named the peer, [`Self::check`] follows.
#[derive(Debug)]
pub struct ListenerLimits {
    access: Ranges<Access>,
    /// Only those that are allowed may connect: there is such a range.
    is_closed: bool,
    /// A permit for each connection that may be open, and how many there are to be: from
    /// [`Self::take_effect`] on, as the listener before this one may have them, too.
    permits: Option<(Arc<Permits>, usize)>,
    rate: Option<u32>,
    denied: RateLimitedLog,
    full: RateLimitedLog,
    too_fast: RateLimitedLog,
}

/// What an address says of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Allowed,
    /// A range says so.
    Denied,
    /// No range has it, and there are ranges that are allowed.
    NotAllowed,
}

impl ListenerLimits {
    /// `None` if there are none. Connections of the listener `before`, whose socket this
    /// one takes over, count as its own.
    pub fn new(options: &ListenerOptions, before: Option<&ListenerLimits>) -> Option<Self> {
        let has_some = !options.access.is_empty()
            || options.max_per_listener.is_some()
            || options.max_accept_rate.is_some();
        let permits = |max| match before.and_then(|before| before.permits.as_ref()) {
            Some((permits, _)) => (Arc::clone(permits), max),
            None => (Permits::new(max), max),
        };
        has_some.then(|| ListenerLimits {
            is_closed: options.access.has(Access::Allow),
            access: options.access.clone(),
            permits: options.max_per_listener.map(permits),
            rate: options.max_accept_rate,
            denied: RateLimitedLog::default(),
            full: RateLimitedLog::default(),
            too_fast: RateLimitedLog::default(),
        })
    }

    /// The listener begins to accept: there are as many permits as its options say.
    pub fn take_effect(&self) {
        if let Some((permits, max)) = &self.permits {
            permits.resize(*max);
        }
    }

    /// Let in all that wait for a permit, unless the listener that has taken the socket
    /// over (`after`) has such a limit, too.
    pub fn lift(&self, after: Option<&ListenerLimits>) {
        if let Some((permits, _)) = &self.permits
            && after.is_none_or(|after| after.permits.is_none())
        {
            permits.resize(Permits::MAX);
        }
    }

    /// For the accept loop, which keeps it.
    pub fn bucket(&self) -> Option<Bucket> {
        self.rate.map(Bucket::new)
    }

    /// What [`Self::check`] can say before the peer is known: with `is_proxy` the
    /// connection is a proxy's, and only what is denied is refused.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn check_address(
        &self,
        peer: Endpoint,
        is_proxy: bool,
        service: &Service,
    ) -> Result<(), Refused> {
        match self.verdict(&peer) {
            Verdict::NotAllowed if is_proxy => Ok(()),
            _ => self.check(peer, service),
        }
    }

    /// Let a connection in that may connect: at once, or when it is its turn.
    ///
    /// # Errors
    /// When it is to be reset; that has been counted and logged.
    pub async fn admit(
        &self,
        bucket: &mut Option<Bucket>,
        service: &Service,
    ) -> Result<Option<Permit>, Refused> {
        if let Some(bucket) = bucket
            && let Some(ready) = bucket.take()
        {
            self.log_rate(bucket.rate, service);
            sleep_until(ready).await;
        }
        match &self.permits {
            None => Ok(None),
            Some((permits, max)) => self.permit(permits, *max, service).await.map(Some),
        }
    }

    /// Whether this peer may connect, which a PROXY header has named.
    ///
    /// # Errors
    /// When it may not; that has been counted and logged.
    pub fn check(&self, peer: Endpoint, service: &Service) -> Result<(), Refused> {
        match self.verdict(&peer) {
            Verdict::Allowed => Ok(()),
            Verdict::Denied | Verdict::NotAllowed => Err(self.refuse(peer, service)),
        }
    }

    fn verdict(&self, peer: &Endpoint) -> Verdict {
        match (self.access.get(peer), peer) {
            (Some(Access::Allow), _) => Verdict::Allowed,
            (Some(Access::Deny), _) => Verdict::Denied,
            // Who may connect to a Unix socket is up to its file.
            (None, Endpoint::Ip(_)) if self.is_closed => Verdict::NotAllowed,
            (None, _) => Verdict::Allowed,
        }
    }

    fn refuse(&self, peer: Endpoint, service: &Service) -> Refused {
        let limit = match self.verdict(&peer) {
            Verdict::NotAllowed => Limit::Allow,
            Verdict::Denied | Verdict::Allowed => Limit::Deny,
        };
        service.limit_counters.count(limit);
        service.counters.refused.count(limit.name());
        if let Some(suppressed) = self.denied.due() {
            let limit = limit.name();
            tracing::warn!(
                kind = "limit",
                limit,
                %peer,
                suppressed = suppressed.count(),
                "a connection from {peer} refused: its address is {} (--{limit}){suppressed}",
                match limit == Limit::Deny.name() {
                    true => "denied",
                    false => "not allowed",
                }
            );
        }
        Refused
    }

    async fn permit(
        &self,
        permits: &Arc<Permits>,
        max: usize,
        service: &Service,
    ) -> Result<Permit, Refused> {
        if let Some(permit) = permits.try_take() {
            return Ok(permit);
        }
        let limit = Limit::PerListener;
        service.limit_counters.count(limit);
        let waits = service.limits.load().when_full == WhenFull::Wait;
        if let Some(suppressed) = self.full.due() {
            let more = match waits {
                true => "wait until some have closed",
                false => "are refused",
            };
            tracing::warn!(
                kind = "limit",
                limit = limit.name(),
                suppressed = suppressed.count(),
                "{max} connections of a listener are open (--{}); more {more} (--when-full){suppressed}",
                limit.name()
            );
        }
        if !waits {
            service.counters.refused.count(limit.name());
            return Err(Refused);
        }
        permits.take().await.ok_or(Refused)
    }

    fn log_rate(&self, rate: u32, service: &Service) {
        let limit = Limit::AcceptRate;
        service.limit_counters.count(limit);
        if let Some(suppressed) = self.too_fast.due() {
            tracing::warn!(
                kind = "limit",
                limit = limit.name(),
                suppressed = suppressed.count(),
                "a listener gets more than {rate} connections a second (--{}); more wait{suppressed}",
                limit.name()
            );
        }
    }
}

/// A token bucket: so many connections a second, of which those of a tenth of a second,
/// but at least one, may come at once.
#[derive(Debug)]
pub struct Bucket {
    rate: u32,
    /// Between two connections.
    interval: Duration,
    /// How far ahead of its time one may come.
    burst: Duration,
    /// When the next one would be in time.
    next: Instant,
}

/// The part of a second whose connections may come at once.
const BURST: u32 = 10;

impl Bucket {
    fn new(rate: u32) -> Self {
        let interval = Duration::from_secs(1) / rate.max(1);
        Bucket {
            rate,
            interval,
            burst: (Duration::from_secs(1) / BURST).saturating_sub(interval),
            next: Instant::now(),
        }
    }

    /// Take a token. `Some`: it is to be used then, and not before.
    fn take(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let turn = self.next.max(now);
        self.next = turn + self.interval;
        (turn > now + self.burst).then(|| turn - self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_bucket_lets_through_its_burst_and_then_its_rate() {
        let mut bucket = Bucket::new(100);
        let start = Instant::now();
        let mut at_once = 0;
        for _ in 0..110 {
            match bucket.take() {
                None => at_once += usize::from(start == Instant::now()),
                Some(turn) => sleep_until(turn).await,
            }
        }
        assert_eq!(at_once, 10);
        let took = start.elapsed();
        assert!((990..=1010).contains(&took.as_millis()), "{took:?}");
        tokio::time::sleep(Duration::from_secs(60)).await;
        let again = (0..20).take_while(|_| bucket.take().is_none()).count();
        assert_eq!(again, 10, "a pause earns no more than the burst");
    }

    #[tokio::test(start_paused = true)]
    async fn a_low_rate_lets_one_through() {
        let mut bucket = Bucket::new(1);
        assert_eq!(bucket.take(), None);
        let turn = bucket.take().expect("its turn later");
        assert_eq!(turn - Instant::now(), Duration::from_secs(1));
    }
}
