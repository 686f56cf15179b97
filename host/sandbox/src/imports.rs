//! The functions that a guest imports from `hotsocket:socket` and `hotsocket:session`.
//!
//! None of them waits: they record what the guest wants in the store's
//! [`Effects`](crate::effects::Effects), and the session applies them when the
//! event has succeeded. Only a large `write` may go to the socket at once, if
//! the session has lent it. Which function belongs to which version of the
//! contract is in [`crate::contract`].

use std::time::Duration;

use wasmtime::component::{LinkerInstance, WasmList, WasmStr};
use wasmtime::{AsContext, StoreContextMut};

use crate::bindings::hotsocket::socket::types::{Address, ConnectionInfo, WriteError};
use crate::bounded_text::BoundedText;
use crate::effects::{GATHERED_SENT, SessionRequests};
use crate::endpoint::Endpoint;
use crate::fault::{Cause, one_line};
use crate::guest_output::{StandardStream, truncate};
use crate::limit_counters::Limit;
use crate::store_data::StoreData;
use crate::transport::write_slice;

/// The longest label of a connection that is kept, in bytes. More would make each line
/// of the log about it longer.
const MAX_LABEL: usize = 64;
/// The longest panic message that is kept, in bytes.
const MAX_PANIC_MESSAGE: usize = 4096;

/// Link the functions of `connection`.
pub fn link_connection(connection: &mut LinkerInstance<'_, StoreData>) -> wasmtime::Result<()> {
    connection.func_wrap("info", |store: StoreContextMut<StoreData>, (): ()| {
        Ok((info(store.data()),))
    })?;
    connection.func_wrap("write", |store, (bytes,): (WasmList<u8>,)| {
        Ok((write(store, &bytes),))
    })?;
    connection.func_wrap("end", |mut store: StoreContextMut<StoreData>, (): ()| {
        store.data_mut().effects.end = true;
        Ok(())
    })?;
    connection.func_wrap("abort", |mut store: StoreContextMut<StoreData>, (): ()| {
        store.data_mut().effects.abort = true;
        Ok(())
    })?;
    connection.func_wrap(
        "hold-open",
        |mut store: StoreContextMut<StoreData>, (): ()| {
            store.data_mut().effects.hold_open = true;
            Ok(())
        },
    )?;
    connection.func_wrap("set-timer", |mut store, (id, after_ms): (u32, u64)| {
        record_timer(store.data_mut(), id, Some(Duration::from_millis(after_ms)))
    })?;
    connection.func_wrap("clear-timer", |mut store, (id,): (u32,)| {
        record_timer(store.data_mut(), id, None)
    })?;
    Ok(())
}

/// Link the functions of `output`.
pub fn link_output(output: &mut LinkerInstance<'_, StoreData>) -> wasmtime::Result<()> {
    output.func_wrap(
        "print",
        |store: StoreContextMut<StoreData>, (line,): (BoundedText<WasmStr>,)| {
            print(&store, StandardStream::Out, &line)
        },
    )?;
    output.func_wrap(
        "error",
        |store: StoreContextMut<StoreData>, (line,): (BoundedText<WasmStr>,)| {
            print(&store, StandardStream::Error, &line)
        },
    )?;
    output.func_wrap(
        "panic",
        |mut store: StoreContextMut<StoreData>, (message,): (BoundedText<WasmStr>,)| {
            let message = message.text.to_str(&store)?;
            let message = truncate(message.as_bytes(), MAX_PANIC_MESSAGE);
            let message = String::from_utf8_lossy(message).into_owned();
            store.data_mut().set_panic_message(message);
            Ok(())
        },
    )?;
    Ok(())
}

/// Link the functions of `session`.
pub fn link_session(session: &mut LinkerInstance<'_, StoreData>) -> wasmtime::Result<()> {
    fn requests<'a>(store: &'a mut StoreContextMut<'_, StoreData>) -> &'a mut SessionRequests {
        store.data_mut().effects.session.get_or_insert_default()
    }
    session.func_wrap("pause", |mut store: StoreContextMut<StoreData>, (): ()| {
        requests(&mut store).reading = Some(false);
        Ok(())
    })?;
    session.func_wrap("resume", |mut store: StoreContextMut<StoreData>, (): ()| {
        requests(&mut store).reading = Some(true);
        Ok(())
    })?;
    session.func_wrap(
        "checkpoint",
        |mut store: StoreContextMut<StoreData>, (): ()| {
            requests(&mut store).checkpoint = true;
            Ok(())
        },
    )?;
    session.func_wrap(
        "label",
        |mut store: StoreContextMut<StoreData>, (label,): (BoundedText<WasmStr>,)| {
            let label = label.text.to_str(&store)?;
            let label = truncate(label.as_bytes(), MAX_LABEL);
            let label = one_line(&String::from_utf8_lossy(label));
            requests(&mut store).label = Some(label);
            Ok(())
        },
    )?;
    Ok(())
}

