//! Runs the steps of one script, one after the other, on a service of its own.
//!
//! Owns when a step is over: one that sends when the guest has handled it, one
//! that expects when it has arrived. It also counts faults in the guest, which
//! no peer can see: an instance that trapped looks like one that ended. What guests
//! print and publish, and their faults, are compared with the script in [`expect`].

mod expect;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use hotsocket_sandbox::{ConnectionInfo, Fault, Publication, ServedConnection};
use tokio::time::{Instant, sleep, sleep_until};

use super::environment::{Environment, Guest};
use super::facts::About;
use super::peer::{INSTANT, Peer, StepError};
use super::script::{Action, Step};
use super::wire::{self, Side};
use super::{Failure, Guests, Script, difference};
use crate::registry::{Outcome, Report, Rules, SwapError};
use crate::rollout::{Policy, RolloutStats, Source};
use crate::service::{ConnectionIds, Counters, Service};
use crate::session::{self, Secure};

/// The port that `listening` names unless the guest's component names one, and
/// the first peer's port.
const LOCAL_PORT: u16 = 3000;
const FIRST_PEER_PORT: u16 = 50_000;
/// Messages that guests may publish between two steps that expect one; a step that waits
/// for a later one fails.
const MAX_PUBLISHED: usize = 10_000;
/// The last lines of the log, and of what guests print or publish, that a failure shows.
const LOG_LINES: usize = 8;
/// A swap is never rolled back by itself: the script must see what it does.
const RULES: Rules = Rules {
    policy: Policy::Migrate,
    rollback_after: None,
    keep: 5,
};

/// Run a script. `line` is kept at the step in progress.
pub fn run(
    environment: &Environment,
    script: &Script,
    guest: &Guest,
    others: &Guests,
    line: &AtomicUsize,
) -> Result<(), Failure> {
    let clock = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .map_err(|error| StepError::new(format!("cannot start: {error}")).at(0))?;
    environment.captured.clear();
    let settings = environment.guest_settings.clone();
    environment.sandbox.environment().restart(settings);
    environment.store.clear();
    clock.block_on(async {
        let mut runner = Runner::new(environment, script, guest, others);
        let result = runner.run(line).await;
        result.map_err(|mut failure: Failure| {
            let log = environment.captured.logged();
            let last = log.iter().skip(log.len().saturating_sub(LOG_LINES));
            failure
                .details
                .extend(last.map(|line| format!("log       {line}")));
            failure
        })
    })
}

struct Runner<'a> {
    environment: &'a Environment,
    script: &'a Script,
    guest: &'a Guest,
    others: &'a Guests,
    service: Arc<Service>,
    local: SocketAddr,
    peers: BTreeMap<&'a str, Peer>,
    /// What is known of peers that have not connected yet.
    facts: BTreeMap<&'a str, About>,
    /// Time on the script's clock, which moves with `wait` and with what a step expects, and
    /// not with each [`INSTANT`].
    now: Instant,
    /// The swaps so far; a migration may fail after its step.
    rollouts: Vec<Arc<RolloutStats>>,
    /// Faults that a step has expected.
    expected_faults: usize,
    /// What guests publish.
    published: Receiver<Publication>,
    /// The same, taken out, up to the last that a step expected.
    seen: VecDeque<Publication>,
    /// Printed lines up to the last that a step expected, on standard output and
    /// standard error.
    printed: [usize; 2],
    /// Lines of the log before this one belong to faults which steps have expected…
    logged: usize,
    /// …and of those after it these.
    used: BTreeSet<usize>,
}

impl<'a> Runner<'a> {
    fn new(
        environment: &'a Environment,
        script: &'a Script,
        guest: &'a Guest,
        others: &'a Guests,
    ) -> Self {
        let service = Service::new(
            Arc::clone(&environment.sandbox),
            Arc::clone(&guest.compiled),
            Source::Sent(guest.name.clone()),
            RULES,
            Arc::clone(&environment.limits),
            ConnectionIds::default(),
            false,
        );
        let (observer, published) = mpsc::sync_channel(MAX_PUBLISHED);
        service.topics.observe(observer);
        Runner {
            environment,
            script,
            guest,
            others,
            service,
            local: (Ipv4Addr::LOCALHOST, guest.port.unwrap_or(LOCAL_PORT)).into(),
            peers: BTreeMap::new(),
            facts: BTreeMap::new(),
            now: Instant::now(),
            rollouts: Vec::new(),
            expected_faults: 0,
            published,
            seen: VecDeque::new(),
            printed: [0; 2],
            logged: 0,
            used: BTreeSet::new(),
        }
    }

