//! MQTT 3.1.1's packets, as they are on the wire:
//! <https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html>.

use hotsocket_guest::framing::{Codec, Found};

use crate::topic;

/// The longest packet, in bytes: a message of 64 KiB with its topic.
pub const MAX_PACKET: usize = (64 << 10) + 1024;

/// Where a packet ends: a byte, a length of one to four bytes, and so many bytes.
#[derive(Clone, Copy, Debug)]
pub struct Wire;

impl Codec for Wire {
    fn find(bytes: &[u8], _: usize) -> Result<Found, String> {
        let mut length = 0;
        for (index, byte) in bytes.iter().skip(1).take(4).enumerate() {
            length |= usize::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                let end = index + 2 + length;
                return Ok(match end <= bytes.len() {
                    // Whole, as its first byte says what it is.
                    true => Found::Frame {
                        contents: 0..end,
                        end,
                    },
                    false => Found::Part { at_least: end },
                });
            }
        }
        match bytes.len() > 4 {
            true => Err("a length of more than four bytes".to_owned()),
            false => Ok(Found::Part { at_least: 2 }),
        }
    }

    fn encode(packet: &[u8]) -> Vec<u8> {
        packet.to_vec()
    }
}

/// What a client sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    Connect(Connect),
    Publish(Publish),
    PubAck(u16),
    /// Filters, each with the most QoS.
    Subscribe(u16, Vec<(String, u8)>),
    Unsubscribe(u16, Vec<String>),
    PingReq,
    Disconnect,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connect {
    /// 4 is 3.1.1. Of another one nothing else is read.
    pub level: u8,
    pub client: String,
    pub clean: bool,
    /// Seconds; 0 for none.
    pub keep_alive: u16,
    pub will: Option<Publish>,
    pub user: Option<String>,
    pub password: Option<Vec<u8>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publish {
    pub topic: String,
    pub payload: Vec<u8>,
    /// 0 or 1.
    pub qos: u8,
    pub retain: bool,
    /// With QoS 1.
    pub id: u16,
    pub dup: bool,
}

type Result<T, E = String> = std::result::Result<T, E>;

/// Read a whole packet.
///
/// # Errors
/// It is none: why, in words.
pub fn parse(packet: &[u8]) -> Result<Packet> {
    let (&first, rest) = packet.split_first().ok_or("an empty packet")?;
    let length = rest.iter().take_while(|byte| **byte & 0x80 != 0).count() + 1;
    let mut body = Body(rest.get(length..).unwrap_or_default());
    let (kind, flags) = (first >> 4, first & 0x0f);
    let expected = match kind {
        3 => flags,
        8 | 10 => 2,
        _ => 0,
    };
    if flags != expected {
        return Err(format!("flags {flags:#x} of a packet of type {kind}"));
    }
    let packet = match kind {
        1 => Packet::Connect(body.connect()?),
        3 => Packet::Publish(body.publish(flags)?),
        4 => Packet::PubAck(body.number()?),
        8 => {
            let id = body.id()?;
            let filters = body.list(|body| {
                let (filter, qos) = (body.filter()?, body.byte()?);
                match qos {
                    0..=2 => Ok((filter, qos)),
                    _ => Err(format!("QoS {qos}")),
                }
            });
            Packet::Subscribe(id, filters?)
        }
        10 => Packet::Unsubscribe(body.id()?, body.list(Body::filter)?),
        12 => Packet::PingReq,
        14 => Packet::Disconnect,
        5..=7 => return Err("QoS 2, which this server does not have".to_owned()),
        _ => return Err(format!("a packet of type {kind}")),
    };
    match body.0 {
        [] => Ok(packet),
        // A protocol of another version has other fields.
        _ if matches!(&packet, Packet::Connect(connect) if connect.level != 4) => Ok(packet),
        more => Err(format!("{} bytes too many", more.len())),
    }
}

/// What is left of a packet.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or("a packet that is too short")?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn number(&mut self) -> Result<u16> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn id(&mut self) -> Result<u16> {
        match self.number()? {
            0 => Err("packet id 0".to_owned()),
            id => Ok(id),
        }
    }

    fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.number()?;
        self.take(length.into())
    }

    fn text(&mut self) -> Result<String> {
        let text =
            String::from_utf8(self.bytes()?.to_vec()).map_err(|_| "text that is no UTF-8")?;
        match text.contains('\0') {
            true => Err("text with U+0000".to_owned()),
            false => Ok(text),
        }
    }

    fn filter(&mut self) -> Result<String> {
        let filter = self.text()?;
        match topic::is_filter(&filter) {
            true => Ok(filter),
            false => Err(format!("{filter:?} as a filter")),
        }
    }

    fn topic(&mut self) -> Result<String> {
        let topic = self.text()?;
        match topic::is_topic(&topic) {
            true => Ok(topic),
            false => Err(format!("{topic:?} as a topic")),
        }
    }

    /// One or more.
    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![item(self)?];
        while !self.0.is_empty() {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn publish(&mut self, flags: u8) -> Result<Publish> {
        let qos = flags >> 1 & 3;
        if qos > 1 {
            return Err(format!("QoS {qos}, which this server does not have"));
        }
        let topic = self.topic()?;
        let id = if qos > 0 { self.id()? } else { 0 };
        let payload = self.take(self.0.len())?.to_vec();
        Ok(Publish {
            topic,
            payload,
            qos,
            retain: flags & 1 != 0,
            id,
            dup: flags & 8 != 0,
        })
    }

    fn connect(&mut self) -> Result<Connect> {
        let (name, level) = (self.text()?, self.byte()?);
        if !matches!(name.as_str(), "MQTT" | "MQIsdp") {
            return Err(format!("protocol {name:?}"));
        }
        let mut connect = Connect {
            level,
            ..Connect::default()
        };
        if level != 4 || name != "MQTT" {
            connect.level = level.min(3);
            return Ok(connect);
        }
        let flags = self.byte()?;
        let has = |bit: u8| flags & bit != 0;
        let will_qos = flags >> 3 & 3;
        let is_plain = !has(0x04) && flags & 0x38 != 0;
        if has(0x01) || is_plain || will_qos > 2 || has(0x40) && !has(0x80) {
            return Err(format!("flags {flags:#x} of CONNECT"));
        }
        connect.clean = has(0x02);
        connect.keep_alive = self.number()?;
        connect.client = self.text()?;
        if has(0x04) {
            let (topic, payload) = (self.topic()?, self.bytes()?.to_vec());
            connect.will = Some(Publish {
                topic,
                payload,
                qos: will_qos.min(1),
                retain: has(0x20),
                ..Publish::default()
            });
        }
        if has(0x80) {
            connect.user = Some(self.text()?);
        }
        if has(0x40) {
            connect.password = Some(self.bytes()?.to_vec());
        }
        Ok(connect)
    }
}

