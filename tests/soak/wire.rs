//! What the soak's client and its guest say to each other, and how the client
//! tells what is amiss from the bytes it gets.
//!
//! Integers are little endian, `state` is messages, bytes and hash so far (24
//! bytes), `sum` is FNV-1a of all before it.
//!
//! | frame | bytes |
//! | --- | --- |
//! | message, client to guest | `Q` flags(1) length(2) number(4) want(4) payload sum(4) |
//! | answer | `A` 0(3) number(4) state want(4) filler sum(4) |
//! | the state was lost | `R` 0(3) |
//! | the client says where it was | magic(16) serial(4) state |
//! | the guest goes on from there | `Y` 0(3) serial(4) |
//! | goodbye, after the client's FIN | `F` 0(3) state |
//! | what came makes no sense to the guest | `E` 0 length(2) messages(8) what came |
//!
//! A connection that begins with `T` is a speaker's ([`super::speaker`]).
//!
//! An answer follows from the messages before it, so the client knows every
//! byte that must come.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::random::Random;

pub const MAGIC: &[u8; 16] = b"SYNC the soak 7f";
/// Bytes from the first wrong one on that tell what went wrong.
const CONTEXT: usize = 6;

/// What is amiss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    Lost,
    Doubled,
    Reordered,
    StateBack,
    /// None of these: other bytes than there should be.
    Garbled,
    Dropped,
}

/// A finding, in words.
#[derive(Clone, Debug)]
pub struct Finding {
    pub wrong: Wrong,
    pub words: String,
}

fn finding(wrong: Wrong, words: impl Into<String>) -> Finding {
    Finding {
        wrong,
        words: words.into(),
    }
}

/// The guest's state, as both sides count it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    messages: u64,
    bytes: u64,
    hash: u64,
}

impl State {
    fn after(self, frame: &[u8]) -> Self {
        State {
            messages: self.messages + 1,
            bytes: self.bytes + frame.len() as u64,
            hash: frame.iter().fold(self.hash, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
            }),
        }
    }

    fn encode(self) -> Vec<u8> {
        [self.messages, self.bytes, self.hash]
            .iter()
            .flat_map(|n| n.to_le_bytes())
            .collect()
    }
}

/// A message that is on its way.
struct Sent {
    frame: Vec<u8>,
    want: u32,
    after: State,
    at: Option<Instant>,
}

impl Sent {
    fn answer(&self) -> Vec<u8> {
        let number = (self.after.messages - 1) as u32;
        let mut answer = b"A\0\0\0".to_vec();
        answer.extend(number.to_le_bytes());
        answer.extend(self.after.encode());
        answer.extend(self.want.to_le_bytes());
        answer.extend((0..self.want).map(|at| filler(number, at)));
        answer.extend(checksum(&answer).to_le_bytes());
        answer
    }
}

/// One connection as the client knows it; owns no socket.
#[derive(Default)]
pub struct Talk {
    /// After the last message that was answered.
    acked: State,
    sent: VecDeque<Sent>,
    /// The answer that must come next, and how much of it has come.
    expected: Vec<u8>,
    checked: usize,
    got: Vec<u8>,
    /// The byte before the next one.
    last: Option<u8>,
    /// The FIN is out.
    ended: bool,
    goodbye: bool,
    /// Marks sent; the guest must still answer the last.
    marks: u32,
    awaits_mark: bool,
    /// How often the guest said that it had lost its state.
    pub losses: u64,
}

impl Talk {
    /// Another message. `timed` if its answer shall be timed.
    pub fn ask(
        &mut self,
        random: &mut Random,
        length: u32,
        want: u32,
        lingers: bool,
        timed: bool,
    ) -> Vec<u8> {
        let state = self.sent.back().map_or(self.acked, |sent| sent.after);
        let mut frame = vec![b'Q', u8::from(lingers)];
        frame.extend((length as u16).to_le_bytes());
        frame.extend((state.messages as u32).to_le_bytes());
        frame.extend(want.to_le_bytes());
        frame.extend((0..length).map(|_| random.next() as u8));
        frame.extend(checksum(&frame).to_le_bytes());
        let after = state.after(&frame);
        let at = timed.then(Instant::now);
        self.sent.push_back(Sent {
            frame: frame.clone(),
            want,
            after,
            at,
        });
        frame
    }

