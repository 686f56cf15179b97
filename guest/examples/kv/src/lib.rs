//! What `redis-cli` takes for a Redis server: strings with times to live in the store, and
//! channels over topics. RESP2 and RESP3, inline commands, pipelining:
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/>. A swap loses neither a
//! subscription nor half of a command.
//!
//! Try it: `hotsocket serve guest/examples/kv --port 6379`, then in another terminal
//! `redis-cli set greeting hello`.
//!
//! Keys are UTF-8 of at most 1,024 bytes; a command has 1,000,000 bytes at most, and a
//! channel or pattern 256, so that half of a command fits into a snapshot with all
//! subscriptions. `MGET` and `KEYS` reply with 4 MiB at most. A cursor of `SCAN` belongs to
//! the connection that got it, which knows the last 16; in Redis any other can go on.
//!
//! - [`request`]: commands in the client's bytes; [`reply`]: bytes for the client
//! - [`commands`]: what each command does; [`keys`]: those on keys; [`pipeline`]: many
//!   `SET`s or `GET`s in one call of the store
//! - [`channels`]: subscriptions, and how channels become topics; [`glob`]: patterns
//! - [`state`]: the snapshot

mod channels;
mod commands;
mod glob;
mod keys;
mod pipeline;
mod reply;
mod request;
mod state;

use hotsocket_guest::store::Bucket;
use hotsocket_guest::topics::{Message, Subscriber};
use hotsocket_guest::{Connection, Handler, Resumed, Snapshot, export};

use channels::Channels;
use keys::Cursors;
use reply::Out;
use request::{Args, Found};

/// The bucket of all keys.
const BUCKET: &str = "kv";
/// Replies are sent when they are so long, or all commands have been answered.
const SENT: usize = 32 << 10;

/// One connection.
#[derive(Default)]
pub struct Kv {
    /// What has come and was not answered yet.
    input: Vec<u8>,
    /// Where the arguments of a command lie; kept for its allocation.
    args: Vec<std::ops::Range<usize>>,
    client: Client,
    /// Nothing is answered until the client has read enough of the replies.
    waits: bool,
    /// The client sends nothing more.
    peer_ended: bool,
    is_over: bool,
}

/// What the server knows of a client.
#[derive(Default)]
pub struct Client {
    bucket: Option<Bucket>,
    /// The client has asked for RESP3.
    is_resp3: bool,
    name: Vec<u8>,
    channels: Channels,
    cursors: Cursors,
}

impl Kv {
    /// Answer all commands that are there, and keep the rest.
    fn answer(&mut self, conn: &Connection, input: &[u8]) -> usize {
        let mut done = 0;
        let mut out = Out::new(self.client.is_resp3);
        while !self.waits && !self.is_over {
            let rest = &input[done..];
            if let Some(length) = self.client.run_row(rest, &mut out) {
                done += length;
            } else {
                match request::find(rest, &mut self.args) {
                    Found::Command { length } => {
                        let args = Args::new(rest, &self.args);
                        self.is_over = !self.client.run(conn, args, &mut out);
                        done += length;
                    }
                    Found::Part => break,
                    Found::Wrong(why) => {
                        out.error(&format!("ERR Protocol error: {why}"));
                        self.is_over = true;
                    }
                }
            }
            if out.len() >= SENT {
                self.waits = !conn.write(out.take());
            }
        }
        if out.len() > 0 {
            self.waits = !conn.write(out.take());
        }
        if self.is_over {
            conn.end();
            return input.len();
        }
        done
    }
}

impl Handler for Kv {
    fn data(&mut self, conn: &Connection, bytes: &[u8]) {
        if self.input.is_empty() {
            let done = self.answer(conn, bytes);
            self.input.extend_from_slice(&bytes[done..]);
            return;
        }
        self.input.extend_from_slice(bytes);
        let input = std::mem::take(&mut self.input);
        let done = self.answer(conn, &input);
        self.input = input;
        self.input.drain(..done);
    }

    fn drained(&mut self, conn: &Connection) {
        self.waits = false;
        let input = std::mem::take(&mut self.input);
        let done = self.answer(conn, &input);
        self.input = input;
        self.input.drain(..done);
        if self.peer_ended && !self.waits {
            conn.end();
        }
    }

    fn end(&mut self, conn: &Connection) {
        self.peer_ended = true;
        // What the client has asked before is answered first.
        match self.waits {
            true => conn.hold_open(),
            false => conn.end(),
        }
    }

    fn resume(&mut self, _: &Connection, resumed: Resumed) -> Result<(), String> {
        if let Some(snapshot) = resumed.snapshot {
            self.restore(snapshot)?;
        }
        self.peer_ended = resumed.peer_ended;
        Ok(())
    }

    fn save(&self) -> Option<Snapshot> {
        Some(self.snapshot())
    }
}

impl Subscriber for Kv {
    fn message(&mut self, conn: &Connection, message: Message<'_>) {
        let mut out = Out::new(self.client.is_resp3);
        let Message { topic, bytes, .. } = message;
        self.client.channels.deliver(topic, bytes, &mut out);
        conn.write(out.take());
    }
}

export!(Kv, Subscriber);

#[cfg(test)]
mod tests;
