//! A guest that uses topics as its peer says, a line for each order. It numbers the
//! messages that it gets, and the number is its state.

use hotsocket_guest::framing::{Frames, Lines};
use hotsocket_guest::topics::{self, Delivery, Message, Subscriber, TopicError, WhenFull};
use hotsocket_guest::{CloseReason, Connection, Handler, Resumed, Snapshot, export, println};

#[derive(Default)]
pub struct Messenger {
    lines: Frames<Lines, 4096>,
    messages: u32,
}

fn told(result: Result<(), TopicError>) -> String {
    result.map_or_else(|error| format!("{error:?}"), |()| "ok".to_owned())
}

impl Messenger {
    fn obey(&mut self, conn: &Connection, line: &str) {
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_default();
        let (order, topic, text) = (word(), word(), word());
        let subscribe = |delivery, when_full| topics::subscribe_with(topic, delivery, when_full);
        let result = match order {
            "event" => told(subscribe(Delivery::Event, WhenFull::Close)),
            "event-drop" => told(subscribe(Delivery::Event, WhenFull::DropOldest)),
            "direct" => told(subscribe(Delivery::Direct, WhenFull::Close)),
            "direct-drop" => told(subscribe(Delivery::Direct, WhenFull::DropOldest)),
            "leave" => {
                topics::unsubscribe(topic);
                "ok".to_owned()
            }
            "publish" => told(topics::publish(topic, text)),
            // So many messages of so many bytes each.
            "many" => {
                let (count, size) = text.split_once(' ').unwrap_or((text, "10"));
                let size: usize = size.parse().unwrap_or(0);
                let publish = |number: u32| {
                    let number = number.to_string();
                    let zeros = "0".repeat(size.saturating_sub(number.len()));
                    topics::publish(topic, zeros + &number)
                };
                told((0..count.parse().unwrap_or(0)).try_for_each(publish))
            }
            "will" => told(topics::set_will(topic, text)),
            "no-will" => {
                topics::clear_will();
                "ok".to_owned()
            }
            "count" => topics::subscribers(topic).to_string(),
            "write" => {
                let size = topic.parse().unwrap_or(0);
                conn.write(vec![b'w'; size]);
                return;
            }
            "trap" => panic!("as ordered"),
            "end" => {
                conn.end();
                return;
            }
            "abort" => {
                conn.abort();
                return;
            }
            "pause" => {
                conn.pause();
                "ok".to_owned()
            }
            "start-tls" => match conn.start_tls("go\n") {
                Ok(()) => return,
                Err(error) => format!("{error:?}"),
            },
            _ => "what?".to_owned(),
        };
        conn.write(format!("{result}\n"));
        // What an event has asked for is dropped with it.
        if text.ends_with('!') {
            panic!("as ordered");
        }
    }
}

impl Handler for Messenger {
    fn data(&mut self, conn: &Connection, bytes: &[u8]) {
        self.lines.push(bytes);
        while let Ok(Some(line)) = self.lines.next() {
            let line = String::from_utf8_lossy(&line).into_owned();
            self.obey(conn, &line);
        }
    }

    fn resume(&mut self, _: &Connection, resumed: Resumed) -> Result<(), String> {
        if let Some(snapshot) = resumed.snapshot {
            let state = snapshot.upgrade(1, &[])?;
            let state = state.try_into().map_err(|_| "not 4 bytes")?;
            self.messages = u32::from_le_bytes(state);
        }
        Ok(())
    }

    fn close(&mut self, conn: &Connection, reason: CloseReason) {
        println!("{} closed: {reason:?}", conn.id());
        let _ = topics::publish("closed", format!("{}\n", conn.id()));
    }

    fn save(&self) -> Option<Snapshot> {
        Some(Snapshot::new(1, self.messages.to_le_bytes()))
    }
}

impl Subscriber for Messenger {
    fn message(&mut self, conn: &Connection, message: Message<'_>) {
        self.messages += 1;
        let Message {
            topic,
            sender,
            bytes,
        } = message;
        let text = String::from_utf8_lossy(bytes);
        conn.write(format!("{} {topic} {sender} {text}\n", self.messages));
    }

    fn lagged(&mut self, conn: &Connection, missed: u64) {
        conn.write(format!("lagged {missed}\n"));
    }
}

export!(Messenger, Subscriber);
