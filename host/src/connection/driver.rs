//! The driver's loop: wait for the socket, a timer or an order; give the guest
//! the event; do what it asked for.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::AsyncWrite;
use tokio::time::{Instant, Sleep};

use super::ending::Ending;
use super::hibernate::Sleep as Hibernation;
use super::loan::Socket;
use super::migrate::Probation;
use super::outbox::Outbox;
use super::restart::Recovery;
use super::table::Entered;
use super::timers::Timers;
use super::transport::Stream;
use super::wait::Woken;
use super::{Context, Counters, Handle, Place};
use crate::limits::{HIGH_WATER, LOW_WATER, OnTrap, READ_SIZE};
use crate::registry::Hold;
use crate::runtime::{CloseReason, Effects, Ends, Fault, Instance, Origin, SLICE, Window, recycle};

/// Full reads in a row after which a connection lets its neighbours go first:
/// they wait for 256 KiB at most, as with a large write.
const FULL_READS: usize = SLICE / READ_SIZE;

/// Serve one connection from accept to close. Returns when the socket is
/// closed; never panics, whatever the guest and the peer do.
///
/// A quiet connection keeps this future, so whatever an event seldom needs is
/// in a box of its own, made when it is needed.
pub fn serve(
    context: Arc<Context>,
    ends: Ends,
    socket: Stream,
    place: Place,
) -> impl Future<Output = ()> + Send {
    // What an async function is given it keeps to its end.
    let place = Box::new(place);
    let begin = Box::pin(Driver::begin(context, ends, socket));
    async move {
        if let Some(mut driver) = begin.await {
            let ending = driver.run().await;
            Box::pin(driver.finish(ending)).await;
        }
        drop(place);
    }
}

/// How far the two directions of the connection have come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Phase {
    /// The peer's FIN has come, and `end` has been called.
    pub peer_ended: bool,
    /// Nothing more will be queued; FIN follows what is queued.
    pub write_ended: bool,
    /// Our FIN is out.
    pub fin_sent: bool,
    /// The guest wants to write after the peer's FIN.
    pub held_open: bool,
    /// Above the high-water mark: nothing is read until the peer has taken
    /// enough, and then `drained` is called.
    pub full: bool,
}

pub(super) struct Driver {
    pub socket: Socket,
    /// None while it sleeps.
    pub instance: Option<Instance>,
    pub sleep: Option<Hibernation>,
    /// The last event, if the instance may hibernate after it.
    pub quiet_since: Option<Instant>,
    pub hold: Hold,
    pub outbox: Outbox,
    pub timers: Timers,
    pub phase: Phase,
    /// The board's number when it was last looked at.
    attention: u64,
    /// The board's number at which there was no turn to migrate left.
    deferred: u64,
    /// The last order that was carried out or need not be.
    pub settled: u64,
    /// The connection may finish on its old generation until then.
    pub drain_until: Option<Instant>,
    /// The instance is a successor that has not stood its first event yet.
    pub probation: Option<Box<Probation>>,
    /// Present if the connection shall survive its instance.
    pub recovery: Option<Box<Recovery>>,
    /// When bytes last moved; kept up only as far as a timeout needs it.
    pub progress: Instant,
    pub alarm: Option<Pin<Box<Sleep>>>,
    pub entry: Entered,
    pub context: Arc<Context>,
}

/// An event for the guest, with what it takes to give it again.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event<'a> {
    Data(&'a [u8]),
    Drained,
    End,
    Timer(u32),
    /// Not given again to anyone.
    Close,
}

impl Driver {
    /// Enter the connection and make its instance. `None`: there is no room.
    async fn begin(context: Arc<Context>, ends: Ends, socket: Stream) -> Option<Box<Self>> {
        let order = context.orders.current();
        let handle = Arc::new(Handle::new(ends, order.number));
        let entry = context.table.enter(handle);
        let attention = context.orders.attention();
        let hold = Hold::new(Arc::clone(&order.generation));
        let instance = match context
            .runtime
            .instantiate(&hold.generation().code, Some(ends))
            .await
        {
            Ok(instance) => instance,
            Err(fault) => {
                Counters::count(&context.counters.refused);
                let (id, peer) = (ends.id, ends.peer);
                let refused = || format!("connection {id} from {peer} refused: {fault}");
                context.no_room.make(refused);
                socket.reset();
                return None;
            }
        };
        // An order published since was not seen by this connection, and neither
        // was a stop; the next look will find it.
        let has_seen =
            context.orders.current().number == order.number && !context.orders.stopping();
        Some(Box::new(Driver {
            socket: Socket::new(socket),
            instance: Some(instance),
            sleep: None,
            quiet_since: None,
            hold,
            outbox: Outbox::default(),
            timers: Timers::default(),
            phase: Phase::default(),
            attention: if has_seen { attention } else { 0 },
            deferred: 0,
            settled: order.number,
            drain_until: None,
            probation: None,
            recovery: (context.limits.on_trap == OnTrap::Restart)
                .then(|| Box::new(Recovery::new())),
            progress: Instant::now(),
            alarm: None,
            entry,
            context,
        }))
    }

