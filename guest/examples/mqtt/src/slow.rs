//! Clients that are silent, do not acknowledge what they get, or take too little of it.

use std::time::Duration;

use hotsocket_guest::{Connection, WriteError, environment};

use crate::packet;
use crate::session::{Phase, RETRY, milliseconds};
use crate::{AGAIN, Mqtt, Result, SILENCE};

impl Mqtt {
    /// Send a packet, and note whether much waits for the client then.
    pub fn write(&mut self, conn: &Connection, packet: impl AsRef<[u8]>) -> Result<()> {
        let written = conn.try_write(packet);
        self.waits |= matches!(written, Ok(false) | Err(WriteError::Full));
        match written {
            Ok(_) | Err(WriteError::Closed) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The client has taken what waited for it: it is heard again, and gets the rest.
    pub fn go_on(&mut self, conn: &Connection) {
        self.waits = false;
        self.session.note_taken(environment::uptime());
        self.go_on_with_retained(conn);
    }

    pub fn check_silence(&mut self, conn: &Connection) {
        if self.session.phase == Phase::New {
            return self.give_up(conn, "no CONNECT in time");
        }
        let now = milliseconds(environment::uptime());
        let since = match self.waits {
            // What it sends is not read. One that takes nothing at all is closed by the
            // host (`--write-timeout`).
            true => now,
            false => self.session.heard_ms,
        };
        match (since + self.session.silence_ms).checked_sub(now) {
            None | Some(0) => self.give_up(conn, "silent for longer than its keep-alive"),
            Some(left) => conn.set_timer(SILENCE, Duration::from_millis(left)),
        }
    }

    pub fn send_again(&mut self, conn: &Connection) {
        // What has not been taken, or whose acknowledgement is not read, would only be
        // queued twice.
        if !self.waits {
            for message in self.session.retries(environment::uptime()) {
                // What finds no room now does later.
                let _ = self.write(conn, packet::publish(&message));
            }
        }
        if !self.session.unacknowledged.is_empty() {
            conn.set_timer(AGAIN, RETRY);
        }
    }
}
