//! A guest that uses the store as its peer says, a line for each order. A word that
//! begins with `*` stands for so many bytes.

use std::time::Duration;

use hotsocket_guest::framing::{Frames, Lines};
use hotsocket_guest::store::{Bucket, CompareAndSwap, Condition, Life, StoreError, SwapError};
use hotsocket_guest::{Connection, Handler, Resumed, Snapshot, export, println};

#[derive(Default)]
pub struct Keeper {
    lines: Frames<Lines, 4096>,
    bucket: String,
    open: Option<Bucket>,
    seen: Option<CompareAndSwap>,
    /// In `save`, too.
    is_stubborn: bool,
}

type Said = Result<String, StoreError>;

fn expand(word: &str) -> String {
    match word.strip_prefix('*').map(str::parse) {
        Some(Ok(count)) => "x".repeat(count),
        _ => word.to_owned(),
    }
}

fn text(value: Option<Vec<u8>>) -> String {
    match value {
        None => "none".to_owned(),
        Some(value) if value.len() > 100 => format!("{} bytes", value.len()),
        Some(value) => String::from_utf8_lossy(&value).into_owned(),
    }
}

fn yes(result: Result<bool, StoreError>) -> Said {
    result.map(|yes| if yes { "yes" } else { "no" }.to_owned())
}

fn life(millis: &str) -> Life {
    match millis.parse() {
        Ok(millis) => Life::For(Duration::from_millis(millis)),
        Err(_) if millis == "unchanged" => Life::Unchanged,
        Err(_) => Life::Forever,
    }
}

impl Keeper {
    fn bucket(&mut self) -> Result<&Bucket, StoreError> {
        if self.open.is_none() {
            self.open = Some(Bucket::open(&self.bucket)?);
        }
        Ok(self.open.as_ref().expect("just opened"))
    }

