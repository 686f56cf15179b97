//! Speakers: connections that publish numbered messages and hear those of all others,
//! each of which must come once and in order, whatever is swapped meanwhile.
//!
//! Steady speakers stay until the soak ends and check everything. Those that leave come
//! again with another id; their will must be heard after all that is known to be
//! published. What one says and its guest answers (integers as in [`super::wire`]; `R`,
//! `Y`, `E` and the mark as well):
//!
//! | frame | bytes |
//! | --- | --- |
//! | the beginning, client to guest | `T` how(1) id(4) |
//! | publish this | `P` id(4) number(4) sum(4) |
//! | it is published, or the beginning is done | `A` number(4) |
//! | a message | `M` id(4) number(4) sum(4) |
//! | a will | `W` id(4) 0(4) sum(4) |

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::faulty_socket::Kind;
use super::heard::Heard;
use super::random::Random;
use super::shared::Shared;
use super::wire::{Finding, MAGIC, Wrong, checksum};

/// Between two records of a speaker, on average.
const PAUSE: Duration = Duration::from_millis(60);
/// A look at the socket and at what the others have done.
const LOOK: Duration = Duration::from_millis(5);
/// Number of the record that a planted fault is done to.
const FAULTY_RECORD: u32 = 20;

/// How a speaker has subscribed: in its guest, `subscribe` tells what they mean.
const HEARS: [u8; 4] = *b"edED";

/// Speak until the soak ends.
pub async fn run(shared: Arc<Shared>, number: u32, is_steady: bool) {
    let mut random = Random::new(u64::from(number) + 1_000_000);
    while !shared.stop.load(Relaxed) {
        if !is_steady && !shared.speakers.all_have_subscribed() {
            sleep(LOOK).await;
            continue;
        }
        shared.stats.connections.fetch_add(1, Relaxed);
        let closed_times = shared.closed_times.load(Relaxed);
        let mut speaker = Speaker::new(&shared, number, is_steady, &mut random);
        let id = speaker.id;
        match speaker.run().await {
            Ok(()) => {}
            Err(finding)
                if finding.wrong == Wrong::Dropped
                    && !speaker.has_begun
                    && shared.was_closed_since(closed_times) =>
            {
                shared.stats.turned_away.fetch_add(1, Relaxed);
            }
            Err(finding) => {
                let port = speaker.port;
                let words = format!("speaker {id}, port {port}: {}", finding.words);
                return shared.stats.find(&Finding { words, ..finding });
            }
        }
        sleep(Duration::from_millis(u64::from(20 + random.below(60)))).await;
    }
}

struct Speaker<'a> {
    shared: &'a Shared,
    random: &'a mut Random,
    id: u32,
    how: u8,
    is_steady: bool,
    /// Records until it leaves.
    left: u32,
    /// The guest has answered the beginning.
    has_begun: bool,
    number: u32,
    /// Records that are not known to be published.
    unanswered: VecDeque<u32>,
    /// Marks sent; nothing is said until the last is answered.
    marks: u32,
    awaits_mark: bool,
    losses: u64,
    got: Vec<u8>,
    heard: Heard,
    moved: Instant,
    /// It has sent its FIN. A guest that loses its state then gets no mark, and needs none.
    has_ended: bool,
    /// As the server's log names the connection.
    port: u16,
}

impl<'a> Speaker<'a> {
    fn new(shared: &'a Shared, number: u32, is_steady: bool, random: &'a mut Random) -> Self {
        Speaker {
            id: shared.speakers.next_id.fetch_add(1, Relaxed),
            how: HEARS[number as usize % HEARS.len()],
            is_steady,
            left: match is_steady {
                true => u32::MAX,
                false => 3 + random.below(20),
            },
            shared,
            random,
            has_begun: false,
            number: 0,
            unanswered: VecDeque::new(),
            marks: 0,
            awaits_mark: false,
            losses: 0,
            got: Vec::new(),
            heard: Heard::default(),
            moved: Instant::now(),
            has_ended: false,
            port: 0,
        }
    }