    pub fn waiting(&self) -> usize {
        self.sent.len()
    }

    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Everything that must come has come, but for the guest's FIN.
    pub fn is_over(&self) -> bool {
        self.ended && (self.goodbye || self.awaits_mark)
    }

    /// These bytes came. What to send in return.
    pub fn take(
        &mut self,
        bytes: &[u8],
        mut timed: impl FnMut(Duration),
    ) -> Result<Vec<u8>, Finding> {
        self.got.extend_from_slice(bytes);
        let mut reply = Vec::new();
        while let Some(&kind) = self.got.first() {
            if self.awaits_mark {
                let Some(length) = frame_length(&self.got) else {
                    break;
                };
                let frame = self.consume(length);
                match kind {
                    b'Y' if frame.get(4..8) == Some(&self.marks.to_le_bytes()[..]) => {
                        self.awaits_mark = false
                    }
                    b'R' => self.lose(&mut reply),
                    b'E' => return Err(self.complaint(&frame)),
                    _ => {}
                }
            } else if let (b'R' | b'E', Some(length)) = (kind, frame_length(&self.got)) {
                let frame = self.consume(length);
                if kind == b'E' {
                    return Err(self.complaint(&frame));
                }
                self.lose(&mut reply);
            } else if matches!(kind, b'R' | b'E') || !self.compare(false, &mut timed)? {
                break;
            }
        }
        Ok(reply)
    }

    /// Nothing more will come: what is wrong with what has come?
    pub fn verdict(&mut self) -> Finding {
        match self.compare(true, &mut |_| {}) {
            Err(finding) => finding,
            Ok(_) if self.ended && self.sent.is_empty() => {
                finding(Wrong::Dropped, "no goodbye came")
            }
            Ok(_) => finding(
                Wrong::Dropped,
                format!("{} answers did not come", self.sent.len()),
            ),
        }
    }

    fn consume(&mut self, length: usize) -> Vec<u8> {
        self.checked = 0;
        self.expected.clear();
        let frame: Vec<u8> = self.got.drain(..length).collect();
        self.last = frame.last().copied();
        frame
    }

    /// The guest has lost its state: tell it where it was, and all that it has
    /// not answered.
    fn lose(&mut self, reply: &mut Vec<u8>) {
        self.losses += 1;
        self.awaits_mark = true;
        self.marks += 1;
        if !self.ended {
            reply.extend_from_slice(MAGIC);
            reply.extend(self.marks.to_le_bytes());
            reply.extend(self.acked.encode());
            reply.extend(self.sent.iter().flat_map(|sent| &sent.frame));
        }
    }

    /// Compare what has come with what must come. True if a whole answer came.
    fn compare(&mut self, last: bool, timed: &mut impl FnMut(Duration)) -> Result<bool, Finding> {
        if self.expected.is_empty() {
            self.expected = match self.sent.front() {
                Some(sent) => sent.answer(),
                None if self.ended && !self.goodbye => {
                    [&b"F\0\0\0"[..], &self.acked.encode()].concat()
                }
                None => Vec::new(),
            };
        }
        let whole = self.expected.len();
        let common = self.got.len().min(whole);
        let same = self.got[self.checked..common]
            .iter()
            .zip(&self.expected[self.checked..common])
            .take_while(|(got, expected)| got == expected)
            .count();
        self.checked += same;
        if self.checked == whole && whole > 0 {
            self.consume(whole);
            match self.sent.pop_front() {
                Some(sent) => {
                    self.acked = sent.after;
                    if let Some(at) = sent.at {
                        timed(at.elapsed());
                    }
                }
                None => self.goodbye = true,
            }
            return Ok(true);
        }
        if self.checked == self.got.len() {
            return Ok(false);
        }
        let at = self.checked;
        let wrong = &self.got[at..];
        if wrong.len() < CONTEXT && !last {
            return Ok(false);
        }
        let mut right = self.expected[at..].to_vec();
        right.extend(self.sent.iter().skip(1).take(3).flat_map(Sent::answer));
        let before = at
            .checked_sub(1)
            .map_or(self.last, |before| self.got.get(before).copied());
        Err(finding(
            self.whole_answer()
                .unwrap_or_else(|| classify(before, &right, wrong)),
            format!(
                "answer {}, byte {at} of {whole}: {} came instead of {}",
                self.acked.messages,
                hex(wrong),
                hex(&right)
            ),
        ))
    }

