//! `SET`s without options that a client sends in a row, without waiting: one call of the
//! store for all of them.

use std::ops::Range;

use crate::Client;
use crate::keys::key;
use crate::reply::Out;
use crate::request::{self, Args, Found};

/// How each of them begins.
const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n";
/// Commands in one call.
const MOST: usize = 100;
/// Below that, one by one is as good.
const LEAST: usize = 4;

impl Client {
    /// Run the `SET`s that the bytes begin with, if there are several. Returns how many
    /// bytes they have; `None` if they are to be run one by one, also because one of them
    /// fails.
    pub fn set_in_a_row(
        &mut self,
        bytes: &[u8],
        args: &mut Vec<Range<usize>>,
        out: &mut Out,
    ) -> Option<usize> {
        // Most often one comes alone, and is not looked at twice.
        if !bytes.starts_with(SET)
            || bytes.len() < LEAST * SET.len()
            || !self.is_resp3 && self.channels.count() > 0
        {
            return None;
        }
        let (mut pairs, mut done) = (Vec::new(), 0);
        while pairs.len() < MOST && bytes[done..].starts_with(SET) {
            let rest = &bytes[done..];
            let Found::Command { length } = request::find(rest, args) else {
                break;
            };
            let command = Args::new(rest, args);
            let Ok(of) = key(command.get(1)) else {
                break;
            };
            pairs.push((of, command.get(2)));
            done += length;
        }
        if pairs.len() < LEAST {
            return None;
        }
        self.bucket().ok()?.set_many(&pairs).ok()?;
        pairs.iter().for_each(|_| out.ok());
        Some(done)
    }
}
