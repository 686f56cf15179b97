//! Commands on keys.

use std::collections::VecDeque;
use std::time::Duration;

use hotsocket_guest::store::{Bucket, Condition, Life, Values};

use crate::commands::Failure;
use crate::reply::Out;
use crate::request::Args;
use crate::{BUCKET, Client, glob};

/// Keys in one call of the store.
const BATCH: usize = 1000;
/// Bytes of values or keys in one reply, so that it fits into what may wait for the client.
const MAX_REPLY: usize = 4 << 20;
/// Keys in one reply.
const MAX_LISTED: usize = 10_000;
/// Lists that a client may have begun and not finished.
const MAX_CURSORS: usize = 16;

/// Where lists go on that the client has begun. Its cursors are numbers, and the store's
/// are text, so they are known to this connection alone.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Cursors {
    pub last: u64,
    /// The oldest first.
    pub open: VecDeque<(u64, String)>,
}

impl Cursors {
    fn add(&mut self, cursor: Option<String>) -> u64 {
        let Some(cursor) = cursor else {
            return 0;
        };
        if self.open.len() >= MAX_CURSORS {
            self.open.pop_front();
        }
        self.last += 1;
        self.open.push_back((self.last, cursor));
        self.last
    }

    fn get(&self, number: u64) -> Option<&str> {
        let mut open = self.open.iter();
        let found = open.find(|(known, _)| *known == number);
        found.map(|(_, cursor)| cursor.as_str())
    }
}

pub fn key(bytes: &[u8]) -> Result<&str, Failure> {
    let key = str::from_utf8(bytes).map_err(|_| Failure::Key)?;
    match key.len() {
        1..=1024 => Ok(key),
        _ => Err(Failure::Key),
    }
}

fn number(bytes: &[u8]) -> Result<i64, Failure> {
    let text = str::from_utf8(bytes).map_err(|_| Failure::NotANumber)?;
    text.parse().map_err(|_| Failure::NotANumber)
}

impl Client {
    pub fn bucket(&mut self) -> Result<&Bucket, Failure> {
        match &mut self.bucket {
            Some(bucket) => Ok(bucket),
            none => Ok(none.insert(Bucket::open(BUCKET)?)),
        }
    }

    /// Run a command, if it is one on keys.
    pub fn run_on_keys(
        &mut self,
        name: &[u8],
        args: Args<'_, '_>,
        out: &mut Out,
    ) -> Option<Result<(), Failure>> {
        Some(match (name, args.len()) {
            (b"GET", 2) => self.get(args.get(1), out),
            (b"SET", 3..) => self.set(args, out),
            (b"INCR", 2) => self.add(args.get(1), Ok(1), out),
            (b"DECR", 2) => self.add(args.get(1), Ok(-1), out),
            (b"INCRBY", 3) => self.add(args.get(1), number(args.get(2)), out),
            (b"DECRBY", 3) => {
                let less = number(args.get(2))
                    .and_then(|less| less.checked_neg().ok_or(Failure::NotANumber));
                self.add(args.get(1), less, out)
            }
            (b"DEL" | b"UNLINK", 2..) => self.count(args, out, Bucket::delete),
            (b"EXISTS", 2..) => self.count(args, out, Bucket::exists),
            (b"MGET", 2..) => self.get_many(args, out),
            (b"MSET", 3..) if args.len() % 2 == 1 => self.set_many(args, out),
            (b"EXPIRE", 3) => self.expire(args, 1000, out),
            (b"PEXPIRE", 3) => self.expire(args, 1, out),
            (b"PERSIST", 2) => self.persist(args.get(1), out),
            (b"TTL", 2) => self.life(args.get(1), 1000, out),
            (b"PTTL", 2) => self.life(args.get(1), 1, out),
            (b"TYPE", 2) => self.kind(args.get(1), out),
            (b"KEYS", 2) => self.keys(args.get(1), out),
            (b"SCAN", 2..) => self.scan(args, out),
            (
                b"GET" | b"SET" | b"INCR" | b"DECR" | b"INCRBY" | b"DECRBY" | b"DEL" | b"UNLINK"
                | b"EXISTS" | b"MGET" | b"MSET" | b"EXPIRE" | b"PEXPIRE" | b"PERSIST" | b"TTL"
                | b"PTTL" | b"TYPE" | b"KEYS" | b"SCAN",
                _,
            ) => Err(Failure::Usage),
            _ => return None,
        })
    }

