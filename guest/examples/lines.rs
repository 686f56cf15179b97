//! Teaches: making messages out of a stream, with a bound on what is kept. It
//! numbers each line, whatever pieces it comes in, and a swap loses neither
//! the count nor the half of a line that has come.
//!
//! Try it: `hotsocket build lines.rs && hotsocket serve lines.wasm`, then in
//! another terminal: `printf 'one\ntwo\nthree' | nc -N 127.0.0.1 3000`

use hotsocket_guest::framing::{self, FrameError, Frames};
use hotsocket_guest::{Connection, Handler, Snapshot, export};

/// A peer must not make us keep more than this: a longer line ends the connection.
pub const LONGEST: usize = 64 * 1024;

#[derive(Default)]
pub struct Lines {
    /// How many lines have been numbered.
    count: u64,
    /// What has come; it keeps the line whose end is still to come.
    lines: Frames<framing::Lines, LONGEST>,
}

impl Handler for Lines {
    fn data(&mut self, conn: &Connection, bytes: &[u8]) {
        let mut out = Vec::with_capacity(bytes.len() + 16);
        self.lines.push(bytes);
        let numbered = self.number_lines(&mut out);
        conn.write(out);
        if let Err(error) = numbered {
            conn.write(format!("{error}\n"));
            conn.end();
        }
    }

    fn end(&mut self, conn: &Connection) {
        // A last line without its newline is a line too, and stays without.
        let half = self.lines.half().to_vec();
        if !half.is_empty() {
            let mut out = Vec::new();
            self.number(&half, &mut out);
            conn.write(out);
        }
    }

    fn save(&self) -> Option<Snapshot> {
        // Text that anyone can read: `12 lines`, a newline, and the half line.
        let head = format!("{} lines\n", self.count);
        Some(Snapshot::new(
            1,
            [head.as_bytes(), self.lines.half()].concat(),
        ))
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<(), String> {
        let state = snapshot.upgrade(1, &[])?;
        // Another guest's state says nothing to this one, which starts afresh.
        if let Some((count, half)) = read(&state) {
            (self.count, self.lines) = (count, Frames::from_half(half));
        }
        Ok(())
    }
}

impl Lines {
    fn number_lines(&mut self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        while let Some(line) = self.lines.next()? {
            self.number(&line, out);
            out.push(b'\n');
        }
        Ok(())
    }

    fn number(&mut self, line: &[u8], out: &mut Vec<u8>) {
        self.count += 1;
        out.extend_from_slice(format!("{}: ", self.count).as_bytes());
        out.extend_from_slice(line);
    }
}

/// The inverse of `save`.
fn read(state: &[u8]) -> Option<(u64, &[u8])> {
    let newline = state.iter().position(|&byte| byte == b'\n')?;
    let count = str::from_utf8(&state[..newline])
        .ok()?
        .strip_suffix(" lines")?;
    Some((count.parse().ok()?, &state[newline + 1..]))
}

export!(Lines);
