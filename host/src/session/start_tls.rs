//! TLS begins in the middle of a session, because the guest has asked for it
//! (`hotsocket:tls`).
//!
//! The event that has asked is over: what it wrote before is sent in plain text, then the
//! transport is exchanged for one under TLS, then what was written since follows. Until then
//! nothing is delivered to the guest, and whatever comes from the peer is its handshake. A
//! swap changes the code meanwhile as at any other time; shutdown and the end of a drain
//! end the session.
//!
//! It knows no TLS: a listener's or a script's is behind [`Secure`].

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hotsocket_sandbox::{CloseReason, Endpoint, Stream, TlsFacts, recycle};
use tokio::time::{Instant, sleep_until};

use super::close::CloseCause;
use super::state::{Body, Session};
use crate::channel::Channel;
use crate::service::Service;

/// Makes a connection in plain text a protected one, by a handshake as the server.
pub trait Secure: Send + Sync {
    /// The caller drops it at `until`. Whoever fails has answered the peer and logged why.
    fn secure(
        self: Arc<Self>,
        stream: Stream,
        peer: Endpoint,
        service: Arc<Service>,
        until: Instant,
    ) -> Securing;
}

/// A handshake that goes on.
pub type Securing = Pin<Box<dyn Future<Output = Result<(Stream, TlsFacts), NotSecured>> + Send>>;

/// Why a connection is not protected, and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSecured {
    /// The handshake has failed.
    Handshake,
    /// The peer has sent plain text instead.
    PlainText,
}

/// Present while the guest may ask for TLS.
pub(super) struct StartTls {
    tls: Arc<dyn Secure>,
    /// What is to be sent under TLS, once the guest has asked for it.
    asked: Option<Vec<u8>>,
}

impl StartTls {
    pub fn new(tls: Arc<dyn Secure>) -> Self {
        StartTls { tls, asked: None }
    }
}

impl Session {
    /// The guest has asked for TLS, and it has not begun.
    pub fn awaits_tls(&self) -> bool {
        let tls = self.start_tls.as_ref();
        tls.is_some_and(|tls| tls.asked.is_some())
    }

    /// Bytes that are to be sent under TLS.
    pub fn queued_for_tls(&self) -> usize {
        let tls = self.start_tls.as_ref();
        tls.and_then(|tls| tls.asked.as_ref()).map_or(0, Vec::len)
    }

    /// An event has asked for TLS, and written this for it.
    pub fn await_tls(&mut self, under_tls: Vec<u8>) {
        if let Some(tls) = &mut self.start_tls {
            tls.asked.get_or_insert_default().extend(under_tls);
        }
    }

    /// Write what an event has written: at once, or under TLS if that is to begin.
    #[inline]
    pub fn write(&mut self, bytes: Vec<u8>) -> Result<(), CloseCause> {
        let tls = self.start_tls.as_mut();
        let Some(asked) = tls.and_then(|tls| tls.asked.as_mut()) else {
            return self.channel.write(bytes).map_err(CloseCause::PeerGone);
        };
        asked.extend_from_slice(&bytes);
        recycle(bytes);
        Ok(())
    }

    /// Begin TLS, for which the guest has asked.
    pub async fn secure(&mut self) -> Result<(), CloseCause> {
        let end = Instant::now() + self.limits.handshake_timeout;
        let sent = self.meanwhile(end, Channel::poll_empty).await?;
        sent.map_err(CloseCause::PeerGone)?;
        let Some(start) = &self.start_tls else {
            return Ok(());
        };
        let tls = Arc::clone(&start.tls);
        let stream = self
            .channel
            .take_transport()
            .map_err(CloseCause::PeerGone)?;
        let (peer, service) = (self.connection().peer, Arc::clone(&self.service));
        let mut securing = tls.secure(stream, peer, service, end);
        let secured = self.meanwhile(end, |_, cx| securing.as_mut().poll(cx));
        let (stream, facts) = secured.await?.map_err(CloseCause::NotSecured)?;
        self.channel.exchange(stream);
        self.record_secured(&facts);
        self.learn(facts);
        let asked = self.start_tls.take().and_then(|tls| tls.asked);
        self.note_activity();
        self.channel.note_progress(&self.limits);
        match asked {
            Some(asked) if !asked.is_empty() => self.write(asked),
            _ => Ok(()),
        }
    }

    /// What has been agreed on is known from now on, also to the instance.
    fn learn(&mut self, tls: TlsFacts) {
        Arc::make_mut(self.facts.get_or_insert_default()).tls = Some(tls);
        if let Body::Awake(instance) = &mut self.body {
            instance.set_facts(self.facts.clone());
        }
    }

    /// Poll `step` until it is ready. Rollouts are applied meanwhile, and may end the
    /// session.
    async fn meanwhile<T>(
        &mut self,
        end: Instant,
        mut step: impl FnMut(&mut Channel, &mut Context<'_>) -> Poll<T>,
    ) -> Result<T, CloseCause> {
        loop {
            Box::pin(self.follow_rollouts()).await?;
            let drain = self.rollout.drain.map(|drain| drain.until);
            let (due, cause) = match drain.filter(|drain| *drain < end) {
                Some(drain) => (drain, CloseCause::Host(CloseReason::Swapped)),
                None => (end, CloseCause::HandshakeTimeout),
            };
            let mut alarm = Box::pin(sleep_until(due));
            let done = poll_fn(|cx| {
                self.entry.handle().register(cx.waker());
                if let Poll::Ready(done) = step(&mut self.channel, cx) {
                    return Poll::Ready(Some(Ok(done)));
                }
                if self.rollout.must_look(&self.service.rollouts) {
                    return Poll::Ready(None);
                }
                if alarm.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Some(Err(())));
                }
                self.pace.rest();
                self.report();
                Poll::Pending
            });
            match done.await {
                Some(Ok(done)) => return Ok(done),
                Some(Err(())) => return Err(cause),
                None => {}
            }
        }
    }
}
