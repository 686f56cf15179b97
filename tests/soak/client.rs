//! The clients: connections of several manners, all of which check every byte.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until};

use super::random::Random;
use super::shared::{Phase, Shared};
use super::wire::{Finding, Talk, Wrong};

/// How a connection behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Small messages now and then, some of them in two pieces. Their answers
    /// are timed.
    Steady,
    /// Large messages as fast as they go, during the storm.
    Bulk,
    /// Asks for much and takes it slowly.
    Slow,
    /// A few messages and the FIN at once; then another connection.
    Short,
    /// As the steady ones, until it may end, with a FIN or a RST; then another
    /// connection.
    Visit,
}

/// Keep up the connection of this number until the soak ends.
pub async fn run(shared: Arc<Shared>, number: u32, manner: Manner) {
    let mut random = Random::new(u64::from(number));
    // Not all at the same moment.
    sleep(Duration::from_millis(u64::from(random.below(500)))).await;
    while !shared.stop.load(Relaxed) {
        shared.stats.connections.fetch_add(1, Relaxed);
        let closed_times = shared.closed_times.load(Relaxed);
        let mut has_heard = false;
        let done = match TcpStream::connect(shared.address).await {
            Ok(socket) => {
                // As the server's log names the connection.
                let port = socket.local_addr().map_or(0, |address| address.port());
                let mut client = Client::new(&shared, socket, manner, &mut random);
                let conversed = client.converse().await;
                has_heard = client.has_heard;
                conversed.map_err(|finding| Finding {
                    words: format!("{manner:?} connection, port {port}: {}", finding.words),
                    ..finding
                })
            }
            Err(error) => Err(Finding {
                wrong: Wrong::Dropped,
                words: error.to_string(),
            }),
        };
        match done {
            Err(finding)
                if finding.wrong == Wrong::Dropped
                    && !has_heard
                    && shared.was_closed_since(closed_times) =>
            {
                shared.stats.turned_away.fetch_add(1, Relaxed);
            }
            Err(finding) => {
                shared.stats.find(&finding);
                return;
            }
            Ok(()) => {}
        }
        sleep(Duration::from_millis(u64::from(50 + random.below(100)))).await;
    }
}

const BUFFER: usize = 64 * 1024;

struct Client<'a> {
    shared: &'a Shared,
    socket: TcpStream,
    manner: Manner,
    random: &'a mut Random,
    talk: Talk,
    out: Vec<u8>,
    /// The second half of a message, sent later.
    held_back: Vec<u8>,
    /// Messages until this connection ends.
    left: u32,
    fin_sent: bool,
    /// It ends with a RST, whatever is outstanding.
    resets: bool,
    next_ask: Instant,
    next_read: Instant,
    moved: Instant,
    stalled: bool,
    /// Something has come.
    has_heard: bool,
}

impl<'a> Client<'a> {
    fn new(shared: &'a Shared, socket: TcpStream, manner: Manner, random: &'a mut Random) -> Self {
        let _ = socket.set_nodelay(true);
        let now = Instant::now();
        let left = if manner == Manner::Short {
            1 + random.below(5)
        } else {
            u32::MAX
        };
        Client {
            shared,
            socket,
            manner,
            random,
            talk: Talk::default(),
            out: Vec::new(),
            held_back: Vec::new(),
            left,
            fin_sent: false,
            resets: false,
            next_ask: now,
            next_read: now,
            moved: now,
            stalled: false,
            has_heard: false,
        }
    }