    /// A whole and sound answer, but another one.
    fn whole_answer(&self) -> Option<Wrong> {
        let length = frame_length(&self.got).filter(|_| self.got.first() == Some(&b'A'))?;
        let (head, sum) = self.got.get(..length)?.split_at(length - 4);
        let number = u32::from_le_bytes(head.get(4..8)?.try_into().ok()?);
        (checksum(head).to_le_bytes() == sum).then(|| {
            match u64::from(number).cmp(&self.acked.messages) {
                std::cmp::Ordering::Less => Wrong::Doubled,
                std::cmp::Ordering::Equal => Wrong::StateBack,
                std::cmp::Ordering::Greater => Wrong::Lost,
            }
        })
    }

    /// What the guest complains of.
    fn complaint(&self, frame: &[u8]) -> Finding {
        let messages = frame
            .get(4..12)
            .and_then(|n| n.try_into().ok())
            .map_or(0, u64::from_le_bytes);
        let seen = frame.get(12..).unwrap_or_default();
        let words = |right: &[u8]| {
            format!(
                "the guest, after {messages} messages, saw {} instead of {}",
                hex(seen),
                hex(right)
            )
        };
        let Some(behind) = messages.checked_sub(self.acked.messages) else {
            return finding(Wrong::StateBack, words(b""));
        };
        let sent = self.sent.iter().skip(behind as usize);
        let right: Vec<u8> = sent.flat_map(|sent| sent.frame.clone()).collect();
        let same = seen
            .iter()
            .zip(&right)
            .take_while(|(seen, right)| seen == right)
            .count();
        let before = same
            .checked_sub(1)
            .and_then(|before| seen.get(before).copied());
        let number = seen
            .get(4..8)
            .and_then(|n| n.try_into().ok())
            .map_or(0, u32::from_le_bytes);
        let wrong = match classify(before, &right[same..], &seen[same..]) {
            Wrong::Garbled if u64::from(number) < messages => Wrong::Doubled,
            Wrong::Garbled if u64::from(number) > messages => Wrong::Lost,
            wrong => wrong,
        };
        finding(wrong, words(&right))
    }
}

/// Why these bytes came instead of those.
fn classify(before: Option<u8>, right: &[u8], wrong: &[u8]) -> Wrong {
    let begins = |these: &[u8], those: &[u8]| {
        let common = these.len().min(those.len());
        these.get(..common) == those.get(..common)
    };
    match (right, wrong) {
        (_, []) => Wrong::Lost,
        (_, [first, rest @ ..]) if Some(*first) == before && begins(rest, right) => Wrong::Doubled,
        ([a, b, ..], [c, d, ..]) if a == d && b == c => Wrong::Reordered,
        ([_, rest @ ..], wrong) if begins(rest, wrong) => Wrong::Lost,
        _ => Wrong::Garbled,
    }
}

/// The length of the frame at the beginning of these bytes, once it is whole.
fn frame_length(bytes: &[u8]) -> Option<usize> {
    let length = match bytes.first()? {
        b'R' => 4,
        b'Y' => 8,
        b'F' => 28,
        b'E' => 12 + usize::from(u16::from_le_bytes(bytes.get(2..4)?.try_into().ok()?)),
        _ => 40 + u32::from_le_bytes(bytes.get(32..36)?.try_into().ok()?) as usize,
    };
    (bytes.len() >= length).then_some(length)
}

pub fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

fn filler(number: u32, at: u32) -> u8 {
    let mixed = number
        .wrapping_mul(0x9e37_79b1)
        .wrapping_add(at.wrapping_mul(0x85eb_ca6b));
    (mixed ^ (mixed >> 15)).to_le_bytes()[2]
}

fn hex(bytes: &[u8]) -> String {
    let shown = bytes.iter().take(16).map(|byte| format!("{byte:02x}"));
    shown.collect::<Vec<_>>().join(" ")
}
