//! Messages from and to the client, and its subscriptions, as topics of hotsocket.

use std::time::Duration;

use hotsocket_guest::topics::{self, Delivery, WhenFull};
use hotsocket_guest::{Connection, environment};

use crate::packet::{self, Publish};
use crate::session::{Filter, MAX_WEIGHT, RETRY};
use crate::{AGAIN, Mqtt, RETAINED, Result, retained, topic};

pub fn to_hotsocket(qos: u8, topic: &str) -> Result<String> {
    let tokens = topic::tokens(topic).ok_or("a topic that is too long")?;
    Ok(format!("mqtt.{qos}.{tokens}"))
}

pub fn from_hotsocket(topic: &str) -> Option<(u8, String)> {
    let (qos, tokens) = topic.strip_prefix("mqtt.")?.split_once('.')?;
    let qos = match qos {
        "0" => 0,
        "1" => 1,
        _ => return None,
    };
    Some((qos, topic::from_tokens(tokens)?))
}

impl Mqtt {
    pub fn publish(&mut self, conn: &Connection, message: &Publish) -> Result<()> {
        let Publish {
            topic,
            payload,
            qos,
            ..
        } = message;
        let hotsocket = to_hotsocket(*qos, topic)?;
        // Those that begin with `$` are the server's (section 4.7.2).
        if !topic.starts_with('$') {
            topics::publish(&hotsocket, payload).map_err(|error| error.to_string())?;
            if message.retain {
                retained::retain(topic, *qos, payload);
            }
            // The host sends a connection nothing of its own; MQTT does.
            self.forward(conn, topic, *qos, payload)?;
        }
        match *qos {
            0 => Ok(()),
            _ => self.write(conn, packet::puback(message.id)),
        }
    }

    pub fn subscribe(
        &mut self,
        conn: &Connection,
        id: u16,
        filters: Vec<(String, u8)>,
    ) -> Result<()> {
        let mut granted = Vec::with_capacity(filters.len());
        // Only for filters that are new, of which there are few.
        let mut weight = None;
        for (filter, qos) in filters {
            let qos = qos.min(1);
            let known = self
                .session
                .filters
                .iter()
                .position(|it| it.filter == filter);
            let with_it = match known {
                Some(_) => None,
                None => {
                    let before = *weight.get_or_insert_with(|| self.session.weight());
                    Some(before + topic::weight(&filter))
                }
            };
            let patterns = topic::patterns(&filter);
            let fits = with_it.is_none_or(|weight| weight <= MAX_WEIGHT);
            let Some(patterns) = patterns.filter(|_| fits) else {
                granted.push(0x80);
                continue;
            };
            weight = with_it.or(weight);
            self.replay.add(&filter);
            match known.and_then(|index| self.session.filters.get_mut(index)) {
                Some(known) => known.qos = qos,
                None => self.session.filters.push(Filter { filter, qos }),
            }
            for pattern in patterns {
                self.listen(&pattern)?;
            }
            granted.push(qos);
        }
        // In an event of its own, as the subscriptions take effect after this one: what is
        // retained meanwhile comes as a message, or is found, or both.
        conn.set_timer(RETAINED, Duration::ZERO);
        self.write(conn, packet::suback(id, &granted))
    }

    /// Subscribe to a pattern of topics. If only filters at QoS 0 need it, messages may be
    /// dropped when the client is too slow; else it is closed.
    fn listen(&self, pattern: &str) -> Result<()> {
        let needs = |filter: &&Filter| {
            let patterns = topic::patterns(&filter.filter).unwrap_or_default();
            patterns.iter().any(|it| it == pattern)
        };
        let qos = self.session.filters.iter().filter(needs).map(|it| it.qos);
        let full = match qos.max() {
            Some(0) | None => WhenFull::DropOldest,
            Some(_) => WhenFull::Close,
        };
        let subscribed =
            topics::subscribe_with(&format!("mqtt.*.{pattern}"), Delivery::Event, full);
        subscribed.map_err(|error| error.to_string())
    }

    pub fn unsubscribe(&mut self, filter: &str) {
        self.session.filters.retain(|it| it.filter != filter);
        self.replay.forget(filter);
        for pattern in topic::patterns(filter).unwrap_or_default() {
            let mut others = self.session.filters.iter();
            let is_needed = others.any(|other| {
                let patterns = topic::patterns(&other.filter).unwrap_or_default();
                patterns.contains(&pattern)
            });
            if !is_needed {
                topics::unsubscribe(&format!("mqtt.*.{pattern}"));
            }
        }
    }

    /// Send a message on to this client, if it has subscribed.
    pub fn forward(
        &mut self,
        conn: &Connection,
        topic: &str,
        qos: u8,
        payload: &[u8],
    ) -> Result<()> {
        let Some(granted) = self.session.granted(topic) else {
            return Ok(());
        };
        let qos = qos.min(granted);
        let message = Publish {
            topic: topic.to_owned(),
            payload: payload.to_vec(),
            qos,
            ..Publish::default()
        };
        match self.send(conn, message) {
            // It may be lost.
            Err(_) if qos == 0 => Ok(()),
            sent => sent,
        }
    }

    pub fn send(&mut self, conn: &Connection, mut message: Publish) -> Result<()> {
        if message.qos > 0 {
            if self.session.unacknowledged.is_empty() {
                conn.set_timer(AGAIN, RETRY);
            }
            self.session.keep(&mut message, environment::uptime())?;
        }
        self.write(conn, packet::publish(&message))
    }
}
