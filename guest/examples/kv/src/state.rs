//! The state of a connection as bytes: numbers, and texts with their lengths.

use hotsocket_guest::Snapshot;

use crate::channels::Channels;
use crate::keys::Cursors;
use crate::{Client, Kv};

const VERSION: u32 = 1;

impl Kv {
    pub(crate) fn snapshot(&self) -> Snapshot {
        let Client {
            is_resp3,
            name,
            channels: Channels { channels, patterns },
            cursors: Cursors { last, open },
            bucket: _,
        } = &self.client;
        let mut state = Vec::with_capacity(64 + self.input.len());
        for flag in [*is_resp3, self.waits, self.is_over] {
            put_number(&mut state, u64::from(flag));
        }
        put_text(&mut state, name);
        for names in [channels, patterns] {
            put_number(&mut state, names.len() as u64);
            names.iter().for_each(|name| put_text(&mut state, name));
        }
        put_number(&mut state, *last);
        put_number(&mut state, open.len() as u64);
        for (number, cursor) in open {
            put_number(&mut state, *number);
            put_text(&mut state, cursor.as_bytes());
        }
        state.extend_from_slice(&self.input);
        Snapshot::new(VERSION, state)
    }

    pub(crate) fn restore(&mut self, snapshot: Snapshot) -> Result<(), String> {
        let state = snapshot.upgrade(VERSION, &[])?;
        *self = read(&state).ok_or("the state is damaged")?;
        Ok(())
    }
}

fn put_number(state: &mut Vec<u8>, number: u64) {
    state.extend_from_slice(&number.to_le_bytes());
}

fn put_text(state: &mut Vec<u8>, text: &[u8]) {
    put_number(state, text.len() as u64);
    state.extend_from_slice(text);
}

fn read(mut state: &[u8]) -> Option<Kv> {
    let state = &mut state;
    let [is_resp3, waits, is_over] = [flag(state)?, flag(state)?, flag(state)?];
    let name = text(state)?;
    let [channels, patterns] = [texts(state)?, texts(state)?];
    let last = number(state)?;
    let open = (0..number(state)?).map(|_| {
        let (number, cursor) = (number(state)?, text(state)?);
        Some((number, String::from_utf8(cursor).ok()?))
    });
    let open = open.collect::<Option<_>>()?;
    Some(Kv {
        input: state.to_vec(),
        client: Client {
            bucket: None,
            is_resp3,
            name,
            channels: Channels { channels, patterns },
            cursors: Cursors { last, open },
        },
        waits,
        is_over,
        ..Kv::default()
    })
}

fn number(state: &mut &[u8]) -> Option<u64> {
    let (bytes, rest) = state.split_first_chunk()?;
    *state = rest;
    Some(u64::from_le_bytes(*bytes))
}

fn flag(state: &mut &[u8]) -> Option<bool> {
    match number(state)? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

fn text(state: &mut &[u8]) -> Option<Vec<u8>> {
    let length = usize::try_from(number(state)?).ok()?;
    let (text, rest) = state.split_at_checked(length)?;
    *state = rest;
    Some(text.to_vec())
}

fn texts(state: &mut &[u8]) -> Option<Vec<Vec<u8>>> {
    (0..number(state)?).map(|_| text(state)).collect()
}
