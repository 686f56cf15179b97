//! What a session consists of, and how it begins.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hotsocket_sandbox::limit_counters::Limit;
use hotsocket_sandbox::{
    ConnectionInfo, Effects, Instance, PeerFacts, ServedConnection, Stream, Window,
};
use tokio::time::{Instant, Sleep};

use super::close::REFUSED;
use super::hibernate::Asleep;
use super::log::{log_access, log_refused, logged};
use super::migrate::{Probation, RolloutCursor};
use super::pace::Pace;
use super::record::{Recording, closed_mark};
use super::restart::Recovery;
use super::start_tls::{Secure, StartTls};
use super::timers::Timers;
use super::topics::SessionTopics;
use crate::channel::{Channel, Traffic};
use crate::limits::{Limits, OnTrap};
use crate::rollout::GenerationGuard;
use crate::roster::{Progress, RosterEntry, SessionHandle, SessionState};
use crate::service::{Service, SessionPermit, StaysAwake};
use crate::tap::What;

/// One connection and whatever serves it.
///
/// [`Session::begin`], then [`Session::run`] until it says why the session is
/// over, then [`Session::finish`] with that cause. The methods in between belong
/// to the module that is named after what they do; all of them leave the session
/// between two events.
pub(super) struct Session {
    /// The bytes from and to the peer.
    pub channel: Channel,
    /// What the guest's code and state are in.
    pub body: Body,
    /// What is known of the peer besides its address, for each of its instances.
    pub facts: Option<Arc<PeerFacts>>,
    /// Present if the guest may have TLS begin, until it has.
    pub start_tls: Option<Box<StartTls>>,
    /// The code that serves the session, also while it sleeps.
    pub generation: GenerationGuard,
    pub timers: Timers,
    /// Which rollouts the session has seen and applied.
    pub rollout: RolloutCursor,
    /// Present while the instance is a successor that has not survived its first
    /// event yet.
    pub probation: Option<Box<Probation>>,
    /// Present if the session shall survive its instance (`--on-trap restart`).
    pub recovery: Option<Box<Recovery>>,
    /// The last event, if the instance may hibernate after it.
    pub quiet_since: Option<Instant>,
    /// Since it was last tried to let the instance hibernate in vain.
    pub stays_awake: Option<StaysAwake>,
    /// Rings at the next deadline, timer or bedtime. Reused, and late to be
    /// reset: see [`super::wait`].
    pub alarm: Option<Pin<Box<Sleep>>>,
    /// How long the session has held its thread.
    pub pace: Pace,
    /// Present once the guest has used topics.
    pub topics: Option<Box<SessionTopics>>,
    /// What the guest calls the connection, in the log.
    pub label: Option<Box<str>>,
    /// When the connection was accepted; present only with `--access-log`.
    pub accepted: Option<Instant>,
    /// Free again before the session leaves the roster: whoever sees that it has gone
    /// finds room for another.
    _permit: Box<SessionPermit>,
    /// How others know of the session and wake it.
    pub entry: RosterEntry,
    pub service: Arc<Service>,
    /// What taps will see of the event in progress; `None` between events, and if nobody
    /// looks.
    pub recording: Option<Box<Recording>>,
    /// Those of the service when the session began: a reload changes none of them
    /// under a connection.
    pub limits: Arc<Limits>,
}

/// Where the guest's state is.
pub(super) enum Body {
    /// In an instance. After a fault it is dead, and the session either gets
    /// another one at once or is over.
    Awake(Instance),
    /// In a snapshot, until the next event.
    Asleep(Asleep),
}

