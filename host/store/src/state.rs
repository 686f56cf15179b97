//! What a store holds beside the guest's memory: the effects of the event
//! under way, its account, and WASI for the guests that want it.
//!
//! Nothing in here outlives the instance; what must, belongs to the
//! connection's driver, which takes the effects after each event.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use wasmtime::ResourceLimiter;
use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxView, WasiView};

use super::meter::Meter;
use super::sink::Sink;
use super::voice::Voice;
use super::wasi::{Grants, MAX_HANDLES};
use crate::reached::{Limit, Notes};

/// The data of an instance's store.
pub struct State {
    pub ends: Option<Ends>,
    pub effects: Effects,
    pub window: Window,
    /// Where larger writes go at once, if they may.
    pub sink: Option<Box<dyn Sink>>,
    pub voice: Voice,
    pub meter: Meter,
    pub allowance: Allowance,
    pub max_timers: usize,
    pub notes: Arc<Notes>,
    /// What the guest said about the trap to come.
    pub last_words: Option<String>,
    /// Having said it, the guest prints nothing for the rest of the event.
    hushed: bool,
    grants: Arc<Grants>,
    wasi: Option<Box<(WasiCtx, ResourceTable)>>,
}

/// Who is connected to what.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// Unique in this process, from 1.
    pub id: u64,
    pub local: SocketAddr,
    pub peer: SocketAddr,
}

/// What an event asked the host to do; applied by the driver once the event
/// has succeeded.
#[derive(Debug, Default)]
pub struct Effects {
    /// Bytes for the peer, in order, after those that the event has sent
    /// itself.
    pub written: Vec<u8>,
    /// How many those were.
    pub sent: usize,
    /// What became of the socket when it did.
    pub failed: Option<io::Error>,
    /// Timers set (with the delay) or cleared, in order.
    pub timers: Vec<(u32, Option<Duration>)>,
    /// `write` said to wait for `drained`.
    pub waits: bool,
    pub end: bool,
    pub abort: bool,
    pub hold_open: bool,
}

/// What `write` may take during the event under way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    /// Bytes that already wait for the peer.
    pub queued: usize,
    /// The most that may wait.
    pub max_queue: usize,
    /// Whether this side can still be written to.
    pub writable: bool,
}

/// Memory and tables that one instance may have, and has.
#[derive(Debug)]
pub struct Allowance {
    memory: usize,
    memory_used: usize,
    table: usize,
    table_used: usize,
    /// A growth was refused: the likely cause of the trap that follows.
    refused: Option<Limit>,
}

impl Allowance {
    pub fn new(memory: usize, table: usize) -> Self {
        Allowance {
            memory,
            memory_used: 0,
            table,
            table_used: 0,
            refused: None,
        }
    }
}

impl Allowance {
    /// The limit at which growth was refused since this was last asked.
    pub fn take_refused(&mut self) -> Option<Limit> {
        self.refused.take()
    }

    /// Bytes of all linear memories.
    pub fn memory_used(&self) -> usize {
        self.memory_used
    }
}

impl ResourceLimiter for Allowance {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let used = self
            .memory_used
            .saturating_add(desired.saturating_sub(current));
        let granted = used <= self.memory;
        if granted {
            self.memory_used = used;
        } else {
            self.refused = Some(Limit::Memory);
        }
        Ok(granted)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let used = self
            .table_used
            .saturating_add(desired.saturating_sub(current));
        let granted = used <= self.table;
        if granted {
            self.table_used = used;
        } else {
            self.refused = Some(Limit::Table);
        }
        Ok(granted)
    }
}

impl State {
    pub fn new(
        ends: Option<Ends>,
        voice: Voice,
        meter: Meter,
        allowance: Allowance,
        max_timers: usize,
        grants: Arc<Grants>,
    ) -> Self {
        State {
            ends,
            notes: Arc::clone(&voice.notes),
            effects: Effects::default(),
            window: Window::default(),
            sink: None,
            voice,
            meter,
            allowance,
            max_timers,
            last_words: None,
            hushed: false,
            grants,
            wasi: None,
        }
    }
}

impl State {
    /// The guest has told why it is about to trap. What the runtime of its
    /// language prints on the way there would only say it again.
    pub fn hear_last_words(&mut self, words: String) {
        self.last_words = Some(words);
        self.hushed |= !self.voice.muted.swap(true, Ordering::Relaxed);
    }

    /// Another event: a guest that didn't trap may print again.
    pub fn begin(&mut self) {
        if std::mem::take(&mut self.hushed) {
            self.voice.muted.store(false, Ordering::Relaxed);
        }
        self.meter.begin();
    }

    /// Count a growth that was refused since this was last called.
    pub fn take_refusal(&mut self) -> Option<Limit> {
        let limit = self.allowance.take_refused()?;
        self.notes.count(limit);
        Some(limit)
    }

    /// The same for an instance that lives on: say so, too.
    pub fn tell_refusal(&mut self) -> Option<Limit> {
        let limit = self.allowance.take_refused()?;
        self.notes.note(
            limit,
            "its guest asked for more than it may have, and was refused",
        );
        Some(limit)
    }
}

impl WasiView for State {
    /// Made at the first use: most guests never ask.
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let (ctx, table) = &mut **self.wasi.get_or_insert_with(|| {
            let mut table = ResourceTable::new();
            table.set_max_capacity(MAX_HANDLES);
            Box::new((self.grants.context(&self.voice), table))
        });
        WasiCtxView { ctx, table }
    }
}
