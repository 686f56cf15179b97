//! `hotsocket publish` and `hotsocket topics`.

use std::fmt::Write as _;
use std::io::Read;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use hotsocket_sandbox::topics::MAX_MESSAGE;
use serde_json::Value;

use super::Reply;
use super::status::ServerArgs;
use super::swap::Error;
use crate::control::client;
use crate::control::protocol::{Request, Topics};
use crate::output::escape;

/// Between the two looks that rates are made of.
const INTERVAL: Duration = Duration::from_secs(1);

/// Publish a message to the connections of a running server
#[derive(Debug, clap::Args)]
pub struct PublishArgs {
    /// What it is published under: tokens joined by dots, such as rooms.lobby
    #[arg(value_name = "TOPIC")]
    topic: String,

    /// File with the message, 64 KiB at most; `-` for standard input
    #[arg(value_name = "FILE|-", default_value = "-")]
    file: PathBuf,

    #[command(flatten)]
    pub(super) server: ServerArgs,
}

/// List the topics of a running server, with subscribers and messages a second
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub(super) server: ServerArgs,
}

pub fn publish(args: &PublishArgs) -> Result<Reply, Error> {
    let message = read(args)?;
    let request = Request::Publish {
        topic: args.topic.clone(),
        length: message.len() as u64,
    };
    let answer = client::send(args.server.target(), &request, &message)?;
    if args.server.json {
        return Ok(format!("{}\n", escape::json(&answer)).into());
    }
    let receivers = answer.get("receivers").and_then(Value::as_u64);
    let receivers = receivers.unwrap_or(0);
    let plural = if receivers == 1 { "" } else { "s" };
    let beyond = match answer.get("nats").and_then(Value::as_bool) {
        Some(true) => " here, and to NATS",
        _ => "",
    };
    Ok(format!("published to {receivers} connection{plural}{beyond}\n").into())
}

fn read(args: &PublishArgs) -> Result<Vec<u8>, Error> {
    let failed = |error: &std::io::Error| {
        let file = args.file.display();
        Error::Message(format!(
            "cannot read {file}: {}",
            crate::os_error::message(error)
        ))
    };
    // One byte more than may be sent: the server says that it is too much.
    let most = MAX_MESSAGE as u64 + 1;
    let mut message = Vec::new();
    match args.file.as_os_str() == "-" {
        true => std::io::stdin().lock().take(most).read_to_end(&mut message),
        false => std::fs::File::open(&args.file)
            .and_then(|file| file.take(most).read_to_end(&mut message)),
    }
    .map_err(|error| failed(&error))?;
    match message.len() > MAX_MESSAGE {
        true => Err(Error::Message(format!(
            "{} has more than {MAX_MESSAGE} bytes, the most that a message may have",
            args.file.display()
        ))),
        false => Ok(message),
    }
}

pub fn run(args: &Args) -> Result<Reply, Error> {
    let look = || client::send(args.server.target(), &Request::Topics, &[]);
    if args.server.json {
        return Ok(format!("{}\n", escape::json(&look()?)).into());
    }
    let parse = |answer| serde_json::from_value::<Topics>(escape::one_line_each(answer));
    let (before, began) = (parse(look()?)?, Instant::now());
    sleep(INTERVAL);
    let now = parse(look()?)?;
    Ok(show(&before, &now, began.elapsed()).into())
}

fn show(before: &Topics, now: &Topics, passed: Duration) -> String {
    let rate = |from: u64, to: u64| to.saturating_sub(from) as f64 / passed.as_secs_f64();
    let width = now.topics.iter().map(|topic| topic.pattern.len()).max();
    let width = width.unwrap_or(0).max("topic".len());
    let mut text = format!(
        "{:<width$}  {:>11}  {:>10}  {:>9}\n",
        "topic", "subscribers", "messages", "a second"
    );
    for topic in &now.topics {
        let known = before
            .topics
            .iter()
            .find(|known| known.pattern == topic.pattern);
        let from = known.map_or(0, |known| known.messages);
        let _ = writeln!(
            text,
            "{:<width$}  {:>11}  {:>10}  {:>9.1}",
            topic.pattern,
            topic.subscribers,
            topic.messages,
            rate(from, topic.messages)
        );
    }
    if now.count > now.topics.len() {
        let _ = writeln!(text, "… and {} more", now.count - now.topics.len());
    }
    let _ = writeln!(
        text,
        "{} published, {} delivered ({:.1} a second), {} dropped since the start",
        now.published,
        now.delivered,
        rate(before.delivered, now.delivered),
        now.dropped
    );
    if let Some(nats) = &now.nats {
        let _ = writeln!(text, "NATS: {}", super::status::nats(nats));
    }
    text
}