    async fn converse(&mut self) -> Result<(), Finding> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let now = Instant::now();
            self.ask(now);
            if self.resets {
                return self.reset();
            }
            self.end_if_done().await?;
            self.check_stall(now).await?;
            let reads = self.next_read <= now;
            let wake = self
                .next_ask
                .max(now + Duration::from_millis(1))
                .min(now + Duration::from_millis(100));
            let wake = if reads {
                wake
            } else {
                wake.min(self.next_read)
            };
            tokio::select! {
                ready = self.socket.readable(), if reads => {
                    ready.map_err(|error| self.dropped(&error))?;
                    let room = self.room();
                    match self.socket.try_read(&mut buffer[..room]) {
                        Ok(0) => return self.over(),
                        Ok(count) => self.take(&buffer[..count])?,
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) => return Err(self.dropped(&error)),
                    }
                }
                ready = self.socket.writable(), if !self.out.is_empty() => {
                    ready.map_err(|error| self.dropped(&error))?;
                    match self.socket.try_write(&self.out) {
                        Ok(count) => {
                            self.shared.stats.bytes.fetch_add(count as u64, Relaxed);
                            self.out.drain(..count);
                        }
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) => return Err(self.dropped(&error)),
                    }
                }
                () = sleep_until(wake) => {}
            }
        }
    }

    /// Say something, if it is time to.
    fn ask(&mut self, now: Instant) {
        if now < self.next_ask || self.fin_sent {
            return;
        }
        if !self.held_back.is_empty() {
            self.out.append(&mut self.held_back);
            self.next_ask = now + self.pause();
            return;
        }
        if self.manner == Manner::Visit && self.may_end() {
            self.left = 0;
            self.resets = self.random.once_in(4);
        }
        let stop = self.shared.stop.load(Relaxed);
        let (window, length, want) = match self.manner {
            Manner::Bulk if self.shared.is(Phase::Storm) || self.talk.waiting() == 0 => {
                (4, 8000, self.random.below(16_000))
            }
            Manner::Bulk => (0, 0, 0),
            Manner::Slow => (2, 100, 200_000),
            _ => (4, self.random.below(200), self.random.below(200)),
        };
        while self.talk.waiting() < window && self.left > 0 && !stop {
            self.left -= 1;
            let steady = matches!(self.manner, Manner::Steady | Manner::Visit);
            let split = steady && self.random.once_in(4);
            let lingers = self.manner == Manner::Short && self.random.once_in(3);
            let frame = self
                .talk
                .ask(self.random, length, want, lingers, steady && !split);
            if split {
                let half = self.random.below(frame.len() as u32) as usize;
                self.out.extend_from_slice(&frame[..half]);
                self.held_back.extend_from_slice(&frame[half..]);
            } else {
                self.out.extend(frame);
            }
            if steady {
                break;
            }
        }
        self.next_ask = now + self.pause();
    }

    fn pause(&mut self) -> Duration {
        match self.manner {
            _ if !self.held_back.is_empty() => {
                Duration::from_millis(u64::from(1 + self.random.below(30)))
            }
            Manner::Steady | Manner::Visit => {
                let mean = 1_000_000 / self.shared.rate.max(1);
                Duration::from_micros(u64::from(mean / 2 + self.random.below(mean)))
            }
            Manner::Bulk if !self.shared.is(Phase::Storm) => Duration::from_millis(100),
            Manner::Bulk | Manner::Short => Duration::ZERO,
            Manner::Slow => Duration::from_millis(20),
        }
    }

    /// How much to read at once.
    fn room(&mut self) -> usize {
        if self.manner != Manner::Slow || self.fin_sent {
            return BUFFER;
        }
        self.next_read = Instant::now() + Duration::from_millis(10);
        BUFFER / 8
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Finding> {
        let shared = self.shared;
        shared.stats.bytes.fetch_add(bytes.len() as u64, Relaxed);
        self.moved = Instant::now();
        self.has_heard = true;
        let (before, losses) = (self.talk.waiting(), self.talk.losses);
        let phase = shared.phase.load(Relaxed);
        let reply = self
            .talk
            .take(bytes, |time| shared.times[usize::from(phase)].record(time))?;
        shared
            .stats
            .messages
            .fetch_add(before.saturating_sub(self.talk.waiting()) as u64, Relaxed);
        if self.talk.losses > losses {
            shared
                .stats
                .losses
                .fetch_add(self.talk.losses - losses, Relaxed);
            if self.talk.losses > shared.losing_swaps.load(Relaxed) {
                let words = "the guest lost its state, and no `save` had failed".to_owned();
                return Err(Finding {
                    wrong: Wrong::StateBack,
                    words,
                });
            }
        }
        if !reply.is_empty() {
            // A half of a message that is out must be followed by the other.
            self.out.append(&mut self.held_back);
            self.out.extend(reply);
        }
        Ok(())
    }

    async fn end_if_done(&mut self) -> Result<(), Finding> {
        let said = self.out.is_empty() && self.held_back.is_empty();
        let stop = self.shared.stop.load(Relaxed) && self.talk.waiting() == 0;
        if said && !self.fin_sent && (stop || self.left == 0) {
            self.end().await?;
        }
        Ok(())
    }

    fn may_end(&self) -> bool {
        let endings = &self.shared.endings;
        let taken = endings.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
        taken.is_ok()
    }

    fn reset(&self) -> Result<(), Finding> {
        socket2::SockRef::from(&self.socket)
            .set_linger(Some(Duration::ZERO))
            .map_err(|error| self.dropped(&error))
    }

    async fn end(&mut self) -> Result<(), Finding> {
        self.talk.end();
        self.fin_sent = true;
        self.socket
            .shutdown()
            .await
            .map_err(|error| self.dropped(&error))
    }

    /// When nothing comes, the FIN brings out what the guest has.
    async fn check_stall(&mut self, now: Instant) -> Result<(), Finding> {
        if self.talk.waiting() == 0 && !self.fin_sent {
            self.moved = now;
        }
        if now - self.moved < self.shared.stall {
            return Ok(());
        }
        if self.fin_sent || !self.out.is_empty() {
            return Err(self.talk.verdict());
        }
        self.stalled = true;
        self.moved = now;
        self.end().await
    }

    /// The server's FIN has come.
    fn over(&mut self) -> Result<(), Finding> {
        match self.talk.is_over() {
            true if self.stalled => Err(Finding {
                wrong: Wrong::Lost,
                words: "an answer came only after the FIN".to_owned(),
            }),
            true => Ok(()),
            false => Err(self.talk.verdict()),
        }
    }

    fn dropped(&self, error: &io::Error) -> Finding {
        Finding {
            wrong: Wrong::Dropped,
            words: format!(
                "{:?} connection, {} answers outstanding: {error}",
                self.manner,
                self.talk.waiting()
            ),
        }
    }
}