    fn get(&mut self, of: &[u8], out: &mut Out) -> Result<(), Failure> {
        let value = self.bucket()?.get(key(of)?)?;
        out.bulk_or_null(value.as_deref());
        Ok(())
    }

    fn set(&mut self, args: Args<'_, '_>, out: &mut Out) -> Result<(), Failure> {
        let (of, value) = (key(args.get(1))?, args.get(2));
        let bucket = self.bucket()?;
        if args.len() == 3 {
            bucket.set(of, value)?;
            out.ok();
            return Ok(());
        }
        let (mut when, mut life) = (Condition::Always, Life::Forever);
        let mut options = args.from(3);
        while let Some(option) = options.next() {
            let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
            let unit = [("EX", 1000), ("PX", 1)]
                .into_iter()
                .find(|(name, _)| is(name));
            if let Some((_, unit)) = unit.filter(|_| life == Life::Forever) {
                let count = number(options.next().ok_or(Failure::Syntax)?)?;
                let millis = u64::try_from(count)
                    .ok()
                    .and_then(|count| count.checked_mul(unit));
                let millis = millis.filter(|millis| *millis > 0);
                let invalid = Failure::Other("ERR invalid expire time in 'set' command");
                life = Life::For(Duration::from_millis(millis.ok_or(invalid)?));
            } else if is("KEEPTTL") && life == Life::Forever {
                life = Life::Unchanged;
            } else if is("NX") && when == Condition::Always {
                when = Condition::IfAbsent;
            } else if is("XX") && when == Condition::Always {
                when = Condition::IfPresent;
            } else {
                return Err(Failure::Syntax);
            }
        }
        match bucket.set_with(of, value, when, life)? {
            true => out.ok(),
            false => out.null(),
        }
        Ok(())
    }

    fn add(
        &mut self,
        of: &[u8],
        delta: Result<i64, Failure>,
        out: &mut Out,
    ) -> Result<(), Failure> {
        let sum = self.bucket()?.increment(key(of)?, delta?)?;
        out.integer(sum);
        Ok(())
    }

    /// How many of the keys something is true for.
    fn count(
        &mut self,
        args: Args<'_, '_>,
        out: &mut Out,
        is: impl Fn(&Bucket, &str) -> Result<bool, hotsocket_guest::store::StoreError>,
    ) -> Result<(), Failure> {
        let bucket = self.bucket()?;
        let mut count = 0;
        for of in args.from(1) {
            count += i64::from(is(bucket, key(of)?)?);
        }
        out.integer(count);
        Ok(())
    }

    fn get_many(&mut self, args: Args<'_, '_>, out: &mut Out) -> Result<(), Failure> {
        let keys = args.from(1).map(key).collect::<Result<Vec<_>, _>>()?;
        let bucket = self.bucket()?;
        let mut parts = Vec::new();
        let (mut rest, mut room) = (&*keys, MAX_REPLY);
        while !rest.is_empty() {
            let part = bucket.get_values(&rest[..rest.len().min(BATCH)], room)?;
            let left = room.checked_sub(part.size());
            room = left.ok_or(Failure::Other("ERR the reply has more than 4 MiB"))?;
            rest = &rest[part.len()..];
            parts.push(part);
        }
        out.array(keys.len());
        for value in parts.iter().flat_map(Values::iter) {
            out.bulk_or_null(value);
        }
        Ok(())
    }

    fn set_many(&mut self, args: Args<'_, '_>, out: &mut Out) -> Result<(), Failure> {
        let mut rest = args.from(1);
        let mut pairs = Vec::with_capacity(args.len() / 2);
        while let (Some(of), Some(value)) = (rest.next(), rest.next()) {
            pairs.push((key(of)?, value));
        }
        let bucket = self.bucket()?;
        for part in pairs.chunks(BATCH) {
            bucket.set_many(part)?;
        }
        out.ok();
        Ok(())
    }

