//! The state of a connection as bytes: a number for the phase, how many queries were
//! asked, how many are kept, each with its length, and what has come.

use hotsocket_guest::Snapshot;

use crate::{Phase, Postgres};

const VERSION: u32 = 1;

impl Postgres {
    pub(crate) fn snapshot(&self) -> Snapshot {
        let phase = match self.phase {
            Phase::Startup => 0,
            Phase::Ready => 1,
            Phase::Skipping => 2,
            Phase::Over => 3,
        };
        let mut state = Vec::new();
        for number in [phase, self.asked, self.queries.len() as u64] {
            state.extend_from_slice(&number.to_le_bytes());
        }
        for query in &self.queries {
            state.extend_from_slice(&(query.len() as u64).to_le_bytes());
            state.extend_from_slice(query.as_bytes());
        }
        state.extend_from_slice(&self.input);
        Snapshot::new(VERSION, state)
    }

    pub(crate) fn from_snapshot(snapshot: Snapshot) -> Result<Self, String> {
        let state = snapshot.upgrade(VERSION, &[])?;
        read(&state).ok_or_else(|| "the state is damaged".to_owned())
    }
}

fn read(mut state: &[u8]) -> Option<Postgres> {
    let phase = match number(&mut state)? {
        0 => Phase::Startup,
        1 => Phase::Ready,
        2 => Phase::Skipping,
        3 => Phase::Over,
        _ => return None,
    };
    let asked = number(&mut state)?;
    let mut queries = Vec::new();
    for _ in 0..number(&mut state)? {
        let length = usize::try_from(number(&mut state)?).ok()?;
        let (query, rest) = state.split_at_checked(length)?;
        queries.push(String::from_utf8(query.to_vec()).ok()?);
        state = rest;
    }
    (queries.len() as u64 <= asked).then(|| Postgres {
        input: state.to_vec(),
        phase,
        asked,
        queries,
    })
}

fn number(state: &mut &[u8]) -> Option<u64> {
    let (bytes, rest) = state.split_first_chunk()?;
    *state = rest;
    Some(u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_restored_and_damage_is_refused() {
        let postgres = Postgres {
            input: b"Q\0\0".to_vec(),
            phase: Phase::Ready,
            asked: 7,
            queries: vec!["select 1".to_owned(), String::new()],
        };
        let snapshot = postgres.snapshot();
        for length in 0..snapshot.state.len() - 3 {
            assert_eq!(read(&snapshot.state[..length]), None, "{length}");
        }
        assert_eq!(Postgres::from_snapshot(snapshot), Ok(postgres));
    }
}