fn print(
    store: &StoreContextMut<StoreData>,
    stream: StandardStream,
    line: &BoundedText<WasmStr>,
) -> wasmtime::Result<()> {
    let output = &store.data().output;
    let text = line.text.to_str(store)?;
    if line.is_cut && text.len() <= output.max_line {
        output.warn_of_long_line();
    }
    output.print(stream, text.as_bytes());
    Ok(())
}

fn info(data: &StoreData) -> ConnectionInfo {
    match &data.connection {
        Some(connection) => ConnectionInfo {
            id: connection.info.id,
            local: address(connection.info.local),
            peer: address(connection.info.peer),
        },
        None => ConnectionInfo {
            id: 0,
            local: no_address(),
            peer: no_address(),
        },
    }
}

fn no_address() -> Address {
    Address {
        ip: String::new(),
        port: 0,
    }
}

/// Send the guest's bytes from where they lie in its memory, or gather them.
/// What was sent counts as queued until the event is over: the answer must not
/// depend on how fast the peer reads, nor may one event write without end.
fn write(mut store: StoreContextMut<StoreData>, bytes: &WasmList<u8>) -> Result<bool, WriteError> {
    let data = store.data();
    let (window, effects) = (&data.window, &data.effects);
    if !window.writable || effects.end || effects.abort || effects.failed.is_some() {
        return Err(WriteError::Closed);
    }
    let written = effects.sent.saturating_add(effects.queued());
    let written = written.saturating_add(bytes.len());
    if !window.admits(written) {
        data.warnings
            .warn(Limit::Queue, "write rejected: the queue is full");
        let is_empty = window.queued == 0 && written == bytes.len();
        store.data_mut().effects.awaits_empty |= !is_empty;
        return Err(WriteError::Full);
    }
    let above_high_water = window.is_above_high_water(written);
    if effects.starts_tls() {
        return Ok(write_under_tls(store, bytes, above_high_water));
    }
    let sent = match effects.sends(bytes.len()) {
        true => send(&mut store, bytes),
        false => 0,
    };
    let mut gathered = std::mem::take(&mut store.data_mut().effects.written);
    if sent < bytes.len() {
        if gathered.capacity() == 0 {
            gathered = crate::effects::buffer();
        }
        let bytes = bytes.as_le_slice(store.as_context());
        gathered.extend_from_slice(bytes.get(sent..).unwrap_or_default());
    }
    let data = store.data_mut();
    let is_much = gathered.len() >= GATHERED_SENT;
    data.effects.written = gathered;
    data.effects.awaits_drained |= above_high_water;
    if is_much {
        send_gathered(data);
    }
    Ok(!above_high_water)
}

/// Gather what is sent once TLS has begun.
#[cold]
fn write_under_tls(
    mut store: StoreContextMut<StoreData>,
    bytes: &WasmList<u8>,
    above_high_water: bool,
) -> bool {
    let bytes = bytes.as_le_slice(store.as_context()).to_vec();
    let effects = &mut store.data_mut().effects;
    effects.awaits_drained |= above_high_water;
    if let Some(under_tls) = effects.under_tls() {
        under_tls.extend_from_slice(&bytes);
    }
    !above_high_water
}

/// Send what fits from where it lies, if the session has lent its transport. Returns
/// how much that was.
fn send(store: &mut StoreContextMut<StoreData>, bytes: &WasmList<u8>) -> usize {
    let Some(mut transport) = store.data_mut().transport.take() else {
        return 0;
    };
    let sent = write_slice(&mut *transport, bytes.as_le_slice(store.as_context()));
    let data = store.data_mut();
    data.transport = Some(transport);
    data.effects.note_sent(sent, bytes.len())
}

/// The same for what has been gathered.
#[cold]
fn send_gathered(data: &mut StoreData) {
    let StoreData {
        transport, effects, ..
    } = data;
    let Some(transport) = transport.as_mut().filter(|_| !effects.is_blocked) else {
        return;
    };
    let sent = write_slice(&mut **transport, &effects.written);
    let sent = effects.note_sent(sent, effects.written.len());
    effects.written.drain(..sent);
}

/// An event that names more timers than a connection may have traps, so that the
/// list of effects stays bounded.
fn record_timer(data: &mut StoreData, id: u32, after: Option<Duration>) -> wasmtime::Result<()> {
    let timers = &mut data.effects.timers;
    if let Some(timer) = timers.iter_mut().find(|(known, _)| *known == id) {
        timer.1 = after;
    } else if timers.len() < data.max_timers {
        timers.push((id, after));
    } else {
        return Err(Cause::TooManyTimers.into_error());
    }
    Ok(())
}

/// An IPv4 peer of an IPv6 listener is shown with its IPv4 address; an end of a Unix
/// socket has none.
pub(super) fn address(endpoint: Endpoint) -> Address {
    match endpoint {
        Endpoint::Ip(socket) => Address {
            ip: socket.ip().to_canonical().to_string(),
            port: socket.port(),
        },
        Endpoint::Unix(_) => Address {
            ip: String::new(),
            port: 0,
        },
    }
}
