//! What `psql` takes for a PostgreSQL server, with one table: the queries that this
//! connection has asked, which a swap does not lose. Protocol 3.0, simple queries:
//! <https://www.postgresql.org/docs/current/protocol-flow.html>.
//!
//! Try it: `hotsocket serve guest/examples/postgres`, then in another terminal
//! `psql -h localhost -p 3000 -U me -c 'select * from queries'`. With certificates and
//! `--tls-mode starttls` clients may have TLS.
//!
//! - [`message`]: messages from and to the client
//! - [`state`]: the snapshot

mod message;
mod state;

use hotsocket_guest::{Connection, Handler, Snapshot, export};

use message::{Found, Out, Startup};

/// Queries that are kept: the oldest ones go.
const MAX_QUERIES: usize = 100;
/// What is kept of a query, in bytes: with half a message all of them fit into a snapshot
/// (`--max-snapshot`).
const MAX_QUERY: usize = 1 << 10;

/// One connection.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Postgres {
    /// What has come and is not a whole message yet.
    input: Vec<u8>,
    phase: Phase,
    /// All queries so far, and the last of them.
    asked: u64,
    queries: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// The client says who it is, or asks for encryption.
    #[default]
    Startup,
    Ready,
    /// After an error in the extended protocol, until `Sync`.
    Skipping,
    Over,
}

impl Handler for Postgres {
    fn data(&mut self, conn: &Connection, bytes: &[u8]) {
        if self.phase == Phase::Over {
            return;
        }
        self.input.extend_from_slice(bytes);
        let mut out = Out::default();
        while self.phase != Phase::Over {
            let is_startup = self.phase == Phase::Startup;
            match message::find(&self.input, is_startup) {
                Found::Message { kind, body, length } => {
                    let body = self.input[body].to_vec();
                    self.input.drain(..length);
                    match is_startup {
                        true => self.start(&body, conn, &mut out),
                        false => self.answer(kind, &body, &mut out),
                    }
                }
                Found::Partial => break,
                Found::Bad(why) => {
                    out.error("FATAL", "08P01", why);
                    self.phase = Phase::Over;
                }
            }
        }
        conn.write(out.bytes());
        if self.phase == Phase::Over {
            conn.end();
        }
    }

    fn save(&self) -> Option<Snapshot> {
        Some(self.snapshot())
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<(), String> {
        *self = Self::from_snapshot(snapshot)?;
        Ok(())
    }
}

impl Postgres {
    fn start(&mut self, body: &[u8], conn: &Connection, out: &mut Out) {
        match message::startup(body) {
            // What comes with the request would have come in plain text, from anybody.
            Startup::Tls if conn.can_start_tls() && !self.input.is_empty() => {
                out.error(
                    "FATAL",
                    "08P01",
                    "unencrypted data after the request for TLS",
                );
                self.phase = Phase::Over;
            }
            Startup::Tls if conn.can_start_tls() => {
                conn.write(std::mem::take(out).bytes());
                // It has just been possible.
                let _ = conn.start_tls("S");
            }
            // Without encryption; the client goes on, or leaves.
            Startup::Tls | Startup::Gssapi => out.raw(b"N"),
            Startup::Session { user } if !user.is_empty() => {
                out.authenticated();
                for (name, value) in [
                    ("server_version", "16.0 (hotsocket)"),
                    ("server_encoding", "UTF8"),
                    ("client_encoding", "UTF8"),
                    ("DateStyle", "ISO, MDY"),
                    ("standard_conforming_strings", "on"),
                    ("session_authorization", &user),
                ] {
                    out.parameter(name, value);
                }
                out.key_data(conn.id() as u32);
                out.ready();
                self.phase = Phase::Ready;
            }
            Startup::Session { .. } => {
                out.error("FATAL", "28000", "no user name was given");
                self.phase = Phase::Over;
            }
            Startup::Cancel => self.phase = Phase::Over,
            Startup::Other => {
                out.error("FATAL", "0A000", "this server speaks protocol 3.0");
                self.phase = Phase::Over;
            }
        }
    }

