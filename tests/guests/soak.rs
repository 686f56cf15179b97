//! The soak's guest: a session of numbered, checksummed messages with a running
//! state, which tells the client what it saw as soon as something is amiss. How
//! it misbehaves when it is swapped in or out stands in [`NATURE`], which the
//! soak changes in the finished component. The format is told in
//! `tests/soak/wire.rs`. A connection that begins with a digit is an attacker's, and
//! orders the guest to do harm; one that begins with T is a speaker's.

use std::hint::black_box;
use std::time::Duration;

use hotsocket_guest::topics::{self, Delivery, Message, Subscriber, TopicError, WhenFull};
use hotsocket_guest::{CloseReason, Connection, Handler, How, Resumed, Snapshot, export};

/// A letter: how it misbehaves; on one connection out of how many; a serial
/// number that makes another component of it.
static NATURE: [u8; 24] = *b"soak-nature:g/001/000000";

/// Of a saved state, before what was received in part: the numbers, the flags and the
/// nature of the code that saved it.
const STATE: usize = 28 + NATURE.len();

const MAGIC: &[u8; 16] = b"SYNC the soak 7f";
const SYNC: usize = 44;
const GOODBYE: u32 = 1;
/// What a speaker says first, and each time.
const HEADER: usize = 6;
const RECORD: usize = 13;
/// In place of the messages so far, in the mark of a speaker.
const SPEAKER: u64 = u64::MAX;
/// Of the timers that an attacker sets.
const FIRST_ATTACK: u32 = 100;

#[derive(Default)]
pub struct Soak {
    messages: u64,
    bytes: u64,
    hash: u64,
    /// Received, and not yet a whole message.
    partial: Vec<u8>,
    /// The state was lost; the client must say where it was.
    lost: bool,
    /// The goodbye follows the peer's FIN by a timer.
    lingers: bool,
    /// Something was amiss and has been told.
    broken: bool,
    /// The client publishes and hears what others publish.
    speaks: bool,
    /// The first event after a migration has not come yet.
    fresh: bool,
}

fn misbehaves(how: u8, conn: &Connection) -> bool {
    let nature = black_box(&NATURE);
    let every = nature[14..17].iter().fold(0, |n, digit| n * 10 + u64::from(digit - b'0'));
    nature[12] == how && conn.id() % every == 0
}

fn spin() -> ! {
    loop {
        black_box(0);
    }
}

/// Do harm, in the ways of `KINDS` in `tests/neighbours/hostile.rs`, numbered in their
/// order from 1.
fn attack(conn: &Connection, order: u8) {
    match order {
        b'1' => spin(),
        b'2' => {
            let mut all: Vec<Vec<u8>> = Vec::new();
            loop {
                // Every page is touched; what can't be had any more is a trap.
                all.push(black_box(vec![1; 1 << 20]));
            }
        }
        b'3' => panic!("it is in my orders"),
        b'4' => {
            let block = vec![0; 1 << 16];
            while conn.try_write(&block).is_ok() {}
        }
        b'5' => {
            black_box(recurse(0));
        }
        b'6' => loop {
            hotsocket_guest::println!("the same line again and again and again");
        },
        b'7' => {
            for id in FIRST_ATTACK..FIRST_ATTACK + 64 {
                conn.set_timer(id, Duration::ZERO);
            }
        }
        b'8' => burn(),
        _ => {
            let text = "\u{20ac}".repeat(10_000_000);
            loop {
                hotsocket_guest::println!("{text}");
            }
        }
    }
}

fn recurse(deep: u64) -> u64 {
    if black_box(deep) == u64::MAX {
        return deep;
    }
    black_box(recurse(deep + 1)) + 1
}

/// Some 0.7 ms.
fn burn() {
    for turn in 0..700_000 {
        black_box(turn);
    }
}

impl Soak {
    /// Every event begins here.
    fn begin(&mut self, conn: &Connection) {
        if std::mem::take(&mut self.fresh) && misbehaves(b'f', conn) {
            conn.write("of the dead");
            panic!("it is in my nature");
        }
    }