    async fn run(&mut self, line: &AtomicUsize) -> Result<(), Failure> {
        let at = |line| move |error: StepError| error.at(line);
        self.listening().await.map_err(at(1))?;
        let mut unexpected = None;
        for (index, step) in self.script.steps.iter().enumerate() {
            line.store(step.line, Ordering::Relaxed);
            let begun = Instant::now();
            self.step(step).await.map_err(at(step.line))?;
            if step.action.waits_for_guest() {
                self.now += begun.elapsed();
            }
            if self.faults() <= self.expected_faults {
                unexpected = None;
            } else {
                unexpected = unexpected.or(Some(step.line));
                let next = self.script.steps.get(index + 1);
                let expects = |step: &Step| matches!(step.action, Action::Fault(_));
                if matches!(step.action, Action::Swap(_)) && !next.is_some_and(expects) {
                    break;
                }
            }
        }
        let last = line.load(Ordering::Relaxed);
        if unexpected.is_none() {
            self.expect_no_rest().await.map_err(at(last))?;
            self.stop().await;
        }
        if self.faults() > self.expected_faults {
            let message = "the guest failed, and no `fault` step expects it";
            return Err(StepError::new(message).at(unexpected.unwrap_or(last)));
        }
        Ok(())
    }

    /// The guest's first event, as when a server starts.
    async fn listening(&self) -> Result<(), StepError> {
        let result = async {
            let sandbox = &self.environment.sandbox;
            let mut instance = sandbox.instantiate(&self.guest.compiled, None, 1).await?;
            instance.listening(&[self.local.into()]).await
        };
        result
            .await
            .map_err(|fault: Fault| StepError::new(fault.to_string()))
    }

    async fn step(&mut self, step: &'a Step) -> Result<(), StepError> {
        let time = self.environment.timeout;
        match &step.action {
            Action::Swap(name) => return self.swap(name.as_deref()).await,
            Action::Set(name, value) => {
                let set = self.environment.sandbox.environment().set(name, value);
                return set.map_err(|error| StepError::new(error.to_string()));
            }
            Action::Rollback => {
                let report = self.service.registry.roll_back(None, None).await;
                return self.finish_swap(report, Outcome::RolledBack);
            }
            Action::Wait(time) => {
                self.now = (self.now + *time).max(Instant::now());
                sleep_until(self.now).await;
                // What is due at the same moment comes before the next step.
                sleep(INSTANT).await;
                return Ok(());
            }
            Action::Publish(topic, bytes) => {
                let messages = vec![bytes.clone().into_boxed_slice()];
                self.service.topics.publish(topic, messages, 0).await;
                // So that the next step finds done what the guests do with it.
                sleep(INSTANT).await;
                return Ok(());
            }
            Action::Published(topic, bytes) => return self.expect_published(topic, bytes).await,
            Action::Print(line) => return self.expect_line(line, 0).await,
            Action::Error(line) => return self.expect_line(line, 1).await,
            Action::Fault(part) => return self.expect_fault(part.as_deref()).await,
            Action::Stop => {
                self.stop().await;
                return Ok(());
            }
            _ => {}
        }
        if let Action::Peer(fact) = &step.action {
            let about = self.facts.entry(&step.connection).or_default();
            return about.learn(fact).map_err(StepError::new);
        }
        let peer = self.peer(&step.connection).await?;
        match &step.action {
            Action::Send { bytes, piece } => peer.send(bytes, *piece).await,
            Action::Expect(bytes) => peer.expect(bytes, time).await?,
            Action::ExpectEnd => peer.expect_side(Side::Ended, time).await?,
            Action::ExpectReset => peer.expect_side(Side::Reset, time).await?,
            Action::ExpectNothing => peer.expect_nothing().await?,
            Action::End => peer.end().await,
            Action::Abort => peer.abort().await,
            Action::StartTls => peer.start_tls().await?,
            Action::Stall => peer.stall(true).await,
            Action::Resume => peer.stall(false).await,
            _ => {}
        }
        Ok(())
    }