    fn expire(&mut self, args: Args<'_, '_>, unit: u64, out: &mut Out) -> Result<(), Failure> {
        let of = key(args.get(1))?;
        let count = number(args.get(2))?;
        // What is in the past removes the key.
        let millis = u64::try_from(count).unwrap_or(0).saturating_mul(unit);
        let life = Life::For(Duration::from_millis(millis));
        let is_set = self.bucket()?.set_life(of, life)?;
        out.integer(i64::from(is_set));
        Ok(())
    }

    fn persist(&mut self, of: &[u8], out: &mut Out) -> Result<(), Failure> {
        let of = key(of)?;
        let bucket = self.bucket()?;
        let had_end = matches!(bucket.life(of)?, Some(Life::For(_)));
        let is_set = had_end && bucket.set_life(of, Life::Forever)?;
        out.integer(i64::from(is_set));
        Ok(())
    }

    fn life(&mut self, of: &[u8], unit: u128, out: &mut Out) -> Result<(), Failure> {
        out.integer(match self.bucket()?.life(key(of)?)? {
            None => -2,
            Some(Life::For(time)) => {
                let rounded = (time.as_millis() + unit / 2) / unit;
                i64::try_from(rounded).unwrap_or(i64::MAX)
            }
            Some(Life::Forever | Life::Unchanged) => -1,
        });
        Ok(())
    }

    fn kind(&mut self, of: &[u8], out: &mut Out) -> Result<(), Failure> {
        let kind = match self.bucket()?.exists(key(of)?)? {
            true => "string",
            false => "none",
        };
        out.simple(kind);
        Ok(())
    }

    fn keys(&mut self, pattern: &[u8], out: &mut Out) -> Result<(), Failure> {
        let pattern = str::from_utf8(pattern).map_err(|_| Failure::Key)?;
        let prefix = glob::prefix(pattern);
        let bucket = self.bucket()?;
        let (mut found, mut size, mut cursor) = (Vec::new(), 0, None);
        loop {
            let page = bucket.page(&prefix, cursor.as_deref(), BATCH)?;
            for key in page.keys {
                if glob::matches(pattern.as_bytes(), key.as_bytes()) {
                    size += key.len();
                    found.push(key);
                }
            }
            if found.len() > MAX_LISTED {
                return Err(Failure::Other("ERR more than 10,000 keys; use SCAN"));
            }
            if size > MAX_REPLY {
                return Err(Failure::Other(
                    "ERR the reply has more than 4 MiB; use SCAN",
                ));
            }
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        list(&found, out);
        Ok(())
    }

    fn scan(&mut self, args: Args<'_, '_>, out: &mut Out) -> Result<(), Failure> {
        let invalid = || Failure::Other("ERR invalid cursor");
        let number_of = |bytes| number(bytes).ok().and_then(|at| u64::try_from(at).ok());
        let from = number_of(args.get(1)).ok_or_else(invalid)?;
        let (mut pattern, mut count) = ("*", 10);
        let mut options = args.from(2);
        while let (Some(option), Some(value)) = (options.next(), options.next()) {
            if option.eq_ignore_ascii_case(b"MATCH") {
                pattern = str::from_utf8(value).map_err(|_| Failure::Key)?;
            } else if option.eq_ignore_ascii_case(b"COUNT") {
                count = number_of(value)
                    .filter(|count| *count > 0)
                    .ok_or(Failure::Syntax)?;
            } else {
                return Err(Failure::Syntax);
            }
        }
        let cursor = match from {
            0 => None,
            number => Some(self.cursors.get(number).ok_or_else(invalid)?.to_owned()),
        };
        let most = usize::try_from(count).unwrap_or(BATCH).min(BATCH);
        let prefix = glob::prefix(pattern);
        let page = self.bucket()?.page(&prefix, cursor.as_deref(), most)?;
        let fits = |key: &String| glob::matches(pattern.as_bytes(), key.as_bytes());
        let found: Vec<_> = page.keys.into_iter().filter(fits).collect();
        out.array(2);
        out.bulk(self.cursors.add(page.cursor).to_string().as_bytes());
        list(&found, out);
        Ok(())
    }
}

fn list(keys: &[String], out: &mut Out) {
    out.array(keys.len());
    for key in keys {
        out.bulk(key.as_bytes());
    }
}
