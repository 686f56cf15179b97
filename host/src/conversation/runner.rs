//! Runs the steps of one script, one after the other, on a service of its own.
//!
//! Owns the order of things: a step that sends is over when the guest has dealt
//! with it, one that expects when it has come. It also keeps account of what
//! went wrong inside the host, which no peer can see: a guest that died looks
//! like one that ended.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hotsocket_sandbox::ConnectionInfo;
use tokio::time::{Instant, sleep, sleep_until};

use super::environment::{Environment, Guest};
use super::peer::{INSTANT, Peer, Wrong, wrong};
use super::script::{Action, Step};
use super::wire::{self, Side};
use super::{Failure, Guests, Script, difference};
use crate::registry::{Outcome, Report, Rules, SwapError};
use crate::rollout::{Policy, RolloutStats, Source};
use crate::service::{ConnectionIds, Counters, Service};
use crate::session;

/// What guests are told that the server listens on, unless they say it
/// themselves; and where peers are.
const LOCAL_PORT: u16 = 3000;
const FIRST_PEER_PORT: u16 = 50_000;
/// The last lines of the log that a failure shows.
const LOG_LINES: usize = 8;
/// A swap is never undone by itself: the script shall see what it does.
const RULES: Rules = Rules {
    policy: Policy::Migrate,
    rollback_after: None,
    keep: 5,
};

