//! An MQTT 3.1.1 broker with QoS 0 and 1, whose code can be replaced under its clients.
//!
//! Try it: `hotsocket serve guest/examples/mqtt --port 1883`, then
//! `mosquitto_sub -t 'sensors/#' -q 1` and `mosquitto_pub -t sensors/hall -m 21 -r`. With
//! `--set password=secret` clients need it; with `--topics nats://HOST` those of several
//! servers meet, with `--store FILE` retained messages outlive the server, and with
//! `--store nats://HOST/BUCKET` the servers share them.
//!
//! A message under `sensors/hall` at QoS 1 is published under `mqtt.1.sensors.hall`, its
//! payload as it is, so that others (`hotsocket publish`, clients of NATS) take part.
//! **QoS 1** holds between a client and this server: what a client has sent is
//! acknowledged when it has been published; what a client has not acknowledged is sent
//! again every 20 seconds while it is connected, and is forgotten with the connection.
//! Between servers, and in the mailbox of a client that is too slow, the rules of topics
//! hold (docs/topics.md). Sessions end with their connection, as with `clean session`, and
//! there is no QoS 2.
//!
//! - [`packet`]: packets from and to the client
//! - [`topic`]: topics and filters, as topics of hotsocket
//! - [`session`]: what is known of a client; the snapshot
//! - [`retained`]: messages for those who subscribe later

#[cfg(test)]
mod conversation_tests;
mod packet;
mod retained;
mod session;
mod topic;

use std::time::{Duration, UNIX_EPOCH};

use hotsocket_guest::environment::{self, Level, log};
use hotsocket_guest::framing::Frames;
use hotsocket_guest::topics::{self, Delivery, Message, Subscriber, WhenFull};
use hotsocket_guest::{CloseReason, Connection, Handler, Snapshot, WriteError, export, state};

use packet::{Answer, Connect, MAX_PACKET, Packet, Publish, Wire};
use session::{Filter, MAX_FILTERS, Phase, RETRY, Session, milliseconds};

/// How long CONNECT may take.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// Packets that one event works off; an event may publish 4,096 times.
const MAX_PACKETS: usize = 1000;

/// Nothing has come for too long.
const SILENCE: u32 = 1;
/// Something may have to be sent again.
const AGAIN: u32 = 2;
/// More packets have come than one event works off.
const MORE: u32 = 3;

state! {
    /// One connection.
    #[derive(Debug, Default)]
    pub struct Mqtt {
        session: Session,
        input: Frames<Wire, MAX_PACKET>,
    }
}

/// Why a connection is closed.
type Result<T, E = String> = std::result::Result<T, E>;

impl Handler for Mqtt {
    fn open(&mut self, conn: &Connection) -> Result<()> {
        conn.set_timer(SILENCE, CONNECT_TIME);
        Ok(())
    }

    fn data(&mut self, conn: &Connection, bytes: &[u8]) {
        if self.session.phase != Phase::Over {
            self.input.push(bytes);
            self.work(conn);
        }
    }

    fn timer(&mut self, conn: &Connection, id: u32) {
        match id {
            _ if self.session.phase == Phase::Over => {}
            SILENCE => self.check_silence(conn),
            AGAIN => self.send_again(conn),
            MORE => {
                conn.resume();
                self.work(conn);
            }
            _ => {}
        }
    }

    fn close(&mut self, _: &Connection, _: CloseReason) {
        // The host publishes the will; that it is to be retained, only we know.
        if let Some((topic, qos, payload)) = self.session.retained_will.take() {
            retained::retain(&topic, qos, &payload);
        }
    }

    fn save(&self) -> Option<Snapshot> {
        Some(Snapshot::of(1, self))
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<()> {
        *self = snapshot.read()?;
        Ok(())
    }
}

impl Subscriber for Mqtt {
    fn message(&mut self, conn: &Connection, message: Message<'_>) {
        if self.session.phase != Phase::Connected {
            return;
        }
        if message.topic.starts_with(CLIENTS) {
            return self.meet(conn, message.bytes);
        }
        let Some((qos, topic)) = from_hotsocket(message.topic) else {
            return;
        };
        if let Err(why) = self.forward(conn, &topic, qos, message.bytes) {
            self.give_up(conn, &why);
        }
    }

