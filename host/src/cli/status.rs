//! `hotsocket status`.

use std::fmt::Write;
use std::time::Duration;

use super::Reply;
use super::drain::connections;
use super::swap::Error;
use crate::control::client::{self, Target};
use crate::control::protocol::{
    CertificateStatus, DrainStatus, NatsStatus, Request, ServiceStatus, Status,
};
use crate::nats::State;
use crate::output::escape;

/// Show the state of a running server
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub(super) server: ServerArgs,
}

/// Which server is meant, and the format of its answer.
#[derive(Debug, clap::Args)]
pub struct ServerArgs {
    /// The server: a port that it listens on, the name of a service or guest, or the path of its
    /// control socket [default: the only server running]
    #[arg(long, value_name = "PORT|NAME|PATH")]
    pub control: Option<String>,

    /// The service, where the server has several
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,

    /// Give up when the server is silent for this long; while it compiles it is not
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = super::parse::timeout)]
    pub timeout: Duration,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl ServerArgs {
    pub fn target(&self) -> Target<'_> {
        Target {
            server: self.control.as_deref(),
            service: self.service.as_deref(),
            timeout: self.timeout,
        }
    }
}

pub fn run(args: &Args) -> Result<Reply, Error> {
    let answer = client::send(args.server.target(), &Request::Status, &[])?;
    if args.server.json {
        return Ok(format!("{}\n", escape::json(&answer)).into());
    }
    let answer = escape::one_line_each(answer);
    let status: Status = serde_json::from_value(answer)?;
    Ok(show(&status).into())
}

fn show(status: &Status) -> String {
    let server = format!("hotsocket {}, process {}", status.version, status.pid);
    let mut rows = vec![("server", server)];
    rows.extend(
        status
            .draining
            .as_ref()
            .map(|it| ("draining", draining(it))),
    );
    let mut last = vec![("uptime", uptime(status.uptime_s))];
    if status.dropped_lines > 0 {
        let dropped = status.dropped_lines_of.iter();
        let dropped: Vec<_> = dropped.map(|(of, lines)| format!("{of} {lines}")).collect();
        last.push((
            "output",
            format!(
                "{} lines dropped, as they could not be written in time: {}",
                status.dropped_lines,
                dropped.join(", ")
            ),
        ));
    }
    if status.services.len() < 2 {
        rows.extend(of_service(&status.service));
        rows.extend(last);
        return table(&rows) + &generations(&status.service);
    }
    rows.extend(last);
    let mut text = table(&rows);
    for service in &status.services {
        let _ = write!(text, "\n{:<12} {}\n", "service", service.name);
        text += &table(&of_service(service));
        text += &generations(service);
    }
    text
}

/// How far a drain is.
fn draining(status: &DrainStatus) -> String {
    let mut text = connections(status.left) + " left";
    if !status.over {
        let remaining = Duration::from_secs(status.remaining_ms.div_ceil(1000));
        let _ = write!(text, ", for {} at most", crate::duration::show(remaining));
    }
    text.push_str(match status.ends {
        true => "; then the server ends",
        false => "; the server accepts none any more",
    });
    text
}

fn table(rows: &[(&str, String)]) -> String {
    let mut text = String::new();
    for (name, value) in rows {
        let _ = writeln!(text, "{name:<12} {value}");
    }
    text
}

