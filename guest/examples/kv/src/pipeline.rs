//! `SET`s without options, or `GET`s, that a client sends in a row without waiting: one call
//! of the store for all of them.

use std::ops::Range;

use crate::keys::key;
use crate::reply::Out;
use crate::request::{self, Args, Found};
use crate::{Client, SENT};

/// How each of them begins.
const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n";
const GET: &[u8] = b"*2\r\n$3\r\nGET\r\n";
/// Commands in one call.
const MOST: usize = 100;
/// Below that, one by one is as good.
const LEAST: usize = 4;

impl Client {
    /// Run the `SET`s or `GET`s that the bytes begin with, if there are several. Returns how
    /// many bytes those have that were answered; `None` if they are to be run one by one,
    /// also because one of them fails.
    pub fn run_row(
        &mut self,
        bytes: &[u8],
        args: &mut Vec<Range<usize>>,
        out: &mut Out,
    ) -> Option<usize> {
        // Most often one comes alone, and is not looked at twice.
        if bytes.len() < LEAST * GET.len() || !self.is_resp3 && self.channels.count() > 0 {
            return None;
        }
        if bytes.starts_with(SET) {
            self.set_row(bytes, args, out)
        } else if bytes.starts_with(GET) {
            self.get_row(bytes, args, out)
        } else {
            None
        }
    }

    fn set_row(
        &mut self,
        bytes: &[u8],
        args: &mut Vec<Range<usize>>,
        out: &mut Out,
    ) -> Option<usize> {
        let mut pairs = Vec::with_capacity(MOST);
        let done = row(bytes, SET, args, |command, _| {
            pairs.push((key(command.get(1)).ok()?, command.get(2)));
            Some(())
        })?;
        self.bucket().ok()?.set_many(&pairs).ok()?;
        pairs.iter().for_each(|_| out.ok());
        Some(done)
    }

    fn get_row(
        &mut self,
        bytes: &[u8],
        args: &mut Vec<Range<usize>>,
        out: &mut Out,
    ) -> Option<usize> {
        let (mut keys, mut ends) = (Vec::with_capacity(MOST), Vec::with_capacity(MOST));
        row(bytes, GET, args, |command, end| {
            keys.push(key(command.get(1)).ok()?);
            ends.push(end);
            Some(())
        })?;
        // Those that are no more within what is sent at once are left for the next row.
        let values = self.bucket().ok()?.get_values(&keys, SENT).ok()?;
        values.iter().for_each(|value| out.bulk_or_null(value));
        ends.get(values.len().checked_sub(1)?).copied()
    }
}

/// Go through the commands that begin so, each with where it ends, until one is not taken.
/// Returns where the last ends, if they are enough for a row.
fn row<'a>(
    bytes: &'a [u8],
    start: &[u8],
    args: &mut Vec<Range<usize>>,
    mut take: impl FnMut(Args<'a, '_>, usize) -> Option<()>,
) -> Option<usize> {
    let (mut count, mut done) = (0, 0);
    while count < MOST && bytes[done..].starts_with(start) {
        let rest = &bytes[done..];
        let Found::Command { length } = request::find(rest, args) else {
            break;
        };
        if take(Args::new(rest, args), done + length).is_none() {
            break;
        }
        done += length;
        count += 1;
    }
    (count >= LEAST).then_some(done)
}
