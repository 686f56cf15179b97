//! The state of a connection as bytes: numbers of eight bytes, little endian, then the
//! input.

use hotsocket_guest::Snapshot;

use crate::body::{Chunks, Sizes};
use crate::{Http, Phase, Reply};

const VERSION: u32 = 1;
/// From here on it is [`Reply::NothingShown`], which came after the others.
const NOT_SHOWN: u64 = 20;
/// What becomes of the connection after the response, if it is said.
const IS_LAST: u64 = 1;
const KEEPS_ALIVE: u64 = 2;
/// Numbers before the input.
const NUMBERS: usize = 6;

impl Http {
    pub(crate) fn snapshot(&self) -> Snapshot {
        let (phase, one, two, three) = match &self.phase {
            Phase::Head => (0, 0, 0, 0),
            Phase::Body {
                sizes,
                reply,
                count,
            } => {
                let (kind, left) = match sizes {
                    Sizes::Left(left) => (0, *left),
                    Sizes::Chunked(Chunks::Size) => (1, 0),
                    Sizes::Chunked(Chunks::Data(left)) => (2, *left),
                    Sizes::Chunked(Chunks::DataEnd) => (3, 0),
                    Sizes::Chunked(Chunks::Trailer) => (4, 0),
                };
                let one = match reply {
                    Reply::Echo => kind * 4,
                    Reply::EchoChunked => kind * 4 + 1,
                    Reply::Count => kind * 4 + 2,
                    Reply::Nothing => kind * 4 + 3,
                    Reply::NothingShown => NOT_SHOWN + kind,
                };
                (1, one, left, *count)
            }
            Phase::Sending { size, left } => (2, *size, *left, 0),
            Phase::Over => (3, 0, 0, 0),
        };
        let after = match (self.is_last, self.keeps_alive) {
            (true, _) => IS_LAST,
            (false, true) => KEEPS_ALIVE,
            (false, false) => 0,
        };
        let numbers = [phase, one, two, three, self.requests, after];
        let mut state: Vec<u8> = numbers.iter().flat_map(|n: &u64| n.to_le_bytes()).collect();
        state.extend_from_slice(&self.input);
        Snapshot::new(VERSION, state)
    }

    pub(crate) fn from_snapshot(snapshot: Snapshot) -> Result<Self, String> {
        let state = snapshot.upgrade(VERSION, &[])?;
        let (numbers, input) = state
            .split_at_checked(NUMBERS * 8)
            .ok_or("the state is too short")?;
        let number = |at: usize| {
            let bytes = numbers[at * 8..].first_chunk().copied();
            u64::from_le_bytes(bytes.unwrap_or_default())
        };
        let (one, two, three) = (number(1), number(2), number(3));
        let phase = match number(0) {
            0 => Phase::Head,
            1 => Phase::Body {
                sizes: match one.checked_sub(NOT_SHOWN).unwrap_or(one / 4) {
                    0 => Sizes::Left(two),
                    1 => Sizes::Chunked(Chunks::Size),
                    2 => Sizes::Chunked(Chunks::Data(two)),
                    3 => Sizes::Chunked(Chunks::DataEnd),
                    _ => Sizes::Chunked(Chunks::Trailer),
                },
                reply: match one % 4 {
                    _ if one >= NOT_SHOWN => Reply::NothingShown,
                    0 => Reply::Echo,
                    1 => Reply::EchoChunked,
                    2 => Reply::Count,
                    _ => Reply::Nothing,
                },
                count: three,
            },
            2 if two <= one => Phase::Sending {
                size: one,
                left: two,
            },
            3 => Phase::Over,
            _ => return Err("the state has no such phase".to_owned()),
        };
        Ok(Http {
            input: input.to_vec(),
            taken: 0,
            phase,
            requests: number(4),
            is_last: number(5) == IS_LAST,
            keeps_alive: number(5) == KEEPS_ALIVE,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_is_what_it_was() {
        let body = |sizes, reply| Phase::Body {
            sizes,
            reply,
            count: 9,
        };
        for phase in [
            Phase::Head,
            body(Sizes::Left(7), Reply::Echo),
            body(Sizes::Chunked(Chunks::Size), Reply::EchoChunked),
            body(Sizes::Chunked(Chunks::Data(5)), Reply::Count),
            body(Sizes::Chunked(Chunks::DataEnd), Reply::Nothing),
            body(Sizes::Chunked(Chunks::Trailer), Reply::Count),
            Phase::Sending { size: 9, left: 3 },
            Phase::Over,
        ] {
            let is_last = phase == Phase::Over;
            let http = Http {
                input: b"GET / HT".to_vec(),
                taken: 0,
                phase,
                requests: 12,
                is_last,
                keeps_alive: !is_last,
            };
            assert_eq!(Http::from_snapshot(http.snapshot()), Ok(http));
        }
    }
}
