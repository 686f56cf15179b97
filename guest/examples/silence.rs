//! Teaches: a clock and a timer. It tells for how long the peer was silent, and
//! says goodbye after a minute of silence.
//!
//! Try it: `hotsocket build silence.rs && hotsocket serve silence.wasm`, then
//! `nc 127.0.0.1 3000` in another terminal. `hotsocket test silence.rs silence.test`
//! needs no minute for it.

use std::time::{Duration, Instant};

use hotsocket_guest::{Connection, Handler, export};

const PATIENCE: Duration = Duration::from_secs(60);
const GOODBYE: u32 = 1;

pub struct Silence {
    last: Instant,
}

impl Default for Silence {
    fn default() -> Self {
        Silence {
            last: Instant::now(),
        }
    }
}

impl Handler for Silence {
    fn open(&mut self, conn: &Connection) -> Result<(), String> {
        conn.set_timer(GOODBYE, PATIENCE);
        Ok(())
    }

    fn data(&mut self, conn: &Connection, _data: &[u8]) {
        conn.write(format!("{} s of silence\n", self.last.elapsed().as_secs()));
        self.last = Instant::now();
        conn.set_timer(GOODBYE, PATIENCE);
    }

    fn timer(&mut self, conn: &Connection, _id: u32) {
        conn.write(format!(
            "goodbye after {} s\n",
            self.last.elapsed().as_secs()
        ));
        conn.end();
    }
}

export!(Silence);