/// What CONNACK says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Accepted = 0,
    Version = 1,
    Client = 2,
    Login = 4,
}

pub fn connack(answer: Answer) -> [u8; 4] {
    [0x20, 2, 0, answer as u8]
}

pub fn puback(id: u16) -> [u8; 4] {
    let [high, low] = id.to_be_bytes();
    [0x40, 2, high, low]
}

pub fn unsuback(id: u16) -> [u8; 4] {
    let [high, low] = id.to_be_bytes();
    [0xb0, 2, high, low]
}

/// For each filter the QoS, or 0x80 if it was refused.
pub fn suback(id: u16, granted: &[u8]) -> Vec<u8> {
    packet(0x90, &[&id.to_be_bytes(), granted])
}

pub const PINGRESP: [u8; 2] = [0xd0, 0];

/// A message for the client.
pub fn publish(message: &Publish) -> Vec<u8> {
    let Publish {
        topic, payload, id, ..
    } = message;
    let flag = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
    let first = 0x30 | flag(message.dup, 8) | message.qos << 1 | flag(message.retain, 1);
    // It came as a text with a length of two bytes, or from the store.
    let length = u16::try_from(topic.len()).unwrap_or(u16::MAX).to_be_bytes();
    let id = id.to_be_bytes();
    let id: &[u8] = if message.qos > 0 { &id } else { &[] };
    packet(first, &[&length, topic.as_bytes(), id, payload])
}

