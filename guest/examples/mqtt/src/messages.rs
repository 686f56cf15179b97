//! Messages from and to the client, and its subscriptions, as topics of hotsocket.

use hotsocket_guest::environment;
use hotsocket_guest::topics::{self, Delivery, WhenFull};
use hotsocket_guest::{Connection, WriteError};

use crate::packet::{self, Publish};
use crate::session::{Filter, MAX_FILTERS, RETRY};
use crate::{AGAIN, Mqtt, Result, retained, topic};

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
        if *qos > 0 {
            conn.write(packet::puback(message.id));
        }
        Ok(())
    }

    pub fn subscribe(
        &mut self,
        conn: &Connection,
        id: u16,
        filters: Vec<(String, u8)>,
    ) -> Result<()> {
        let mut granted = Vec::with_capacity(filters.len());
        let mut retained = Vec::new();
        for (filter, qos) in filters {
            let qos = qos.min(1);
            let known = self
                .session
                .filters
                .iter()
                .position(|it| it.filter == filter);
            let patterns = topic::patterns(&filter);
            let Some(patterns) =
                patterns.filter(|_| known.is_some() || self.session.filters.len() < MAX_FILTERS)
            else {
                granted.push(0x80);
                continue;
            };
            match known.and_then(|index| self.session.filters.get_mut(index)) {
                Some(known) => known.qos = qos,
                None => self.session.filters.push(Filter {
                    filter: filter.clone(),
                    qos,
                }),
            }
            for pattern in patterns {
                self.listen(&pattern)?;
            }
            granted.push(qos);
            retained.extend(
                retained::find(&filter)
                    .into_iter()
                    .map(|found| (found, qos)),
            );
        }
        conn.write(packet::suback(id, &granted));
        for (message, qos) in retained {
            // A client that has just come cannot have acknowledged anything: what there is
            // no room to keep goes without, rather than the client.
            let qos = match self.session.has_room(&message) {
                true => qos.min(message.qos),
                false => 0,
            };
            self.send(conn, Publish { qos, ..message })?;
        }
        Ok(())
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
        let message = Publish {
            topic: topic.to_owned(),
            payload: payload.to_vec(),
            qos: qos.min(granted),
            ..Publish::default()
        };
        self.send(conn, message)
    }

    fn send(&mut self, conn: &Connection, mut message: Publish) -> Result<()> {
        if message.qos > 0 {
            if self.session.unacknowledged.is_empty() {
                conn.set_timer(AGAIN, RETRY);
            }
            self.session.keep(&mut message, environment::uptime())?;
        }
        match conn.try_write(packet::publish(&message)) {
            Ok(_) | Err(WriteError::Closed) => Ok(()),
            Err(_) if message.qos == 0 => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    pub fn send_again(&mut self, conn: &Connection) {
        for message in self.session.retries(environment::uptime()) {
            // What finds no room now does later.
            let _ = conn.try_write(packet::publish(&message));
        }
        if !self.session.unacknowledged.is_empty() {
            conn.set_timer(AGAIN, RETRY);
        }
    }
}