/// Have the conversation. `line` is kept at the step in progress.
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
        .map_err(|error| Failure::from(wrong(format!("cannot start: {error}"))))?;
    environment.captured.clear();
    clock.block_on(async {
        let mut runner = Runner::new(environment, script, guest, others);
        let ran = runner.all(line).await;
        ran.map_err(|mut failure: Failure| {
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
    /// Where the script's own clock is: it moves with `wait` only.
    now: Instant,
    /// The swaps so far; a migration may turn out bad after its step.
    rollouts: Vec<Arc<RolloutStats>>,
    /// Faults that a step has expected.
    expected_faults: usize,
    /// Printed lines that were passed, on standard output and standard error.
    passed: [usize; 2],
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
        Runner {
            environment,
            script,
            guest,
            others,
            service,
            local: (Ipv4Addr::LOCALHOST, guest.port.unwrap_or(LOCAL_PORT)).into(),
            peers: BTreeMap::new(),
            now: Instant::now(),
            rollouts: Vec::new(),
            expected_faults: 0,
            passed: [0; 2],
        }
    }

    async fn all(&mut self, line: &AtomicUsize) -> Result<(), Failure> {
        let at = |line| {
            move |wrong: Wrong| Failure {
                line,
                ..wrong.into()
            }
        };
        self.listening().await.map_err(at(1))?;
        let mut unexpected = None;
        for (index, step) in self.script.steps.iter().enumerate() {
            line.store(step.line, Ordering::Relaxed);
            self.step(step).await.map_err(at(step.line))?;
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
            self.nothing_is_left().await.map_err(at(last))?;
            self.stop().await;
        }
        if self.faults() > self.expected_faults {
            let told = "the guest failed here, and no step says `fault`";
            return Err(at(unexpected.unwrap_or(last))(wrong(told)));
        }
        Ok(())
    }

    /// The guest's first event, as when a server starts.
    async fn listening(&self) -> Result<(), Wrong> {
        let told = async {
            let sandbox = &self.environment.sandbox;
            let mut instance = sandbox.instantiate(&self.guest.compiled, None, 1).await?;
            instance.listening(&[self.local]).await
        };
        told.await.map_err(|fault| wrong(fault.to_string()))
    }

    async fn step(&mut self, step: &'a Step) -> Result<(), Wrong> {
        let time = self.environment.timeout;
        match &step.action {
            Action::Swap(name) => return self.swap(name.as_deref()).await,
            Action::Rollback => {
                let report = self.service.registry.roll_back(None).await;
                return self.swapped(report, Outcome::RolledBack);
            }
            Action::Wait(time) => {
                self.now = (self.now + *time).max(Instant::now());
                sleep_until(self.now).await;
                // What is due at the same moment comes before the next step.
                sleep(INSTANT).await;
                return Ok(());
            }
            Action::Print(line) => return self.printed(line, 0).await,
            Action::Error(line) => return self.printed(line, 1).await,
            Action::Fault(part) => return self.fault(part.as_deref()).await,
            Action::Stop => {
                self.stop().await;
                return Ok(());
            }
            _ => {}
        }
        let peer = self.peer(&step.who).await?;
        match &step.action {
            Action::Send { bytes, piece } => peer.send(bytes, *piece).await,
            Action::Expect(bytes) => peer.expect(bytes, time).await?,
            Action::ExpectEnd => peer.expect_side(Side::Ended, time).await?,
            Action::ExpectReset => peer.expect_side(Side::Reset, time).await?,
            Action::ExpectNothing => peer.expect_nothing().await?,
            Action::End => peer.end().await,
            Action::Abort => peer.abort().await,
            Action::Stall => peer.stall(true).await,
            Action::Resume => peer.stall(false).await,
            _ => {}
        }
        Ok(())
    }

    /// The peer of this name; it connects with the first step that names it.
    async fn peer(&mut self, who: &'a str) -> Result<&mut Peer, Wrong> {
        if !self.peers.contains_key(who) {
            let port = FIRST_PEER_PORT + self.peers.len() as u16;
            let connection = ConnectionInfo {
                id: self.service.next_id(),
                local: self.local,
                peer: SocketAddr::new(self.local.ip(), port),
            };
            let permit = self.service.admit(self.local.ip()).await;
            let permit = permit.map_err(|_| wrong("no room for one more connection"))?;
            Counters::count(&self.service.counters.accepted);
            let (host, peer) = wire::pair();
            let session = session::serve(Arc::clone(&self.service), connection, Box::new(host));
            tokio::spawn(async move {
                session.await;
                drop(permit);
            });
            let mut peer = Peer::new(peer);
            peer.settle().await;
            self.peers.insert(who, peer);
        }
        self.peers
            .get_mut(who)
            .ok_or_else(|| wrong("this connection is not there"))
    }

    async fn swap(&mut self, name: Option<&str>) -> Result<(), Wrong> {
        let guest = match name {
            None => self.guest,
            Some(name) => self
                .others
                .get(&self.script.beside(name))
                .ok_or_else(|| wrong(format!("{name} was not loaded")))?,
        };
        let (compiled, source) = (
            Arc::clone(&guest.compiled),
            Source::Sent(guest.name.clone()),
        );
        let report = self.service.registry.swap_to(compiled, source, None).await;
        self.guest = guest;
        self.swapped(report, Outcome::Swapped)
    }

    fn swapped(
        &mut self,
        report: Result<Report, SwapError>,
        expected: Outcome,
    ) -> Result<(), Wrong> {
        let report = report.map_err(|error| wrong(format!("not swapped: {error}")))?;
        let rollout = self.service.rollouts.current();
        self.rollouts.push(Arc::clone(&rollout.stats));
        match report.outcome == expected {
            true => Ok(()),
            false => Err(wrong(report.describe())),
        }
    }

    /// Instances that died, and migrations that came to nothing.
    fn faults(&self) -> usize {
        let died = Counters::read(&self.service.counters.faults);
        let stayed = self.rollouts.iter().map(|stats| stats.count().failed);
        usize::try_from(died).unwrap_or(usize::MAX) + stayed.sum::<usize>()
    }

    /// One more fault, whose line in the log has this in it.
    async fn fault(&mut self, part: Option<&str>) -> Result<(), Wrong> {
        let deadline = Instant::now() + self.environment.timeout;
        while self.faults() <= self.expected_faults {
            if Instant::now() >= deadline {
                let time = crate::duration::show(self.environment.timeout);
                return Err(wrong(format!(
                    "expected a fault, but none came within {time}"
                )));
            }
            sleep(INSTANT).await;
        }
        self.expected_faults += 1;
        let log = self.environment.captured.logged();
        match part {
            Some(part) if !log.iter().any(|line| line.contains(part)) => {
                Err(wrong(format!("the guest failed, but not with {part:?}")))
            }
            _ => Ok(()),
        }
    }

    /// A guest prints this line, maybe after others.
    async fn printed(&mut self, line: &str, stream: usize) -> Result<(), Wrong> {
        let deadline = Instant::now() + self.environment.timeout;
        let captured = &self.environment.captured;
        let Some(passed) = self.passed.get_mut(stream) else {
            return Ok(());
        };
        loop {
            let lines = match stream {
                0 => captured.printed(),
                _ => captured.printed_errors(),
            };
            let mut new = lines.iter().enumerate().skip(*passed);
            if let Some((at, _)) = new.find(|(_, new)| *new == line) {
                *passed = at + 1;
                return Ok(());
            }
            if Instant::now() >= deadline {
                let last = lines.iter().skip(*passed).rev().take(LOG_LINES).rev();
                let details = last.map(|line| format!("printed   {line}")).collect();
                let told = format!("nobody printed {}", difference::told(line.as_bytes()));
                return Err((told, details));
            }
            sleep(INSTANT).await;
        }
    }

    /// Every byte that came was expected by a step.
    async fn nothing_is_left(&mut self) -> Result<(), Wrong> {
        sleep(INSTANT).await;
        for (name, peer) in &mut self.peers {
            peer.look();
            if !peer.received.is_empty() {
                let of = match *name {
                    "" => String::new(),
                    name => format!(" of {name}"),
                };
                return Err(wrong(format!(
                    "at the end bytes{of} are left that no step expects: {}",
                    difference::told(&peer.received)
                )));
            }
        }
        Ok(())
    }

    /// Shut the service down; twice does no harm.
    async fn stop(&mut self) {
        let service = Arc::clone(&self.service);
        let mut shutting_down = pin!(service.shut_down());
        loop {
            let gone = service.roster.gone.notified();
            for peer in self.peers.values_mut() {
                peer.look();
            }
            tokio::select! {
                _ = &mut shutting_down => return,
                () = gone => {}
            }
        }
    }
}
