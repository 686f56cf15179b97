//! CONNECT: who the client is, and that each is served by one connection.

use std::time::{Duration, UNIX_EPOCH};

use hotsocket_guest::Connection;
use hotsocket_guest::environment::{self, Level, log};
use hotsocket_guest::topics::{self, Delivery, WhenFull};

use crate::messages::to_hotsocket;
use crate::packet::{self, Answer, Connect};
use crate::session::{Phase, milliseconds};
use crate::{Mqtt, Result, SILENCE, topic};

/// Where connections say which client they serve.
pub const CLIENTS: &str = "mqtt-clients.";

fn clients_topic(client: &str) -> Option<String> {
    let mut topic = CLIENTS.to_owned();
    topic::encode(client, &mut topic);
    (topic.len() <= topic::MAX_TOKENS).then_some(topic)
}

impl Mqtt {
    pub fn connect(&mut self, conn: &Connection, connect: Connect) -> Result<()> {
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
    pub fn meet(&mut self, conn: &Connection, stamp: &[u8]) {
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