    fn digest(&mut self, bytes: &[u8]) {
        self.hash = bytes.iter().fold(self.hash, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
        });
    }

    /// Take the next whole message or mark out of the bytes; how many they were.
    fn step(&mut self, conn: &Connection, bytes: &[u8]) -> Option<usize> {
        if self.lost || bytes.starts_with(MAGIC) {
            return self.sync(conn, bytes);
        }
        if self.speaks {
            return self.speak(conn, bytes);
        }
        if bytes.first() == Some(&b'T') && self.messages == 0 {
            return self.begin_to_speak(conn, bytes.first_chunk()?);
        }
        let header = bytes.first_chunk::<12>()?;
        let length = 12 + usize::from(u16::from_le_bytes([header[2], header[3]]));
        let number = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
        let want = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
        if header[0] == MAGIC[0] && bytes.len() < MAGIC.len() {
            return None;
        }
        if header[0] != b'Q' || u64::from(number) != self.messages {
            return self.amiss(conn, bytes);
        }
        let message = bytes.get(..length + 4)?;
        if checksum(&message[..length]).to_le_bytes() != message[length..] {
            return self.amiss(conn, bytes);
        }
        self.messages += 1;
        self.bytes += message.len() as u64;
        self.digest(message);
        self.lingers |= header[1] == 1;
        let mut answer = b"A\0\0\0".to_vec();
        answer.extend(number.to_le_bytes());
        answer.extend(self.state());
        answer.extend(want.to_le_bytes());
        answer.extend((0..want).map(|at| filler(number, at)));
        answer.extend(checksum(&answer).to_le_bytes());
        conn.write(answer);
        Some(message.len())
    }

    fn begin_to_speak(&mut self, conn: &Connection, header: &[u8; HEADER]) -> Option<usize> {
        let [_, how, id @ ..] = *header;
        let will = message(b'W', id, [0; 4]);
        let done = subscribe(how).and_then(|()| topics::set_will(&topic(id), will));
        if done.is_err() {
            return self.amiss(conn, header);
        }
        self.speaks = true;
        conn.write(b"A\0\0\0\0");
        Some(HEADER)
    }

    /// Publish the next record.
    fn speak(&mut self, conn: &Connection, bytes: &[u8]) -> Option<usize> {
        let record = bytes.first_chunk::<RECORD>()?;
        let ([kind, id @ ..], number) = (*record.first_chunk::<5>()?, *record[5..].first_chunk()?);
        if kind != b'P' || checksum(&record[..9]).to_le_bytes() != record[9..] {
            return self.amiss(conn, bytes);
        }
        if topics::publish(&topic(id), message(b'M', id, number)).is_err() {
            return self.amiss(conn, bytes);
        }
        conn.write([b"A", &number[..]].concat());
        Some(RECORD)
    }

    /// Look for the client's word on where it was.
    fn sync(&mut self, conn: &Connection, bytes: &[u8]) -> Option<usize> {
        let Some(at) = bytes.windows(MAGIC.len()).position(|window| window == MAGIC) else {
            return (bytes.len() >= SYNC).then(|| bytes.len() - SYNC + 1);
        };
        let mark = bytes.get(at..at + SYNC)?;
        let number = |from: usize| {
            let field = mark[from..].first_chunk().copied();
            u64::from_le_bytes(field.unwrap_or_default())
        };
        (self.messages, self.bytes, self.hash) = (number(20), number(28), number(36));
        self.speaks = self.messages == SPEAKER;
        self.lost = false;
        conn.write([b"Y\0\0\0", &mark[16..20]].concat());
        Some(at + SYNC)
    }

    fn amiss(&mut self, conn: &Connection, bytes: &[u8]) -> Option<usize> {
        let seen = &bytes[..bytes.len().min(256)];
        self.broken = true;
        conn.write([&[b'E', 0, seen.len() as u8, (seen.len() >> 8) as u8], &self.messages.to_le_bytes()[..], seen].concat());
        conn.end();
        None
    }

    fn take_over(&mut self, snapshot: Option<Snapshot>, conn: &Connection) -> Result<(), String> {
        if let Some(snapshot) = snapshot {
            return self.restore(snapshot);
        }
        self.lost = true;
        conn.write(b"R\0\0\0");
        Ok(())
    }

    fn state(&self) -> Vec<u8> {
        [self.messages, self.bytes, self.hash].iter().flat_map(|n| n.to_le_bytes()).collect()
    }

    fn goodbye(&self, conn: &Connection) {
        if !self.lost && !self.speaks {
            conn.write([b"F\0\0\0".to_vec(), self.state()].concat());
        }
        conn.end();
    }
}

impl Handler for Soak {
    fn listening(_: &[std::net::SocketAddr]) {}

    fn resume(&mut self, conn: &Connection, resumed: Resumed) -> Result<(), String> {
        let saved = resumed.snapshot.as_ref().and_then(|it| it.state.get(28..STATE));
        if saved == Some(&black_box(&NATURE)[..]) {
            // The code after this one has failed, and the connection comes back. To fail as
            // well would end it, rightly, and the soak could not tell that from a fault.
            return self.take_over(resumed.snapshot, conn);
        }
        self.fresh = resumed.how == How::Migrated;
        for how in *b"etl" {
            if misbehaves(how, conn) {
                conn.write("of the unborn");
                match how {
                    b'e' => return Err("it is in my nature".to_owned()),
                    b't' => panic!("it is in my nature"),
                    _ => spin(),
                }
            }
        }
        self.take_over(resumed.snapshot, conn)
    }

