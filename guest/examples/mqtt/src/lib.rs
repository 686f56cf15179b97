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
//! again every 20 seconds while it is connected and takes what it is sent, and is forgotten
//! with the connection. Between servers, and in the mailbox of a client that is too slow,
//! the rules of topics hold (docs/topics.md). Sessions end with their connection, as with
//! `clean session`, and there is no QoS 2. A client may have 127 filters, of which one with
//! many levels or with `#` counts as several; retained messages come after SUBACK, as the
//! client takes them.
//!
//! - [`packet`]: packets from and to the client
//! - [`login`]: who a client is; [`messages`]: what it sends, gets and subscribes to
//! - [`slow`]: clients that are silent, do not acknowledge, or take too little
//! - [`topic`]: topics and filters, as topics of hotsocket
//! - [`session`]: what is known of a client; the snapshot
//! - [`retained`]: messages for those who subscribe later

#[cfg(test)]
mod conversation_tests;
mod login;
mod messages;
mod packet;
mod retained;
mod session;
mod slow;
mod topic;

use std::time::Duration;

use hotsocket_guest::environment::{self, Level, log};
use hotsocket_guest::framing::Frames;
use hotsocket_guest::topics::{self, Message, Subscriber};
use hotsocket_guest::{CloseReason, Connection, Handler, Snapshot, export, state};

use login::CLIENTS;
use messages::from_hotsocket;
use packet::{MAX_PACKET, Packet, Wire};
use retained::Replay;
use session::{Phase, Session, milliseconds};

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
/// Retained messages are to be sent.
const RETAINED: u32 = 4;

state! {
    /// One connection.
    #[derive(Debug, Default)]
    pub struct Mqtt {
        session: Session,
        input: Frames<Wire, MAX_PACKET>,
        replay: Replay,
        /// So much waits for the client that the host reads nothing from it: it can
        /// neither acknowledge nor show that it is there. It ends with `drained`, which
        /// comes to the successor after a swap.
        waits: bool,
    }

    /// As it was in snapshots of version 1.
    struct Version1 {
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
        if self.waits {
            // The host reads again, though no `drained` has come: after a message that was
            // larger than all that may wait, or in an event that was lost.
            self.go_on(conn);
        }
        if self.session.phase != Phase::Over {
            self.input.push(bytes);
            self.work(conn);
        }
    }

    fn drained(&mut self, conn: &Connection) {
        self.go_on(conn);
    }

    fn timer(&mut self, conn: &Connection, id: u32) {
        match id {
            _ if self.session.phase == Phase::Over => {}
            SILENCE => self.check_silence(conn),
            AGAIN => self.send_again(conn),
            RETAINED => self.send_retained(conn),
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
        Some(Snapshot::of(2, self))
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<()> {
        *self = match snapshot.version {
            1 => {
                let Version1 { session, input } = snapshot.read()?;
                Mqtt {
                    session,
                    input,
                    ..Mqtt::default()
                }
            }
            _ => snapshot.read()?,
        };
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

    fn obey(&mut self, conn: &Connection, packet: Packet) -> Result<()> {
        match packet {
            Packet::Connect(_) => return Err("a second CONNECT".to_owned()),
            Packet::Publish(message) => self.publish(conn, &message)?,
            Packet::PubAck(id) => {
                self.session.acknowledged(id);
                self.go_on_with_retained(conn);
            }
            Packet::Subscribe(id, filters) => self.subscribe(conn, id, filters)?,
            Packet::Unsubscribe(id, filters) => {
                for filter in filters {
                    self.unsubscribe(&filter);
                }
                self.write(conn, packet::unsuback(id))?;
            }
            Packet::PingReq => self.write(conn, packet::PINGRESP)?,
            Packet::Disconnect => {
                topics::clear_will();
                self.session.retained_will = None;
                self.session.phase = Phase::Over;
                conn.end();
            }
        }
        Ok(())
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

export!(Mqtt, Subscriber);