    /// Everything up to the decision that the connection is over.
    async fn run(&mut self) -> Ending {
        match self.live().await {
            Ok(never) => match never {},
            Err(ending) => ending,
        }
    }

    async fn live(&mut self) -> Result<std::convert::Infallible, Ending> {
        Box::pin(self.open(Origin::Accepted)).await?;
        self.stirred();
        let mut full_reads = 0;
        loop {
            self.follow_orders().await?;
            self.ring_timers().await?;
            if self.phase.full && self.outbox.len() <= LOW_WATER {
                self.phase.full = false;
                self.deliver(Event::Drained).await?;
                // The guest may have been told to wait again. Others have
                // their turn before it writes on.
                give_way().await;
                continue;
            }
            self.end_if_done().await?;
            self.hibernate_if_due().await?;
            match self.wait().await {
                Woken::Read(buffer, count) => {
                    self.moved();
                    self.deliver(Event::Data(buffer.filled(count))).await?;
                    // Back before others read: while this one waits for its
                    // turn, each of them would need another, cold one.
                    drop(buffer);
                    full_reads = if count == READ_SIZE {
                        full_reads + 1
                    } else {
                        0
                    };
                    if full_reads == FULL_READS {
                        full_reads = 0;
                        give_way().await;
                    }
                }
                Woken::Eof => {
                    self.moved();
                    self.phase.peer_ended = true;
                    self.deliver(Event::End).await?;
                }
                Woken::Wrote => {
                    self.moved();
                    if !self.outbox.is_empty() {
                        give_way().await;
                    }
                }
                Woken::Failed(error) => return Err(Ending::PeerGone(error)),
                Woken::Look => {}
            }
        }
    }

    /// Open the instance, which has not had an event yet.
    pub(super) async fn open(&mut self, origin: Origin) -> Result<(), Ending> {
        let window = self.window();
        let Some(instance) = &mut self.instance else {
            return Ok(());
        };
        instance.set_window(window);
        instance.open(origin).await.map_err(Ending::from_open)?;
        let effects = instance.take_effects();
        self.apply(effects)
    }

    /// Give the guest an event and do what it asked for. An event that kills a
    /// successor in probation is given to its predecessor's code instead.
    pub(super) async fn deliver(&mut self, event: Event<'_>) -> Result<(), Ending> {
        if self.sleep.is_some() {
            Box::pin(self.wake(event)).await?;
        }
        match self.give(event).await {
            Ok(effects) => {
                match self.probation.take() {
                    None => self.apply(effects)?,
                    Some(probation) => self.pass(*probation, effects)?,
                }
                if self.recovery.is_some() {
                    Box::pin(self.keep_snapshot()).await?;
                }
            }
            Err(fault) => Box::pin(self.bear(fault, event)).await?,
        }
        self.stirred();
        Ok(())
    }

    /// The event has killed the instance: have another one, if there may be.
    async fn bear(&mut self, fault: Fault, event: Event<'_>) -> Result<(), Ending> {
        let Some(probation) = self.probation.take() else {
            return self.survive(fault).await;
        };
        self.return_to_predecessor(*probation, &fault, event)
            .await?;
        match self.give(event).await {
            Err(fault) => self.survive(fault).await,
            Ok(effects) => {
                self.apply(effects)?;
                self.keep_snapshot().await
            }
        }
    }

    async fn give(&mut self, event: Event<'_>) -> Result<Effects, Fault> {
        let window = self.window();
        // What may have to be taken back is not sent before it is certain.
        let is_certain = self.probation.is_none() && self.recovery.is_none();
        let Some(instance) = &mut self.instance else {
            // Every way to here has made one, or ended the connection.
            return Ok(Effects::default());
        };
        instance.set_window(window);
        if is_certain && window.queued == 0 && window.writable {
            instance.lend(self.socket.lend());
        }
        let given = match event {
            Event::Data(bytes) => instance.data(bytes).await,
            Event::Drained => instance.drained().await,
            Event::End => instance.end().await,
            Event::Timer(id) => instance.timer(id).await,
            // Given by `ending`, which knows the reason.
            Event::Close => Ok(()),
        };
        if let Some(loan) = instance.take_back() {
            self.socket.take_back(loan);
        }
        given.map(|()| instance.take_effects())
    }