    fn answer(&mut self, kind: u8, body: &[u8], out: &mut Out) {
        match (self.phase, kind) {
            (_, b'X') => self.phase = Phase::Over,
            (Phase::Ready, b'Q') => {
                let text = body.strip_suffix(b"\0").unwrap_or(body);
                self.run(&String::from_utf8_lossy(text), out);
                out.ready();
            }
            (_, b'S') => {
                self.phase = Phase::Ready;
                out.ready();
            }
            (Phase::Skipping, _) | (_, b'H') => {}
            _ => {
                out.error("ERROR", "0A000", "this server knows simple queries only");
                self.phase = Phase::Skipping;
            }
        }
    }

    /// The statements of one simple query; the first error ends it.
    fn run(&mut self, text: &str, out: &mut Out) {
        let statements = text.split(';').map(str::trim);
        let mut statements = statements
            .filter(|statement| !statement.is_empty())
            .peekable();
        if statements.peek().is_none() {
            return out.empty();
        }
        for statement in statements {
            if out.is_full() {
                return out.error("ERROR", "54000", "more than 4 MiB of replies at once");
            }
            let words = statement.to_lowercase();
            let words: Vec<_> = words.split_whitespace().collect();
            match words.as_slice() {
                ["select", "*", "from", "queries"] => self.select(out),
                ["select", "count(*)", "from", "queries"] => {
                    out.columns(&["count"]);
                    out.row(&[&self.asked.to_string()]);
                    out.complete("SELECT 1");
                }
                [first @ ("begin" | "commit" | "rollback" | "set"), ..] => {
                    out.complete(&first.to_uppercase());
                }
                _ => {
                    let hint = "this server knows `select * from queries`";
                    self.keep(statement);
                    return out.error("ERROR", "42601", hint);
                }
            }
            self.keep(statement);
        }
    }

    fn select(&self, out: &mut Out) {
        out.columns(&["number", "query"]);
        let first = self.asked - self.queries.len() as u64 + 1;
        for (number, query) in (first..).zip(&self.queries) {
            out.row(&[&number.to_string(), query]);
        }
        out.complete(&format!("SELECT {}", self.queries.len()));
    }

    fn keep(&mut self, query: &str) {
        self.asked += 1;
        let mut end = query.len().min(MAX_QUERY);
        while !query.is_char_boundary(end) {
            end -= 1;
        }
        self.queries.push(query[..end].to_owned());
        if self.queries.len() > MAX_QUERIES {
            self.queries.remove(0);
        }
    }
}

export!(Postgres);

#[cfg(test)]
mod tests {
    use hotsocket_guest::testing::Session;

    use super::*;

    fn message(kind: &[u8], body: &str) -> Vec<u8> {
        let length = (body.len() as u32 + 4).to_be_bytes();
        [kind, &length, body.as_bytes()].concat()
    }

    #[test]
    fn replies_that_do_not_fit_into_the_queue_are_an_error() {
        let mut session = Session::<Postgres>::open();
        session.set_max_queue(8 << 20);
        session.data(message(b"", "\0\x03\0\0user\0me\0\0"));
        // It is kept with its spaces, so 100 of them make 100 KB of each reply.
        let statement = format!("select {} * from queries;", " ".repeat(1000));
        let together = message(b"Q", &(statement.repeat(200) + "\0"));
        let alone = message(b"Q", &(statement + "\0")).repeat(200);
        for queries in [together, alone] {
            let answer = session.data(queries);
            assert!(answer.windows(5).any(|five| five == b"54000"));
            assert!(answer.ends_with(b"Z\0\0\0\x05I"));
        }
        let answer = session.data(message(b"Q", "select count(*) from queries\0"));
        assert!(answer.starts_with(b"T"));
    }
}