    fn lagged(&mut self, _: &Connection, missed: u64) {
        let client = self.session.client.as_str();
        let fields = [("client", client.into()), ("missed", missed.into())];
        log(Level::Warn, "a client is too slow", &fields);
    }
}

/// Where connections say which client they serve.
const CLIENTS: &str = "mqtt-clients.";

fn clients_topic(client: &str) -> Option<String> {
    let mut topic = CLIENTS.to_owned();
    topic::encode(client, &mut topic);
    (topic.len() <= topic::MAX_TOKENS).then_some(topic)
}

fn to_hotsocket(qos: u8, topic: &str) -> Result<String> {
    let tokens = topic::tokens(topic).ok_or("a topic that is too long")?;
    Ok(format!("mqtt.{qos}.{tokens}"))
}

fn from_hotsocket(topic: &str) -> Option<(u8, String)> {
    let (qos, tokens) = topic.strip_prefix("mqtt.")?.split_once('.')?;
    let qos = match qos {
        "0" => 0,
        "1" => 1,
        _ => return None,
    };
    Some((qos, topic::from_tokens(tokens)?))
}

impl Mqtt {
    fn work(&mut self, conn: &Connection) {
        if let Err(why) = self.try_work(conn) {
            self.give_up(conn, &why);
        }
    }

    fn try_work(&mut self, conn: &Connection) -> Result<()> {
        for _ in 0..MAX_PACKETS {
            if self.session.phase == Phase::Over {
                return Ok(());
            }
            // Whatever else begins like this is no client, and may send nothing more.
            let first = self.input.half().first();
            if self.session.phase == Phase::New && first.is_some_and(|first| *first != 0x10) {
                return Err("no CONNECT".to_owned());
            }
            let packet = self.input.next().map_err(|error| error.to_string())?;
            let Some(packet) = packet else {
                return Ok(());
            };
            self.session.heard_ms = milliseconds(environment::uptime());
            match (self.session.phase, packet::parse(&packet)?) {
                (Phase::New, Packet::Connect(connect)) => self.connect(conn, connect)?,
                (_, packet) => self.obey(conn, packet)?,
            }
        }
        // The rest when others have had their turn; until then nothing more is read.
        conn.pause();
        conn.set_timer(MORE, Duration::ZERO);
        Ok(())
    }

    fn connect(&mut self, conn: &Connection, connect: Connect) -> Result<()> {
        let mut client = connect.client.clone();
        if client.is_empty() {
            client = format!("auto-{:016x}", u64::from_le_bytes(environment::random()));
        }
        let topic = clients_topic(&client);
        let answer = match &topic {
            _ if connect.level != 4 => Answer::Version,
            _ if connect.client.is_empty() && !connect.clean => Answer::Client,
            None => Answer::Client,
            Some(_) if !may_log_in(connect.password.as_deref()) => Answer::Login,
            Some(_) => Answer::Accepted,
        };
        conn.write(packet::connack(answer));
        let (Answer::Accepted, Some(topic)) = (answer, topic) else {
            let fields = [("why", format!("{answer:?}"))];
            let fields = fields
                .each_ref()
                .map(|(name, value)| (*name, value.as_str().into()));
            log(Level::Warn, "refused a client", &fields);
            self.session.phase = Phase::Over;
            conn.end();
            return Ok(());
        };
        let session = &mut self.session;
        session.phase = Phase::Connected;
        conn.set_label(&client);
        session.client = client;
        if let Some(will) = connect.will {
            let topic = to_hotsocket(will.qos, &will.topic)?;
            topics::set_will(&topic, &will.payload).map_err(|error| error.to_string())?;
            if will.retain {
                session.retained_will = Some((will.topic, will.qos, will.payload));
            }
        }
        // One and a half times (section 3.1.2.10).
        session.silence_ms = u64::from(connect.keep_alive) * 1500;
        match session.silence_ms {
            0 => conn.clear_timer(SILENCE),
            time => conn.set_timer(SILENCE, Duration::from_millis(time)),
        }
        let now = environment::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        session.stamp = (milliseconds(now), u64::from_le_bytes(environment::random()));
        let subscribed = topics::subscribe_with(&topic, Delivery::Event, WhenFull::DropOldest);
        subscribed.map_err(|error| error.to_string())?;
        self.announce()
    }