    async fn run(&mut self) -> Result<(), Finding> {
        let mut socket = TcpStream::connect(self.shared.address)
            .await
            .map_err(|error| dropped(&error))?;
        let _ = socket.set_nodelay(true);
        self.port = socket.local_addr().map_or(0, |address| address.port());
        send(&mut socket, &self.beginning()).await?;
        while !self.has_begun {
            self.listen(&mut socket).await?;
        }
        let speakers = &self.shared.speakers;
        if self.is_steady {
            speakers.subscribed.fetch_add(1, Relaxed);
        }
        while self.left > 0 && !self.shared.stop.load(Relaxed) {
            self.speak(&mut socket).await?;
            let mean = PAUSE.as_micros() as u32;
            let pause = mean / 2 + self.random.below(mean);
            let until = Instant::now() + Duration::from_micros(u64::from(pause));
            while Instant::now() < until {
                self.listen(&mut socket).await?;
            }
        }
        if !self.is_steady && self.random.once_in(2) {
            // What it has not been answered may be published, or not.
            let linger = socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO));
            linger.map_err(|error| dropped(&error))?;
            self.leave();
            return Ok(());
        }
        self.moved = Instant::now();
        while !self.unanswered.is_empty() || self.awaits_mark {
            self.listen(&mut socket).await?;
        }
        if self.is_steady {
            self.hear_all(&mut socket).await?;
        } else {
            self.leave();
        }
        self.has_ended = true;
        socket.shutdown().await.map_err(|error| dropped(&error))?;
        // The FIN, after what was on its way.
        loop {
            if !self.receive(&mut socket).await? {
                return Ok(());
            }
        }
    }

    fn leave(&self) {
        let left = &self.shared.speakers.left;
        left.lock().expect("no panic under the lock").push(self.id);
    }

    /// One record, or three at once.
    async fn speak(&mut self, socket: &mut TcpStream) -> Result<(), Finding> {
        if self.awaits_mark {
            return Ok(());
        }
        let count = if self.random.once_in(4) { 3 } else { 1 };
        let mut numbers = Vec::new();
        for _ in 0..count {
            self.left = self.left.saturating_sub(1);
            self.number += 1;
            numbers.push(self.number);
            if self.number == FAULTY_RECORD && self.id == 0 {
                self.tamper(&mut numbers);
            }
        }
        let records: Vec<u8> = numbers.iter().flat_map(|it| self.record(*it)).collect();
        self.unanswered.extend(numbers);
        send(socket, &records).await
    }

    fn tamper(&mut self, numbers: &mut Vec<u32>) {
        match self.shared.speakers.fault {
            None => {}
            Some(Kind::Drop) => {
                numbers.pop();
            }
            Some(Kind::Repeat) => numbers.push(self.number),
            Some(Kind::Swap) => {
                numbers.insert(numbers.len() - 1, self.number + 1);
                self.number += 1;
            }
        }
    }

    fn beginning(&self) -> Vec<u8> {
        let mut begin = vec![b'T', self.how];
        begin.extend(self.id.to_le_bytes());
        begin
    }

    fn record(&self, number: u32) -> Vec<u8> {
        let mut record = b"P".to_vec();
        record.extend(self.id.to_le_bytes());
        record.extend(number.to_le_bytes());
        record.extend(checksum(&record).to_le_bytes());
        record
    }

    /// Hear what comes in a short time.
    async fn listen(&mut self, socket: &mut TcpStream) -> Result<(), Finding> {
        if !self.unanswered.is_empty() || !self.has_begun || self.awaits_mark {
            if self.moved.elapsed() > self.shared.stall {
                let words = format!("{} records were not answered", self.unanswered.len());
                return Err(finding(Wrong::Lost, words));
            }
        } else {
            self.moved = Instant::now();
        }
        tokio::select! {
            more = self.receive(socket) => match more? {
                true => Ok(()),
                false => Err(finding(Wrong::Dropped, "the server has closed it".to_owned())),
            },
            () = sleep(LOOK) => Ok(()),
        }
    }

    /// Take what comes next; false at its end.
    async fn receive(&mut self, socket: &mut TcpStream) -> Result<bool, Finding> {
        let mut buffer = [0; 16 * 1024];
        socket.readable().await.map_err(|error| dropped(&error))?;
        match socket.try_read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(count) => {
                self.shared.stats.bytes.fetch_add(count as u64, Relaxed);
                self.got.extend_from_slice(&buffer[..count]);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(dropped(&error)),
        }
        let mut reply = Vec::new();
        while let Some(frame) = self.next_frame() {
            self.moved = Instant::now();
            self.take(&frame, &mut reply)?;
        }
        if !reply.is_empty() && !self.has_ended {
            send(socket, &reply).await?;
        }
        Ok(true)
    }

    fn next_frame(&mut self) -> Option<Vec<u8>> {
        let length = match self.got.first()? {
            b'A' => 5,
            b'R' => 4,
            b'Y' => 8,
            b'M' | b'W' => 13,
            // Whatever it is, it is wrong.
            _ => self.got.len(),
        };
        (self.got.len() >= length).then(|| self.got.drain(..length).collect())
    }

    fn take(&mut self, frame: &[u8], reply: &mut Vec<u8>) -> Result<(), Finding> {
        let number = |at: usize| {
            let bytes = frame.get(at..at + 4).and_then(|it| it.try_into().ok());
            bytes.map_or(0, u32::from_le_bytes)
        };
        match frame.first() {
            Some(b'A') if !self.has_begun && number(1) == 0 => self.has_begun = true,
            Some(b'A') => self.answered(number(1))?,
            Some(b'R') => {
                self.losses += 1;
                self.shared.stats.losses.fetch_add(1, Relaxed);
                if self.losses > self.shared.losing_swaps.load(Relaxed) {
                    let words = "the guest lost its state, and no `save` had failed";
                    return Err(finding(Wrong::StateBack, words.to_owned()));
                }
                self.marks += 1;
                self.awaits_mark = true;
                reply.extend_from_slice(MAGIC);
                reply.extend(self.marks.to_le_bytes());
                // Before the answer to its beginning it is like any other, at its first message.
                let state = if self.has_begun { u64::MAX } else { 0 };
                reply.extend([state; 3].iter().flat_map(|it| it.to_le_bytes()));
            }
            Some(b'Y') if number(4) == self.marks => {
                self.awaits_mark = false;
                if !self.has_begun {
                    // The state was lost, and this with it.
                    reply.extend(self.beginning());
                }
                let again = self.unanswered.iter().flat_map(|it| self.record(*it));
                reply.extend(again);
            }
            Some(b'Y') => {}
            Some(b'M' | b'W') if checksum(&frame[..9]) == number(9) => {
                let (id, number) = (number(1), number(5));
                if id == self.id {
                    let words = format!("its own message {number} came back");
                    return Err(finding(Wrong::Doubled, words));
                }
                if self.is_steady {
                    self.heard.message(id, number, frame[0] == b'W')?;
                }
            }
            _ => {
                let words = format!("these bytes make no sense: {frame:02x?}");
                return Err(finding(Wrong::Garbled, words));
            }
        }
        Ok(())
    }

    fn answered(&mut self, number: u32) -> Result<(), Finding> {
        match self.unanswered.pop_front() {
            Some(first) if first == number => {
                let published = &self.shared.speakers.published;
                let mut published = published.lock().expect("no panic under the lock");
                let last = published.entry(self.id).or_default();
                *last = number.max(*last);
                Ok(())
            }
            first => {
                let words = format!("record {number} was answered instead of {first:?}");
                Err(finding(Wrong::StateBack, words))
            }
        }
    }

    /// Everything that was published has come, and the wills of those that have left.
    async fn hear_all(&mut self, socket: &mut TcpStream) -> Result<(), Finding> {
        let speakers = &self.shared.speakers;
        speakers.done.fetch_add(1, Relaxed);
        let deadline = Instant::now() + self.shared.stall;
        loop {
            self.listen(socket).await?;
            let are_done = speakers.done.load(Relaxed) >= speakers.steady;
            if !are_done && self.shared.stats.wrongs() == 0 && Instant::now() < deadline {
                continue;
            }
            let missing = {
                let published = speakers.published.lock().expect("no panic under the lock");
                let left = speakers.left.lock().expect("no panic under the lock");
                self.heard.missing(self.id, &published, &left)
            };
            match missing {
                None => return Ok(()),
                Some(words) if Instant::now() >= deadline => {
                    return Err(finding(Wrong::Lost, words));
                }
                Some(_) => {}
            }
        }
    }
}

async fn send(socket: &mut TcpStream, bytes: &[u8]) -> Result<(), Finding> {
    let sent = socket.write_all(bytes).await;
    sent.map_err(|error| dropped(&error))
}

fn dropped(error: &io::Error) -> Finding {
    finding(Wrong::Dropped, error.to_string())
}

fn finding(wrong: Wrong, words: String) -> Finding {
    Finding { wrong, words }
}