fn packet(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut length: usize = parts.iter().map(|part| part.len()).sum();
    let mut packet = vec![first];
    loop {
        let byte = (length & 0x7f) as u8;
        length >>= 7;
        if length == 0 {
            packet.push(byte);
            break;
        }
        packet.push(byte | 0x80);
    }
    parts.iter().for_each(|part| packet.extend_from_slice(part));
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_found_in_a_stream() {
        let frame = |bytes: &[u8]| Wire::find(bytes, 0);
        assert_eq!(
            frame(&[0xc0, 0, 0xc0]),
            Ok(Found::Frame {
                contents: 0..2,
                end: 2
            })
        );
        assert_eq!(frame(&[]), Ok(Found::Part { at_least: 2 }));
        assert_eq!(frame(&[0x30, 0x80]), Ok(Found::Part { at_least: 2 }));
        assert_eq!(frame(&[0x30, 0x80, 1]), Ok(Found::Part { at_least: 131 }));
        assert!(frame(&[0x30, 0xff, 0xff, 0xff, 0xff]).is_err());
    }

    #[test]
    fn a_message_is_written_as_it_is_read() {
        for (length, qos) in [(0, 0), (100, 1), (200, 0), (70_000, 1)] {
            let message = Publish {
                topic: "a/b".to_owned(),
                payload: vec![b'x'; length],
                qos,
                retain: length == 0,
                id: u16::from(qos) * 7,
                dup: qos > 0,
            };
            let written = publish(&message);
            let found = Wire::find(&written, 0);
            assert!(matches!(found, Ok(Found::Frame { end, .. }) if end == written.len()));
            assert_eq!(parse(&written), Ok(Packet::Publish(message)));
        }
    }

    #[test]
    fn connect_is_read_with_all_that_it_may_have() {
        let packet =
            b"\x10\x23\0\x04MQTT\x04\xee\0\x3c\0\x02id\0\x01w\0\x04gone\0\x04user\0\x06secret";
        let Ok(Packet::Connect(connect)) = parse(packet) else {
            panic!("{:?}", parse(packet));
        };
        assert_eq!(
            (connect.level, connect.clean, connect.keep_alive),
            (4, true, 60)
        );
        assert_eq!(connect.client, "id");
        let will = connect.will.expect("a will");
        assert_eq!((will.topic.as_str(), will.qos, will.retain), ("w", 1, true));
        assert_eq!(connect.password.as_deref(), Some(&b"secret"[..]));
    }

    #[test]
    fn what_is_malformed_is_said() {
        for (packet, why) in [
            (&b"\xf0\0"[..], "type 15"),
            (b"\xc1\0", "flags"),
            (b"\xc0\x01x", "too many"),
            (b"\x34\x05\0\x01a\0\x01", "QoS 2"),
            (b"\x30\x03\0\x01#", "as a topic"),
            (b"\x32\x05\0\x01a\0\0", "packet id 0"),
            (b"\x82\x02\0\x01", "too short"),
            (b"\x82\x06\0\x01\0\x01a\x03", "QoS 3"),
            (b"\x82\x07\0\x01\0\x02a#\0", "as a filter"),
            (b"\x30\x04\0\x02\xff\xff", "UTF-8"),
            (b"\x10\x07\0\x04HTTP\x04", "protocol \"HTTP\""),
            (b"\x10\x07\0\x04MQTT\x04", "too short"),
            (b"\x10\x0c\0\x04MQTT\x04\x03\0\x3c\0\0", "flags"),
        ] {
            let error = parse(packet).expect_err(why);
            assert!(error.contains(why), "{error:?} does not say {why:?}");
        }
    }
}