/// What there is to say of a service.
fn of_service(status: &ServiceStatus) -> Vec<(&'static str, String)> {
    let connections = &status.connections;
    let named = |address: &String| {
        let mut names = status.named_listeners.iter();
        match names.find(|(_, of)| *of == address) {
            Some((name, _)) => format!("{address} ({name})"),
            None => address.clone(),
        }
    };
    let listeners: Vec<_> = status.listeners.iter().map(named).collect();
    let mut rows = vec![
        ("listening", listeners.join(", ")),
        ("guest", status.guest.clone()),
        ("generation", status.generation.to_string()),
        ("sha256", status.sha256.clone()),
        (
            "watching",
            status
                .watching
                .clone()
                .unwrap_or_else(|| "nothing".to_owned()),
        ),
        (
            "connections",
            format!(
                "{} open (limit {}), {} accepted, {} refused, {} faults, {} restarts",
                connections.open,
                connections.limit,
                connections.accepted,
                connections.refused,
                connections.faults,
                connections.restarts
            ),
        ),
        (
            "memory",
            format!(
                "{:.1} MiB of all instances (limit {} each)",
                status.memory.instances as f64 / f64::from(1 << 20),
                crate::size::show(status.memory.limit_each)
            ),
        ),
    ];
    if !status.settings.is_empty() {
        rows.push(("settings", status.settings.join(", ")));
    }
    let store = &status.store;
    if store.keys > 0 || store.file.is_some() {
        let mib = store.bytes as f64 / f64::from(1 << 20);
        let mut text = format!("{} keys, {mib:.1} MiB", store.keys);
        let file = store.file.as_deref().unwrap_or_default();
        match &store.nats {
            Some(state) => text = format!("{file} {state}"),
            None if file.is_empty() => {}
            None => drop(write!(text, " in {file}")),
        }
        match (store.errors, &store.nats) {
            (0, _) => {}
            (errors, Some(_)) => drop(write!(text, ", {errors} calls have failed")),
            (errors, None) => drop(write!(text, ", which could not be written {errors} times")),
        }
        rows.push(("store", text));
    }
    if connections.hibernated > 0 || !connections.stays_awake.is_empty() {
        let mut text = format!(
            "{} asleep; since the start {} hibernated, {} woken",
            connections.asleep, connections.hibernated, connections.woken
        );
        for (why, count) in &connections.stays_awake {
            let _ = write!(text, "; {count} awake: {why}");
        }
        rows.push(("hibernation", text));
    }
    if !status.limits_reached.is_empty() {
        let reached = status.limits_reached.iter();
        let reached: Vec<_> = reached
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        rows.push(("limits hit", reached.join(", ")));
    }
    if let Some(status) = &status.nats {
        rows.push(("topics", nats(status)));
    }
    rows.extend(status.certificates.iter().map(certificate));
    rows
}

fn certificate(status: &CertificateStatus) -> (&'static str, String) {
    let names = match status.names.is_empty() {
        true => "no name".to_owned(),
        false => status.names.join(", "),
    };
    let expires = &status.expires;
    let left = match status.days_left {
        ..0 => format!("EXPIRED on {expires}"),
        0 => format!("expires on {expires}, within a day"),
        1 => format!("expires on {expires}, in a day"),
        days => format!("expires on {expires}, in {days} days"),
    };
    let text = format!("{} on {}: {names}; {left}", status.file, status.listener);
    ("certificate", text)
}

/// The generations, where there are several.
fn generations(status: &ServiceStatus) -> String {
    let mut text = String::new();
    if status.generations.len() > 1 {
        let _ = writeln!(text, "generations");
        for generation in &status.generations {
            let _ = writeln!(
                text,
                "  {:>3}  {:.12}  {:>6} open  {:>6} migrated  {:>6} failed  {}{}",
                generation.number,
                generation.sha256,
                generation.connections,
                generation.migrated,
                generation.failed,
                generation.guest,
                if generation.active { "  (active)" } else { "" }
            );
        }
    }
    text
}

/// What there is to say of NATS, on one line.
pub(super) fn nats(status: &NatsStatus) -> String {
    let mut text = match (status.state, &status.why) {
        (State::Connected, _) => format!("{} connected", status.servers),
        (State::Connecting | State::Away, why) => format!(
            "{} away: {}",
            status.servers,
            why.as_deref().unwrap_or("no reason known")
        ),
    };
    let _ = write!(
        text,
        "; {} subscriptions under {}; since the start {} published, {} received",
        status.subscriptions, status.prefix, status.published, status.received
    );
    let counts = [
        (status.dropped, "dropped, as too many waited"),
        (status.too_large, "too large for NATS"),
        (status.invalid, "received that are no messages here"),
        (status.slow_consumer, "times too slow a consumer"),
        (status.reconnects, "reconnects"),
        (status.errors, "errors"),
    ];
    for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
        let _ = write!(text, ", {count} {what}");
    }
    text
}

fn uptime(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => crate::duration::show(Duration::from_secs(seconds)),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}