    /// Tell other connections that serve the same client since when this one does.
    fn announce(&self) -> Result<()> {
        let (time, random) = self.session.stamp;
        let stamp = [time.to_be_bytes(), random.to_be_bytes()].concat();
        let topic = clients_topic(&self.session.client).ok_or("no client")?;
        topics::publish(&topic, stamp).map_err(|error| error.to_string())
    }

    /// Another connection serves the same client: the newer one stays (section 3.1.4). If
    /// that is this one, the other has to hear of it, as it may not have listened before.
    fn meet(&mut self, conn: &Connection, stamp: &[u8]) {
        let (time, random) = self.session.stamp;
        let own = [time.to_be_bytes(), random.to_be_bytes()].concat();
        if stamp.len() != own.len() || stamp == own {
            return;
        }
        let met = match *stamp > *own {
            true => Err("its client has connected again".to_owned()),
            false => self.announce(),
        };
        if let Err(why) = met {
            self.give_up(conn, &why);
        }
    }

    fn obey(&mut self, conn: &Connection, packet: Packet) -> Result<()> {
        match packet {
            Packet::Connect(_) => return Err("a second CONNECT".to_owned()),
            Packet::Publish(message) => self.publish(conn, &message)?,
            Packet::PubAck(id) => self.session.acknowledged(id),
            Packet::Subscribe(id, filters) => self.subscribe(conn, id, filters)?,
            Packet::Unsubscribe(id, filters) => {
                for filter in filters {
                    self.unsubscribe(&filter);
                }
                conn.write(packet::unsuback(id));
            }
            Packet::PingReq => {
                conn.write(packet::PINGRESP);
            }
            Packet::Disconnect => {
                topics::clear_will();
                self.session.retained_will = None;
                self.session.phase = Phase::Over;
                conn.end();
            }
        }
        Ok(())
    }

    fn publish(&mut self, conn: &Connection, message: &Publish) -> Result<()> {
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

    fn subscribe(&mut self, conn: &Connection, id: u16, filters: Vec<(String, u8)>) -> Result<()> {
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
            let qos = qos.min(message.qos);
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

    fn unsubscribe(&mut self, filter: &str) {
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
    fn forward(&mut self, conn: &Connection, topic: &str, qos: u8, payload: &[u8]) -> Result<()> {
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

    fn send_again(&mut self, conn: &Connection) {
        for message in self.session.retries(environment::uptime()) {
            // What finds no room now does later.
            let _ = conn.try_write(packet::publish(&message));
        }
        if !self.session.unacknowledged.is_empty() {
            conn.set_timer(AGAIN, RETRY);
        }
    }

    fn check_silence(&mut self, conn: &Connection) {
        if self.session.phase == Phase::New {
            return self.give_up(conn, "no CONNECT in time");
        }
        let now = milliseconds(environment::uptime());
        let end = self.session.heard_ms + self.session.silence_ms;
        match end.checked_sub(now) {
            None | Some(0) => self.give_up(conn, "silent for longer than its keep-alive"),
            Some(left) => conn.set_timer(SILENCE, Duration::from_millis(left)),
        }
    }

    /// Close the connection, and say why in the log. Its will is published.
    fn give_up(&mut self, conn: &Connection, why: &str) {
        let client = self.session.client.as_str();
        log(
            Level::Warn,
            "closed a client",
            &[("client", client.into()), ("why", why.into())],
        );
        self.session.phase = Phase::Over;
        conn.abort();
    }
}

/// Whether this is the password, if the server has one. It is compared whole, so that the
/// time it takes tells nothing but its length.
fn may_log_in(given: Option<&[u8]>) -> bool {
    let Some(password) = environment::setting("password") else {
        return true;
    };
    let (given, password) = (given.unwrap_or_default(), password.as_bytes());
    let pairs = given.iter().zip(password);
    let different = pairs.fold(0, |different, (a, b)| different | (a ^ b));
    given.len() == password.len() && different == 0
}

export!(Mqtt, Subscriber);
