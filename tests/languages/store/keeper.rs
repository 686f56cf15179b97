//! Uses the store as its peer says, a line for each order.

use std::time::Duration;

use hotsocket_guest::framing::{Frames, Lines};
use hotsocket_guest::store::{Bucket, Condition, Life, StoreError};
use hotsocket_guest::{Connection, Handler, export};

#[derive(Default)]
struct Keeper {
    lines: Frames<Lines, 4096>,
}

fn shown(value: Option<Vec<u8>>) -> String {
    value.map_or_else(
        || "none".to_owned(),
        |value| String::from_utf8_lossy(&value).into_owned(),
    )
}

fn obey(line: &str) -> Result<String, StoreError> {
    let bucket = Bucket::open("kept")?;
    let mut words = line.splitn(3, ' ');
    let mut word = || words.next().unwrap_or_default();
    let (order, key, rest) = (word(), word(), word());
    let millis = || {
        Duration::from_millis(
            rest.split(' ')
                .next()
                .unwrap_or_default()
                .parse()
                .unwrap_or(0),
        )
    };
    let value = || rest.split_once(' ').map_or("", |(_, value)| value);
    Ok(match order {
        "get" => shown(bucket.get(key)?),
        "has" => bucket.exists(key)?.to_string(),
        "set" => bucket
            .set_with(key, rest, Condition::Always, Life::Forever)?
            .to_string(),
        "set-for" => bucket
            .set_with(key, value(), Condition::Always, Life::For(millis()))?
            .to_string(),
        "set-if-absent" => bucket
            .set_with(key, rest, Condition::IfAbsent, Life::Forever)?
            .to_string(),
        "set-unchanged" => bucket
            .set_with(key, rest, Condition::IfPresent, Life::Unchanged)?
            .to_string(),
        "delete" => bucket.delete(key)?.to_string(),
        "add" => bucket
            .increment(key, rest.parse().unwrap_or(0))?
            .to_string(),
        "append" => {
            bucket.update(key, |value| {
                let mut value = value.map(<[u8]>::to_vec).unwrap_or_default();
                value.extend_from_slice(rest.as_bytes());
                Some(value)
            })?;
            shown(bucket.get(key)?)
        }
        "ttl" => match bucket.life(key)? {
            None => "none".to_owned(),
            Some(Life::For(life)) => life.as_millis().to_string(),
            Some(_) => "forever".to_owned(),
        },
        "expire" => bucket.set_life(key, Life::For(millis()))?.to_string(),
        "keys" => {
            let mut keys = bucket.keys(key)?;
            keys.sort();
            keys.join(" ")
        }
        _ => "what?".to_owned(),
    })
}

impl Handler for Keeper {
    fn data(&mut self, conn: &Connection, bytes: &[u8]) {
        self.lines.push(bytes);
        while let Ok(Some(line)) = self.lines.next() {
            let line = String::from_utf8_lossy(&line).into_owned();
            let answer = obey(&line).unwrap_or_else(|error| format!("failed: {error}"));
            conn.write(format!("{answer}\n"));
        }
    }
}

export!(Keeper);