    /// The peer of this name; it connects with the first step that names it.
    async fn peer(&mut self, name: &'a str) -> Result<&mut Peer, StepError> {
        if !self.peers.contains_key(name) {
            let port = FIRST_PEER_PORT + self.peers.len() as u16;
            let peer = self.facts.remove(name).unwrap_or_default();
            let info = ConnectionInfo {
                id: self.service.next_id(),
                local: self.local.into(),
                peer: peer
                    .address
                    .unwrap_or_else(|| SocketAddr::new(self.local.ip(), port).into()),
            };
            let facts = peer.facts.map(Arc::new);
            let connection = ServedConnection { info, facts };
            let permit = self.service.admit(None, None).await;
            let permit = permit.map_err(|_| StepError::new("the connection was not admitted"))?;
            Counters::count(&self.service.counters.accepted);
            let (host, peer) = wire::pair();
            tokio::spawn(peer.reader().run());
            let may_start_tls = connection.facts.as_ref().is_some_and(|it| it.may_start_tls);
            let tls = may_start_tls.then(|| Arc::new(peer.handshake()) as Arc<dyn Secure>);
            let service = Arc::clone(&self.service);
            let session =
                session::serve(service, connection, Box::new(host), Box::new(permit), tls);
            tokio::spawn(session);
            let mut peer = Peer::new(peer);
            peer.wait_until_idle().await;
            self.peers.insert(name, peer);
        }
        self.peers
            .get_mut(name)
            .ok_or_else(|| StepError::new("internal error: no such connection"))
    }

    async fn swap(&mut self, name: Option<&str>) -> Result<(), StepError> {
        let (compiled, source) = match name {
            // What serves now: after a rollback not what was swapped to last.
            None => {
                let active = self.service.registry.active();
                (Arc::clone(&active.guest), active.source.clone())
            }
            Some(name) => {
                let guest = self.others.get(&self.script.relative(name));
                let guest = guest.ok_or_else(|| {
                    StepError::new(format!("internal error: {name} was not loaded"))
                })?;
                let source = Source::Sent(guest.name.clone());
                (Arc::clone(&guest.compiled), source)
            }
        };
        let report = self.service.registry.swap_to(compiled, source, None).await;
        self.finish_swap(report, Outcome::Swapped)
    }

    fn finish_swap(
        &mut self,
        report: Result<Report, SwapError>,
        expected: Outcome,
    ) -> Result<(), StepError> {
        let what = match expected {
            Outcome::RolledBack => "rollback",
            _ => "swap",
        };
        let report = report.map_err(|error| StepError::new(format!("{what} failed: {error}")))?;
        let rollout = self.service.rollouts.current();
        self.rollouts.push(Arc::clone(&rollout.stats));
        match report.outcome == expected {
            true => Ok(()),
            false => Err(StepError::new(report.describe())),
        }
    }

    /// Instances that trapped, and migrations that failed.
    fn faults(&self) -> usize {
        let trapped = self.service.counters.faults.total();
        let failed = self.rollouts.iter().map(|stats| stats.count().failed);
        usize::try_from(trapped).unwrap_or(usize::MAX) + failed.sum::<usize>()
    }

    /// A step has expected every byte that was received.
    async fn expect_no_rest(&mut self) -> Result<(), StepError> {
        sleep(INSTANT).await;
        for (name, peer) in &mut self.peers {
            peer.receive();
            if !peer.received.is_empty() {
                let of = match *name {
                    "" => String::new(),
                    name => format!(" on {name}"),
                };
                return Err(StepError::new(format!(
                    "received bytes{of} that no step expects: {}",
                    difference::quote(&peer.received)
                )));
            }
        }
        Ok(())
    }

    /// Shut the service down; twice does no harm.
    async fn stop(&mut self) {
        let service = Arc::clone(&self.service);
        let mut shutting_down = pin!(service.shut_down(Duration::MAX));
        loop {
            let gone = service.roster.gone.notified();
            for peer in self.peers.values_mut() {
                peer.receive();
            }
            tokio::select! {
                _ = &mut shutting_down => return,
                () = gone => {}
            }
        }
    }
}