impl Session {
    /// Enter the roster and make the instance. `None`: there is no room for it;
    /// the connection has been reset.
    pub async fn begin(
        service: Arc<Service>,
        connection: ServedConnection,
        stream: Stream,
        permit: Box<SessionPermit>,
        tls: Option<Arc<dyn Secure>>,
    ) -> Option<Box<Self>> {
        let ServedConnection { info, facts } = connection.clone();
        // A proxy probes every few seconds.
        let is_probe = facts.as_ref().is_some_and(|facts| facts.is_probe());
        let accepted = (service.access_log.load(Ordering::Relaxed) && !is_probe).then(Instant::now);
        let rollout = service.rollouts.current();
        let handle = Arc::new(SessionHandle::new(
            info,
            rollout.generation.number,
            rollout.number,
        ));
        let entry = service.roster.enter(handle);
        let version = service.rollouts.version();
        let generation = GenerationGuard::new(Arc::clone(&rollout.generation));
        let (guest, number) = (
            &generation.generation().guest,
            generation.generation().number,
        );
        let awake = service.roster.awake();
        let made = service.sandbox.admit(guest, connection, number, awake);
        let instance = match made.await {
            Ok(instance) => instance,
            Err(fault) => {
                service.counters.refused.count(Limit::Room.name());
                service.counters.closed.count(REFUSED);
                let logged = logged(info, number, None);
                log_refused(&service.no_room, logged, &fault);
                stream.reset();
                let handle = entry.handle();
                if handle.is_tapped() {
                    handle.record(What::Mark(closed_mark(REFUSED, Traffic::default())));
                }
                if let Some(accepted) = accepted {
                    log_access(logged, REFUSED, Traffic::default(), accepted);
                }
                return None;
            }
        };
        // What was published since has not been seen by this session; its next
        // look will find it.
        let is_current =
            service.rollouts.current().number == rollout.number && !service.rollouts.stopping();
        let limits = service.limits.load_full();
        let restarts = limits.on_trap == OnTrap::Restart;
        Some(Box::new(Session {
            channel: Channel::new(stream),
            facts,
            start_tls: tls.map(|tls| Box::new(StartTls::new(tls))),
            body: Body::Awake(instance),
            generation,
            timers: Timers::default(),
            rollout: RolloutCursor::new(rollout.number, is_current.then_some(version)),
            probation: None,
            recovery: restarts.then(|| Box::new(Recovery::new())),
            quiet_since: None,
            stays_awake: None,
            alarm: None,
            pace: Pace::default(),
            topics: None,
            label: None,
            accepted,
            _permit: permit,
            entry,
            service,
            recording: None,
            limits,
        }))
    }

    /// Who is connected to what.
    pub fn connection(&self) -> ConnectionInfo {
        self.entry.handle().connection
    }

    /// The same for an instance, with what is known of the peer.
    pub fn served(&self) -> ServedConnection {
        ServedConnection {
            info: self.connection(),
            facts: self.facts.clone(),
        }
    }

    /// What the next event may write.
    pub fn window(&self) -> Window {
        if self.probation.is_none() && self.start_tls.is_none() {
            return self.channel.window(0, self.limits.max_queue);
        }
        let held_back = self
            .probation
            .as_ref()
            .map(|probation| &probation.held_back);
        let held = held_back.map_or(0, Effects::queued) + self.queued_for_tls();
        let mut window = self.channel.window(held, self.limits.max_queue);
        window.awaits_tls = self.awaits_tls() || held_back.is_some_and(Effects::starts_tls);
        window.writable &= held_back.is_none_or(|effects| !effects.end);
        window
    }

    pub fn is_asleep(&self) -> bool {
        matches!(self.body, Body::Asleep(_))
    }

    /// Let others see how far the session is. Called when it comes to rest, so this
    /// must be cheap.
    pub fn report(&self) {
        let state = match &self.body {
            _ if self.rollout.drain.is_some() => SessionState::Draining,
            Body::Asleep(_) => SessionState::Asleep,
            Body::Awake(_) if self.probation.is_some() => SessionState::Probation,
            Body::Awake(_) => SessionState::Awake,
        };
        self.report_as(state, self.channel.traffic(), self.channel.queued());
    }

    pub fn report_as(&self, state: SessionState, traffic: Traffic, queued: usize) {
        self.entry.handle().report(Progress {
            received: traffic.bytes_in,
            sent: traffic.bytes_out,
            queued: queued as u64,
            generation: self.generation.generation().number,
            state,
        });
    }

    /// Put an instance in place of the current one, or of the snapshot.
    pub async fn install(&mut self, mut instance: Instance) {
        if let Body::Awake(old) = &mut self.body {
            instance.succeed(old);
        }
        if let Body::Awake(old) = std::mem::replace(&mut self.body, Body::Awake(instance)) {
            old.drop_in_background().await;
        }
    }
}
