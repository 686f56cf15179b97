//! The functions that a guest imports from `hotsocket:socket`.
//!
//! None of them waits and none touches a socket: they note what the guest
//! wants in the store's [`Effects`](super::state::Effects), and the driver
//! does it when the event has succeeded.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use wasmtime::component::{Linker, WasmList, WasmStr};
use wasmtime::{AsContext, StoreContextMut};

use super::bindings::hotsocket::socket::types::{Address, ConnectionInfo, WriteError};
use super::fault::Cause;
use super::sink::{AT_ONCE, SLICE};
use super::state::State;
use super::voice::cut;
use crate::limits::HIGH_WATER;
use crate::reached::Limit;

/// The longest panic message that is kept, in bytes.
const MAX_LAST_WORDS: usize = 4096;

/// Link `connection` and `output`.
pub fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut connection = linker.instance("hotsocket:socket/connection@0.1.0")?;
    connection.func_wrap("info", |store: StoreContextMut<State>, (): ()| {
        Ok((info(store.data()),))
    })?;
    connection.func_wrap("write", |store, (bytes,): (WasmList<u8>,)| {
        Ok((write(store, &bytes),))
    })?;
    connection.func_wrap("end", |mut store: StoreContextMut<State>, (): ()| {
        store.data_mut().effects.end = true;
        Ok(())
    })?;
    connection.func_wrap("abort", |mut store: StoreContextMut<State>, (): ()| {
        store.data_mut().effects.abort = true;
        Ok(())
    })?;
    connection.func_wrap("hold-open", |mut store: StoreContextMut<State>, (): ()| {
        store.data_mut().effects.hold_open = true;
        Ok(())
    })?;
    connection.func_wrap("set-timer", |mut store, (id, after_ms): (u32, u64)| {
        note_timer(store.data_mut(), id, Some(Duration::from_millis(after_ms)))
    })?;
    connection.func_wrap("clear-timer", |mut store, (id,): (u32,)| {
        note_timer(store.data_mut(), id, None)
    })?;

    let mut output = linker.instance("hotsocket:socket/output@0.1.0")?;
    output.func_wrap(
        "print",
        |store: StoreContextMut<State>, (line,): (WasmStr,)| {
            store.data().voice.print(line.to_str(&store)?.as_bytes());
            Ok(())
        },
    )?;
    output.func_wrap(
        "error",
        |store: StoreContextMut<State>, (line,): (WasmStr,)| {
            store.data().voice.error(line.to_str(&store)?.as_bytes());
            Ok(())
        },
    )?;
    output.func_wrap(
        "panic",
        |mut store: StoreContextMut<State>, (line,): (WasmStr,)| {
            let words = line.to_str(&store)?;
            let words = String::from_utf8_lossy(cut(words.as_bytes(), MAX_LAST_WORDS)).into_owned();
            store.data_mut().hear_last_words(words);
            Ok(())
        },
    )?;
    Ok(())
}

fn info(state: &State) -> ConnectionInfo {
    match &state.ends {
        Some(ends) => ConnectionInfo {
            id: ends.id,
            local: address(ends.local),
            peer: address(ends.peer),
        },
        None => ConnectionInfo {
            id: 0,
            local: nowhere(),
            peer: nowhere(),
        },
    }
}

fn nowhere() -> Address {
    Address {
        ip: String::new(),
        port: 0,
    }
}

/// Send the guest's bytes from where they lie in its memory, or gather them.
/// What was sent counts as waiting until the event has ended: the answer must
/// not depend on how fast the peer is, nor one event go on writing for ever.
fn write(mut store: StoreContextMut<State>, bytes: &WasmList<u8>) -> Result<bool, WriteError> {
    let state = store.data();
    let effects = &state.effects;
    if !state.window.writable || effects.end || effects.abort || effects.failed.is_some() {
        return Err(WriteError::Closed);
    }
    let waiting = state
        .window
        .queued
        .saturating_add(effects.sent)
        .saturating_add(effects.written.len())
        .saturating_add(bytes.len());
    if waiting > state.window.max_queue {
        state.notes.note(
            Limit::Queue,
            "its guest wrote more than may wait, and was told `full`",
        );
        return Err(WriteError::Full);
    }
    let sent = match bytes.len() >= AT_ONCE && effects.written.is_empty() {
        true => send(&mut store, bytes),
        false => 0,
    };
    let mut written = std::mem::take(&mut store.data_mut().effects.written);
    if sent < bytes.len() {
        if written.capacity() == 0 {
            written = super::sink::buffer();
        }
        let bytes = bytes.as_le_slice(store.as_context());
        written.extend_from_slice(bytes.get(sent..).unwrap_or_default());
    }
    let effects = &mut store.data_mut().effects;
    effects.written = written;
    effects.sent = effects.sent.saturating_add(sent);
    effects.waits |= waiting > HIGH_WATER;
    Ok(waiting <= HIGH_WATER)
}

/// Send what fits, if the connection may be written to now. How much that was.
fn send(store: &mut StoreContextMut<State>, bytes: &WasmList<u8>) -> usize {
    let Some(mut sink) = store.data_mut().sink.take() else {
        return 0;
    };
    let bytes = bytes.as_le_slice(store.as_context());
    let sent = sink.write_now(bytes.get(..SLICE).unwrap_or(bytes));
    let state = store.data_mut();
    state.sink = Some(sink);
    match sent {
        Ok(sent) => sent,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
        Err(error) => {
            state.effects.failed = Some(error);
            0
        }
    }
}

/// An event that names more timers than a connection may have ends there: its
/// list of wishes must not grow without bound.
fn note_timer(state: &mut State, id: u32, after: Option<Duration>) -> wasmtime::Result<()> {
    let timers = &mut state.effects.timers;
    if let Some(timer) = timers.iter_mut().find(|(known, _)| *known == id) {
        timer.1 = after;
    } else if timers.len() < state.max_timers {
        timers.push((id, after));
    } else {
        return Err(Cause::TooManyTimers.into_error());
    }
    Ok(())
}

/// An IPv4 peer of an IPv6 listener is told by its IPv4 address.
pub(super) fn address(socket: SocketAddr) -> Address {
    Address {
        ip: socket.ip().to_canonical().to_string(),
        port: socket.port(),
    }
}