    /// Who is connected to what.
    pub(super) fn ends(&self) -> Ends {
        self.entry.handle().ends
    }

    pub(super) fn window(&self) -> Window {
        let held = self
            .probation
            .as_ref()
            .map_or(0, |probation| probation.held.written.len());
        Window {
            queued: self.outbox.len() + held,
            max_queue: self.context.limits.max_queue,
            writable: !self.phase.write_ended,
        }
    }

    /// Do what an event asked for.
    pub(super) fn apply(&mut self, effects: Effects) -> Result<(), Ending> {
        let Effects {
            written,
            sent: _,
            failed,
            timers,
            waits,
            end,
            abort,
            hold_open,
        } = effects;
        if let Some(error) = failed {
            return Err(Ending::PeerGone(error));
        }
        for (id, after) in timers {
            if !self.timers.apply(id, after, self.context.limits.max_timers) {
                return Err(Ending::TooManyTimers);
            }
        }
        if abort {
            return Err(Ending::GuestAborted);
        }
        self.phase.held_open |= hold_open;
        if !written.is_empty() {
            self.send(written)?;
        }
        // Whoever was told to wait is told when it is over, even if the kernel
        // has taken everything meanwhile.
        self.phase.full |= waits;
        if end {
            self.phase.write_ended = true;
            self.phase.held_open = false;
        }
        Ok(())
    }

    /// Send at once what fits, queue the rest.
    pub(super) fn send(&mut self, bytes: Vec<u8>) -> Result<(), Ending> {
        let mut sent = 0;
        if self.outbox.is_empty() {
            let slice = bytes.get(..SLICE).unwrap_or(&bytes);
            match self.socket.write_now(slice) {
                Ok(count) => sent = count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(Ending::PeerGone(error)),
            }
            if sent == bytes.len() {
                recycle(bytes);
                return Ok(());
            }
            self.progress = Instant::now();
        }
        match bytes.get(sent..) {
            // What waits, perhaps for long, takes no more than it must.
            Some(rest) if rest.len() < bytes.capacity() / 2 => {
                self.outbox.push(rest.to_vec(), 0);
                recycle(bytes);
            }
            _ => self.outbox.push(bytes, sent),
        }
        self.phase.full |= self.outbox.len() > HIGH_WATER;
        Ok(())
    }

    /// Look at the board, if it has changed since last time.
    async fn follow_orders(&mut self) -> Result<(), Ending> {
        let attention = self.context.orders.attention();
        if attention == self.attention {
            return Ok(());
        }
        if self.context.orders.stopping() {
            return Err(Ending::Host(CloseReason::Shutdown));
        }
        if Box::pin(self.carry_out_order()).await? {
            self.attention = attention;
        } else {
            self.deferred = attention;
        }
        Ok(())
    }

    /// Whether the board has something to do, now. A connection that waits for
    /// its turn to migrate goes on serving meanwhile.
    pub(super) fn is_wanted(&self) -> bool {
        let orders = &self.context.orders;
        let attention = orders.attention();
        attention != self.attention && (attention != self.deferred || orders.has_turns())
    }

    async fn ring_timers(&mut self) -> Result<(), Ending> {
        if self.timers.next().is_some() {
            let now = Instant::now();
            while let Some(id) = self.timers.due(now) {
                self.deliver(Event::Timer(id)).await?;
            }
        }
        Ok(())
    }

    /// Send FIN when this side is done, and see whether both are.
    async fn end_if_done(&mut self) -> Result<(), Ending> {
        if self.phase.peer_ended && !self.phase.held_open {
            self.phase.write_ended = true;
        }
        if self.phase.write_ended && self.outbox.is_empty() && !self.phase.fin_sent {
            shut_down(&mut self.socket)
                .await
                .map_err(Ending::PeerGone)?;
            self.phase.fin_sent = true;
            self.progress = Instant::now();
        }
        if self.phase.peer_ended && self.phase.fin_sent {
            return Err(Ending::Ended);
        }
        self.check_deadlines()
    }
}

/// Let the neighbours on this thread go first: whoever moves much at once has
/// no end of ready work.
async fn give_way() {
    tokio::task::yield_now().await;
}

/// Send FIN.
pub(super) async fn shut_down(socket: &mut Socket) -> io::Result<()> {
    poll_fn(|cx| Pin::new(&mut *socket).poll_shutdown(cx)).await
}
