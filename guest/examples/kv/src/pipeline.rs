//! `SET`s without options, or `GET`s, that a client sends in a row without waiting: one call
//! of the store for all of them.

use crate::keys::key;
use crate::reply::Out;
use crate::request;
use crate::{Client, SENT};

/// How each of them begins.
const SET: &[u8; 13] = b"*3\r\n$3\r\nSET\r\n";
const GET: &[u8; 13] = b"*2\r\n$3\r\nGET\r\n";
/// Commands in one call.
const MOST: usize = 100;
/// Below that, one by one is as good.
const LEAST: usize = 4;

impl Client {
    /// Run the `SET`s or `GET`s that the bytes begin with, if there are several. Returns how
    /// many bytes those have that were answered; `None` if they are to be run one by one,
    /// also because one of them fails.
    pub fn run_row(&mut self, bytes: &[u8], out: &mut Out) -> Option<usize> {
        // Most often one comes alone, and is not looked at twice.
        if bytes.len() < LEAST * GET.len() || !self.is_resp3 && self.channels.count() > 0 {
            return None;
        }
        match bytes.first_chunk()? {
            SET => self.set_row(bytes, out),
            GET => self.get_row(bytes, out),
            _ => None,
        }
    }

    fn set_row(&mut self, bytes: &[u8], out: &mut Out) -> Option<usize> {
        let mut pairs = Vec::with_capacity(MOST);
        let done = row(bytes, SET, |[of, value], _| {
            pairs.push((key(of).ok()?, value));
            Some(())
        })?;
        self.bucket().ok()?.set_many(&pairs).ok()?;
        out.reserve(pairs.len() * 5);
        pairs.iter().for_each(|_| out.ok());
        Some(done)
    }

    fn get_row(&mut self, bytes: &[u8], out: &mut Out) -> Option<usize> {
        let (mut keys, mut ends) = (Vec::with_capacity(MOST), Vec::with_capacity(MOST));
        row(bytes, GET, |[of], end| {
            keys.push(key(of).ok()?);
            ends.push(end);
            Some(())
        })?;
        // Those that are no more within what is sent at once are left for the next row.
        let values = self.bucket().ok()?.get_values(&keys, SENT).ok()?;
        out.reserve(values.size() + values.len() * 8);
        values.iter().for_each(|value| out.bulk_or_null(value));
        ends.get(values.len().checked_sub(1)?).copied()
    }
}

/// Go through the commands that begin so and have so many arguments more, each with where
/// it ends, until one is not taken. Returns where the last ends, if they are enough for a
/// row.
fn row<'a, const ARGS: usize>(
    bytes: &'a [u8],
    start: &[u8; 13],
    mut take: impl FnMut([&'a [u8]; ARGS], usize) -> Option<()>,
) -> Option<usize> {
    let (mut count, mut done) = (0, 0);
    'row: while count < MOST && bytes[done..].first_chunk() == Some(start) {
        let (command, mut at) = (&bytes[done..], start.len());
        let mut args = [&bytes[..0]; ARGS];
        for arg in &mut args {
            // One that is incomplete, or wrong, is left to be read one by one.
            let Ok(Some(found)) = request::bulk(command, at) else {
                break 'row;
            };
            at = found.end + 2;
            *arg = &command[found];
        }
        if take(args, done + at).is_none() {
            break;
        }
        done += at;
        count += 1;
    }
    (count >= LEAST).then_some(done)
}
