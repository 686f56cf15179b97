//! Teaches: connections that meet. A chat with names and rooms, in which the code can be
//! replaced while people talk: names, rooms and half-typed lines stay.
//!
//! Try it: `hotsocket serve chat.rs`, then `nc 127.0.0.1 3000` in two terminals. What one
//! types, the others in the room see. `/join ROOM`, `/who`, `/quit`.
//!
//! What is said goes from the host to the peers without a call of their guests
//! (`Delivery::Direct`); only `/who` asks the others' guests, who answer with a name.

use hotsocket_guest::framing::{Frames, Lines};
use hotsocket_guest::topics::{self, Delivery, Message, Subscriber, TopicError, WhenFull};
use hotsocket_guest::{Connection, Handler, Resumed, Snapshot, environment, export};

const LONGEST_LINE: usize = 1000;

#[derive(Default)]
struct Chat {
    /// Answers to `/who` come to `answers.` and this. It is random: ids of connections are
    /// those of one node, and people on several nodes may meet.
    inbox: String,
    /// Empty until the peer has told it.
    name: String,
    /// Empty also when the peer has quit.
    room: String,
    lines: Frames<Lines, LONGEST_LINE>,
}

impl Chat {
    fn obey(&mut self, conn: &Connection, line: &str) -> Result<(), TopicError> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if self.inbox.is_empty() {
            let inbox = format!("{:016x}", u64::from_ne_bytes(environment::random()));
            let (direct, drop) = (Delivery::Direct, WhenFull::DropOldest);
            topics::subscribe_with(&format!("answers.{inbox}"), direct, drop)?;
            self.inbox = inbox;
        }
        match word {
            _ if self.name.is_empty() => {
                if !is_word(line) {
                    conn.write("A name has letters and digits, 20 at most. Your name?\n");
                    return Ok(());
                }
                self.name = line.to_owned();
                self.join(conn, "lobby")
            }
            // What still comes after `/quit`.
            _ if self.room.is_empty() => Ok(()),
            "/join" if rest == self.room => {
                conn.write("You are there.\n");
                Ok(())
            }
            "/join" if is_word(rest) => self.join(conn, rest),
            "/join" => {
                conn.write("A room has letters and digits, 20 at most.\n");
                Ok(())
            }
            "/who" => {
                conn.write(format!("* {} (you)\n", self.name));
                topics::publish(&format!("who.{}", self.room), &self.inbox)
            }
            "/quit" => {
                conn.write("Bye!\n");
                conn.end();
                self.room.clear();
                Ok(())
            }
            "" => Ok(()),
            _ => self.say(&format!("{}: {line}\n", self.name)),
        }
    }

    fn say(&self, line: &str) -> Result<(), TopicError> {
        topics::publish(&format!("room.{}", self.room), line)
    }

    fn join(&mut self, conn: &Connection, room: &str) -> Result<(), TopicError> {
        if !self.room.is_empty() {
            self.say(&format!("* {} has gone to {room}\n", self.name))?;
            topics::unsubscribe(&format!("room.{}", self.room));
            topics::unsubscribe(&format!("who.{}", self.room));
        }
        room.clone_into(&mut self.room);
        let (said, who) = (format!("room.{room}"), format!("who.{room}"));
        let others = topics::subscribers(&said);
        // Whoever reads too slowly misses something, and stays.
        topics::subscribe_with(&said, Delivery::Direct, WhenFull::DropOldest)?;
        topics::subscribe_with(&who, Delivery::Event, WhenFull::DropOldest)?;
        // However this connection ends, also if the machine of its peer burns.
        topics::set_will(&said, format!("* {} has left\n", self.name))?;
        conn.write(format!("* {room}: {others} here besides you\n"));
        self.say(&format!("* {} has come\n", self.name))
    }
}

/// The line as text, without what telnet negotiates (three bytes that begin with 255: RFC
/// 854) and without what would act on the others' terminals.
fn plain(line: &[u8]) -> String {
    let mut bytes = line.iter().copied();
    let mut text = Vec::with_capacity(line.len());
    while let Some(byte) = bytes.next() {
        match byte {
            255 if matches!(bytes.next(), Some(251..=254)) => drop(bytes.next()),
            255 => {}
            _ => text.push(byte),
        }
    }
    String::from_utf8_lossy(&text).replace(char::is_control, "")
}

/// Fit for a name and for a part of a topic.
fn is_word(word: &str) -> bool {
    (1..=20).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

impl Handler for Chat {
    fn open(&mut self, conn: &Connection) -> Result<(), String> {
        conn.write("Your name?\n");
        Ok(())
    }

    fn data(&mut self, conn: &Connection, bytes: &[u8]) {
        self.lines.push(bytes);
        loop {
            match self.lines.next() {
                Ok(Some(line)) => {
                    if let Err(error) = self.obey(conn, plain(&line).trim()) {
                        conn.write(format!("{error}\n"));
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    conn.write(format!("{error}\n"));
                    return conn.end();
                }
            }
        }
    }

    fn save(&self) -> Option<Snapshot> {
        let words = format!("{}\n{}\n{}\n", self.inbox, self.name, self.room);
        Some(Snapshot::new(
            2,
            [words.as_bytes(), self.lines.half()].concat(),
        ))
    }

    fn resume(&mut self, _: &Connection, resumed: Resumed) -> Result<(), String> {
        let Some(snapshot) = resumed.snapshot else {
            return Ok(());
        };
        // Version 1 had no inbox.
        let state = snapshot.upgrade(2, &[|state| Ok([&b"\n"[..], &state].concat())])?;
        let mut parts = state.splitn(4, |byte| *byte == b'\n');
        let mut part = || parts.next().map(<[u8]>::to_vec).ok_or("a part is missing");
        let text = |bytes| String::from_utf8(bytes).map_err(|error| error.to_string());
        self.inbox = text(part()?)?;
        (self.name, self.room) = (text(part()?)?, text(part()?)?);
        self.lines = Frames::from_half(part()?);
        Ok(())
    }
}

impl Subscriber for Chat {
    /// Somebody in the room asks who is there, and says where answers go.
    fn message(&mut self, _: &Connection, message: Message<'_>) {
        let inbox = String::from_utf8_lossy(message.bytes);
        if !self.room.is_empty() && is_word(&inbox) {
            // The asker may have gone; nobody can be told.
            let _ = topics::publish(&format!("answers.{inbox}"), format!("* {}\n", self.name));
        }
    }
}

export!(Chat, Subscriber);
