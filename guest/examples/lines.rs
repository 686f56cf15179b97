//! Teaches: making messages out of a stream, with a bound on what is kept. It
//! numbers each line, whatever pieces it comes in, and a swap neither loses
//! the count nor the half of a line that has come.
//!
//! Try it: `hotsocket build lines.rs && hotsocket serve lines.wasm`, then in
//! another terminal: `printf 'one\ntwo\nthree' | nc -N 127.0.0.1 3000`

use hotsocket_guest::{Connection, Handler, Snapshot, export};

/// A peer must not make us keep more than this: a longer line is cut here and
/// goes on as the next one.
pub const LONGEST: usize = 64 * 1024;

#[derive(Default)]
pub struct Lines {
    /// How many lines have been numbered.
    count: u64,
    /// The line whose end is still to come.
    half: Vec<u8>,
}

impl Handler for Lines {
    fn data(&mut self, conn: &Connection, mut bytes: &[u8]) {
        let mut out = Vec::with_capacity(bytes.len() + 16);
        while !bytes.is_empty() {
            let room = bytes.len().min(LONGEST - self.half.len());
            let newline = bytes[..room].iter().position(|&byte| byte == b'\n');
            let (piece, rest) = bytes.split_at(newline.unwrap_or(room));
            self.half.extend_from_slice(piece);
            if newline.is_some() || self.half.len() == LONGEST {
                self.number(&mut out);
                out.push(b'\n');
            }
            bytes = if newline.is_some() { &rest[1..] } else { rest };
        }
        conn.write(out);
    }

    fn end(&mut self, conn: &Connection) {
        // A last line without its newline is a line too, and stays without.
        if !self.half.is_empty() {
            let mut out = Vec::new();
            self.number(&mut out);
            conn.write(out);
        }
    }

    fn save(&self) -> Option<Snapshot> {
        // Text that anyone can read: `12 lines`, a newline, and the half line.
        let mut state = format!("{} lines\n", self.count).into_bytes();
        state.extend_from_slice(&self.half);
        Some(Snapshot::new(1, state))
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<(), String> {
        let state = snapshot.upgrade(1, &[])?;
        // Another guest's state says nothing to this one, which starts afresh.
        (self.count, self.half) = read(&state).unwrap_or_default();
        Ok(())
    }
}

impl Lines {
    fn number(&mut self, out: &mut Vec<u8>) {
        self.count += 1;
        out.extend_from_slice(format!("{}: ", self.count).as_bytes());
        out.append(&mut self.half);
    }
}

/// The inverse of `save`.
fn read(state: &[u8]) -> Option<(u64, Vec<u8>)> {
    let newline = state.iter().position(|&byte| byte == b'\n')?;
    let (head, half) = state.split_at(newline);
    let count = std::str::from_utf8(head).ok()?.strip_suffix(" lines")?;
    let half = &half[1..];
    (half.len() < LONGEST).then_some((count.parse().ok()?, half.to_vec()))
}

export!(Lines);