    fn obey(&mut self, line: &str) -> Said {
        let words: Vec<_> = line.split(' ').map(expand).collect();
        let word = |at: usize| words.get(at).map_or("", String::as_str);
        let ok = |()| "ok".to_owned();
        let rest = &words[1..];
        match word(0) {
            "in" => {
                self.bucket = word(1).to_owned();
                self.open = None;
                self.bucket()?;
                Ok("ok".to_owned())
            }
            "open-many" => {
                let count = word(1).parse().unwrap_or(0);
                let open =
                    (0..count).map(|number| Bucket::open(&format!("{}{}", word(2), number % 500)));
                open.collect::<Result<Vec<_>, _>>()
                    .map(|all| all.len().to_string())
            }
            "get" => Ok(text(self.bucket()?.get(word(1))?)),
            "exists" => yes(self.bucket()?.exists(word(1))),
            "set" => self.bucket()?.set(word(1), word(2)).map(ok),
            "set-for" => self
                .bucket()?
                .set_for(
                    word(1),
                    word(2),
                    Duration::from_millis(word(3).parse().unwrap_or(0)),
                )
                .map(ok),
            "absent" => yes(self.bucket()?.set_if_absent(word(1), word(2))),
            "present" => {
                let life = life(word(3));
                yes(self
                    .bucket()?
                    .set_with(word(1), word(2), Condition::IfPresent, life))
            }
            "delete" => yes(self.bucket()?.delete(word(1))),
            "add" => {
                let delta = word(2).parse().unwrap_or(1);
                self.bucket()?
                    .increment(word(1), delta)
                    .map(|sum| sum.to_string())
            }
            // So often, each time one more letter, or a number that grows by one.
            "append" => {
                let append =
                    |old: Option<&[u8]>| [old.unwrap_or_default(), word(2).as_bytes()].concat();
                self.bucket()?
                    .update(word(1), append)
                    .map(|new| new.len().to_string())
            }
            "see" => {
                let seen = self.bucket()?.compare_and_swap(word(1))?;
                self.seen = Some(seen);
                Ok("ok".to_owned())
            }
            "current" => {
                let current = self.seen.as_ref().map(CompareAndSwap::current);
                Ok(text(current.transpose()?.flatten()))
            }
            "swap" => match self.seen.take().expect("seen").swap(word(1)) {
                Ok(()) => Ok("ok".to_owned()),
                Err(SwapError::Changed(again)) => {
                    self.seen = Some(again);
                    Ok("changed".to_owned())
                }
                Err(SwapError::Store(error)) => Err(error),
            },
            "life" => Ok(match self.bucket()?.life(word(1))? {
                None => "none".to_owned(),
                Some(Life::For(time)) => format!("{} s", time.as_millis().div_ceil(1000)),
                Some(_) => "forever".to_owned(),
            }),
            "set-life" => yes(self.bucket()?.set_life(word(1), life(word(2)))),
            "keys" => {
                let mut keys = self.bucket()?.keys(word(1))?;
                keys.sort();
                let count = keys.len();
                Ok(if count > 20 {
                    count.to_string()
                } else {
                    keys.join(" ")
                })
            }
            "page" => {
                let cursor = Some(word(2)).filter(|cursor| !cursor.is_empty());
                let page = self.bucket()?.page(word(1), cursor, 3)?;
                Ok(format!(
                    "{} {}",
                    page.keys.len(),
                    page.cursor.unwrap_or_default()
                ))
            }
            "get-many" => {
                let values = self.bucket()?.get_many(rest)?;
                Ok(values.into_iter().map(text).collect::<Vec<_>>().join(" "))
            }
            "get-values" => {
                let most = word(1).parse().unwrap_or(0);
                let values = self.bucket()?.get_values(&rest[1..], most)?;
                let values = values.iter().map(|value| text(value.map(<[u8]>::to_vec)));
                Ok(values.collect::<Vec<_>>().join(" "))
            }
            "set-many" => {
                let pairs: Vec<_> = rest.chunks(2).map(|pair| (&pair[0], &pair[1])).collect();
                self.bucket()?.set_many(&pairs).map(ok)
            }
            "delete-many" => self.bucket()?.delete_many(rest).map(ok),
            // So many keys with such a name, with a value of so many bytes.
            "fill" => {
                let (count, size) = (word(1).parse().unwrap_or(0), word(3).parse().unwrap_or(1));
                let value = vec![b'v'; size];
                let keys = (0..count).map(|number: u32| format!("{}{number}", word(2)));
                let keys: Vec<_> = keys.collect();
                for part in keys.chunks(1000) {
                    let pairs: Vec<_> = part.iter().map(|key| (key, &value)).collect();
                    self.bucket()?.set_many(&pairs)?;
                }
                Ok("ok".to_owned())
            }
            "get-filled" => {
                let keys = (0..word(1).parse().unwrap_or(0))
                    .map(|number: u32| format!("{}{number}", word(2)));
                let keys: Vec<_> = keys.collect();
                let found = self.bucket()?.get_many(&keys)?;
                Ok(found.iter().flatten().count().to_string())
            }
            "stubborn" => {
                self.is_stubborn = true;
                Ok("ok".to_owned())
            }
            "trap" => {
                self.bucket()?.set(word(1), word(2))?;
                panic!("as ordered");
            }
            _ => Ok("what?".to_owned()),
        }
    }
}

impl Handler for Keeper {
    fn listening(_: &[std::net::SocketAddr]) {
        let try_out = || {
            let bucket = Bucket::open("")?;
            let found = bucket.get("begin")?;
            bucket.set("begin", "x").map(|()| text(found))
        };
        println!("listening: {:?}", try_out());
    }

    fn data(&mut self, conn: &Connection, bytes: &[u8]) {
        self.lines.push(bytes);
        while let Ok(Some(line)) = self.lines.next() {
            let line = String::from_utf8_lossy(&line).into_owned();
            let said = self.obey(&line);
            let said = said.unwrap_or_else(|error| format!("error: {error}"));
            conn.write(format!("{said}\n"));
        }
    }

    fn resume(&mut self, _: &Connection, resumed: Resumed) -> Result<(), String> {
        if let Some(snapshot) = resumed.snapshot {
            self.bucket = String::from_utf8_lossy(&snapshot.upgrade(1, &[])?).into_owned();
        }
        Ok(())
    }

    fn save(&self) -> Option<Snapshot> {
        let mut bucket = self.bucket.clone();
        if self.is_stubborn {
            let set = Bucket::open("").and_then(|bucket| bucket.set("saved", "x"));
            bucket = set.map_or_else(|error| error.to_string(), |()| "it was set".to_owned());
        }
        Some(Snapshot::new(1, bucket))
    }
}

export!(Keeper);
