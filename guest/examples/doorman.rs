//! Teaches: what a guest asks of its host besides reading and writing. It greets with
//! a setting, calls the connection by the visitor's name in the log, logs with fields,
//! and rests for ten seconds when it is told to, without reading.
//!
//! Try it: `hotsocket serve doorman.rs --set greeting=Welcome`, then
//! `nc 127.0.0.1 3000` in another terminal.

use std::time::Duration;

use hotsocket_guest::environment::{self, Level};
use hotsocket_guest::framing::{Frames, Lines};
use hotsocket_guest::{Connection, Handler, Snapshot, export};

const REST: Duration = Duration::from_secs(10);

#[derive(Default)]
pub struct Doorman {
    names: Frames<Lines, 64>,
    /// When the visitor came, on the clock of all instances.
    since: Duration,
}

impl Handler for Doorman {
    fn open(&mut self, conn: &Connection) -> Result<(), String> {
        self.since = environment::uptime();
        let greeting = environment::setting("greeting").unwrap_or("Hello".to_owned());
        conn.write(format!("{greeting}, who is there?\n"));
        Ok(())
    }

    fn data(&mut self, conn: &Connection, bytes: &[u8]) {
        self.names.push(bytes);
        loop {
            match self.names.next() {
                Ok(Some(name)) => self.name(conn, &String::from_utf8_lossy(&name)),
                Ok(None) => return,
                Err(error) => {
                    conn.write(format!("{error}\n"));
                    return conn.end();
                }
            }
        }
    }

    fn timer(&mut self, conn: &Connection, _id: u32) {
        conn.resume();
    }

    // When the visitor came as text, a newline, and the half of a name.
    fn save(&self) -> Option<Snapshot> {
        let since = format!("{}\n", self.since.as_nanos());
        Some(Snapshot::new(1, [since.as_bytes(), self.names.half()].concat()))
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<(), String> {
        let state = snapshot.upgrade(1, &[])?;
        let mut parts = state.splitn(2, |&byte| byte == b'\n');
        let since = parts.next().and_then(|since| str::from_utf8(since).ok()?.parse().ok());
        self.since = Duration::from_nanos(since.ok_or("the state has no time")?);
        self.names = Frames::from_half(parts.next().unwrap_or_default());
        Ok(())
    }
}

impl Doorman {
    fn name(&self, conn: &Connection, name: &str) {
        match name {
            "rest" => {
                conn.pause();
                conn.set_timer(1, REST);
            }
            "faint" => panic!("the doorman faints"),
            _ => {
                let here = (environment::uptime() - self.since).as_secs();
                conn.set_label(name);
                conn.checkpoint();
                environment::log(Level::Info, "came in", &[("name", name.into()), ("after", here.into())]);
                conn.write(format!("{name}, you are here for {here} s\n"));
            }
        }
    }
}

export!(Doorman);