    fn data(&mut self, conn: &Connection, bytes: &[u8]) {
        self.begin(conn);
        if self.broken {
            return;
        }
        let begins = self.messages == 0 && self.partial.is_empty() && !self.lost;
        if let Some(order @ b'1'..=b'9') = bytes.first()
            && begins
        {
            return attack(conn, *order);
        }
        let mut waiting = std::mem::take(&mut self.partial);
        waiting.extend_from_slice(bytes);
        let mut taken = 0;
        while let Some(count) = self.step(conn, &waiting[taken..]) {
            taken += count;
        }
        self.partial = waiting.split_off(taken);
    }

    fn end(&mut self, conn: &Connection) {
        self.begin(conn);
        if self.broken {
            return;
        }
        if !self.partial.is_empty() && !self.lost {
            let partial = std::mem::take(&mut self.partial);
            self.amiss(conn, &partial);
        } else if self.lingers {
            conn.hold_open();
            conn.set_timer(GOODBYE, Duration::from_millis(40));
        } else {
            self.goodbye(conn);
        }
    }

    fn timer(&mut self, conn: &Connection, id: u32) {
        self.begin(conn);
        if id >= FIRST_ATTACK {
            conn.set_timer(id, Duration::ZERO);
            return burn();
        }
        self.goodbye(conn);
    }

    fn drained(&mut self, conn: &Connection) {
        self.begin(conn);
    }

    fn close(&mut self, conn: &Connection, _: CloseReason) {
        if misbehaves(b'c', conn) {
            panic!("it is in my nature");
        }
    }

    fn save(&self) -> Option<Snapshot> {
        let conn = Connection::default();
        if misbehaves(b's', &conn) {
            panic!("it is in my nature");
        }
        if misbehaves(b'v', &conn) {
            spin();
        }
        let mut state = self.state();
        state.extend([self.lost, self.lingers, self.broken, self.speaks].map(u8::from));
        state.extend_from_slice(black_box(&NATURE));
        state.extend_from_slice(&self.partial);
        if misbehaves(b'b', &conn) {
            state.resize(3 << 20, 0);
        }
        Some(Snapshot::new(1, state))
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<(), String> {
        let state = snapshot.upgrade(1, &[])?;
        let head = state.first_chunk::<STATE>().ok_or("the state is too short")?;
        let number = |from: usize| {
            let field = head[from..].first_chunk().copied();
            u64::from_le_bytes(field.unwrap_or_default())
        };
        (self.messages, self.bytes, self.hash) = (number(0), number(8), number(16));
        [self.lost, self.lingers, self.broken, self.speaks] = [24, 25, 26, 27].map(|at| head[at] == 1);
        self.partial = state[STATE..].to_vec();
        Ok(())
    }
}

impl Subscriber for Soak {
    fn message(&mut self, conn: &Connection, message: Message<'_>) {
        self.begin(conn);
        if !self.broken {
            conn.write(message.bytes);
        }
    }

    fn lagged(&mut self, conn: &Connection, _: u64) {
        self.begin(conn);
        self.amiss(conn, b"lagged");
    }
}

/// In one of the ways of `Hears` in `tests/soak/speaker.rs`.
fn subscribe(how: u8) -> Result<(), TopicError> {
    let subscribe = |pattern: &str, how| topics::subscribe_with(pattern, how, WhenFull::Close);
    match how {
        b'e' => subscribe("soak.*", Delivery::Event),
        b'd' => subscribe("soak.>", Delivery::Direct),
        // Each topic by two patterns; a message comes once nevertheless.
        b'E' => (0..4).try_for_each(|at| subscribe(&format!("soak.{at}"), Delivery::Event)).and_then(|()| subscribe("*.*", Delivery::Event)),
        _ => (0..4).try_for_each(|at| subscribe(&format!("soak.{at}"), Delivery::Direct)).and_then(|()| subscribe(">", Delivery::Direct)),
    }
}

fn topic(id: [u8; 4]) -> String {
    format!("soak.{}", u32::from_le_bytes(id) % 4)
}

fn message(kind: u8, id: [u8; 4], number: [u8; 4]) -> Vec<u8> {
    let mut message = [&[kind][..], &id, &number].concat();
    message.extend(checksum(&message).to_le_bytes());
    message
}

fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// The byte at this place of the answer to this message.
fn filler(number: u32, at: u32) -> u8 {
    let mixed = number.wrapping_mul(0x9e37_79b1).wrapping_add(at.wrapping_mul(0x85eb_ca6b));
    (mixed ^ (mixed >> 15)).to_le_bytes()[2]
}

export!(Soak, Subscriber);
