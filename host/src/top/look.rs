//! What is asked of the server, and what follows from two looks at it.
//!
//! Names, labels and addresses come from guests and peers: control characters are escaped
//! here, before anything is made of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::control::client::{self, ClientError, Target};
use crate::control::protocol::{
    ConnectionList, ConnectionQuery, Request, ServiceStatus, Status, Topics,
};
use crate::output::escape;

/// Which server.
#[derive(Clone, Debug)]
pub struct Server {
    /// See [`Target::server`].
    pub server: Option<String>,
    /// See [`Target::service`].
    pub service: Option<String>,
    pub timeout: Duration,
}

/// Which connections, in which order.
pub type Question = ConnectionQuery;

/// A server at one moment.
#[derive(Clone, Debug)]
pub struct Look {
    pub status: Status,
    /// Empty where the server has several services.
    pub topics: Option<Topics>,
    pub list: ConnectionList,
    pub at: Instant,
}

/// Of all services that are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub listeners: Vec<String>,
    pub open: usize,
    /// What `--max-connections` of all of them comes to.
    pub limit: usize,
    pub asleep: u64,
    pub accepted: u64,
    pub refused: u64,
    pub faults: u64,
    pub received: u64,
    pub sent: u64,
    pub queued: u64,
    pub events: u64,
    /// Bytes of all instances.
    pub memory: usize,
    pub reached: BTreeMap<String, u64>,
}

impl Totals {
    fn add(&mut self, service: &ServiceStatus) {
        let (connections, traffic) = (&service.connections, &service.traffic);
        self.listeners.extend(service.listeners.iter().cloned());
        self.open += connections.open;
        self.limit += connections.limit;
        self.asleep += connections.asleep;
        self.accepted += connections.accepted;
        self.refused += connections.refused;
        self.faults += connections.faults;
        self.received += traffic.received;
        self.sent += traffic.sent;
        self.queued += traffic.queued;
        self.events += traffic.events;
        self.memory += service.memory.instances;
        for (limit, times) in &service.limits_reached {
            *self.reached.entry(limit.clone()).or_default() += times;
        }
    }
}

impl Look {
    /// The services that are shown.
    pub fn services(&self) -> &[ServiceStatus] {
        match self.status.services.is_empty() {
            // A server that knows of one only.
            true => std::slice::from_ref(&self.status.service),
            false => &self.status.services,
        }
    }

    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        // The first one as it is outside of the list: with the limits of the node.
        let others = self.services().iter().skip(1);
        for service in std::iter::once(&self.status.service).chain(others) {
            totals.add(service);
        }
        totals
    }
}

/// Why there is nothing to see.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("cannot parse the server's answer; is the server of another version? ({0})")]
    Answer(#[from] serde_json::Error),
}

impl Server {
    fn send(&self, request: &Request) -> Result<Value, ClientError> {
        let target = Target {
            server: self.server.as_deref(),
            service: self.service.as_deref(),
            timeout: self.timeout,
        };
        client::send(target, request, &[]).map(escape::one_line_each)
    }

    fn ask<T: DeserializeOwned>(&self, request: &Request) -> Result<T, LookError> {
        Ok(serde_json::from_value(self.send(request)?)?)
    }

    /// # Errors
    /// When it cannot be reached.
    pub fn look(&self, question: &Question) -> Result<Look, LookError> {
        let topics = match self.ask(&Request::Topics) {
            Ok(topics) => Some(topics),
            Err(LookError::Client(ClientError::Server(_))) => None,
            Err(error) => return Err(error),
        };
        Ok(Look {
            status: self.ask(&Request::Status)?,
            topics,
            list: self.ask(&Request::Connections(question.clone()))?,
            at: Instant::now(),
        })
    }

    /// The answers as the server gives them, in one object.
    ///
    /// # Errors
    /// As [`Self::look`].
    pub fn look_json(&self, question: &Question) -> Result<Value, LookError> {
        Ok(serde_json::json!({
            "status": self.send(&Request::Status)?,
            "connections": self.send(&Request::Connections(question.clone()))?,
        }))
    }
}

/// What happens in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    pub accepted: f64,
    pub events: f64,
    pub received: f64,
    pub sent: f64,
    pub published: f64,
    pub delivered: f64,
}

impl Rates {
    /// Between two looks at the same server.
    pub fn between(before: &Look, now: &Look) -> Self {
        let seconds = now.at.duration_since(before.at).as_secs_f64();
        if before.status.pid != now.status.pid || seconds <= 0.0 {
            return Rates::default();
        }
        let rate = |from: u64, to: u64| to.saturating_sub(from) as f64 / seconds;
        let (old, new) = (before.totals(), now.totals());
        let messages = |look: &Look| {
            let topics = look.topics.as_ref();
            topics.map_or((0, 0), |topics| (topics.published, topics.delivered))
        };
        let (old_messages, new_messages) = (messages(before), messages(now));
        Rates {
            accepted: rate(old.accepted, new.accepted),
            events: rate(old.events, new.events),
            received: rate(old.received, new.received),
            sent: rate(old.sent, new.sent),
            published: rate(old_messages.0, new_messages.0),
            delivered: rate(old_messages.1, new_messages.1),
        }
    }
}
