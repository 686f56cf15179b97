//! `hotsocket drain`.

use std::io::Write as _;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use super::Reply;
use super::status::ServerArgs;
use super::swap::Error;
use crate::control::client::{self, ClientError, Target};
use crate::control::find;
use crate::control::protocol::{DrainOrder, DrainStatus, Request};
use crate::{duration, output::escape};

/// Between two looks at how many connections are left.
const INTERVAL: Duration = Duration::from_millis(200);

/// Accept no more connections, and wait until those that are open have ended
///
/// The listening sockets are closed and `/ready` of the admin address answers 503. Open
/// connections are served until they end or --max is over; those that are left then get
/// `close(shutdown)`, may write a farewell, and are closed within the server's --grace.
/// A drain cannot be taken back; a second one may shorten the time. The wait may be
/// interrupted: the server drains on.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// End the server when no connection is left; without it, it stays without any
    #[arg(long)]
    until_empty: bool,

    /// Close the connections that are left after this time
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration::parse)]
    max: Duration,

    #[command(flatten)]
    pub(super) server: ServerArgs,
}

pub fn run(args: &Args) -> Result<Reply, Error> {
    let target = args.server.target();
    // The same server each time, also if it ends and another one starts.
    let socket = find::server(target.server, target.timeout)?;
    let order = DrainOrder {
        max_ms: u64::try_from(args.max.as_millis()).unwrap_or(u64::MAX),
        ends: args.until_empty,
    };
    let mut last = ask(&socket, target, Some(order))?;
    let mut shown = None;
    let has_ended = loop {
        if last.over && !last.ends {
            break false;
        }
        if shown.replace(last.left) != Some(last.left) && !last.over {
            show_left(&last);
        }
        sleep(INTERVAL);
        match ask(&socket, target, None) {
            Ok(status) => last = status,
            Err(Error::Client(error)) if last.ends && has_gone(&error) => break true,
            Err(error) => return Err(error),
        }
    };
    Ok(report(args, &last, has_ended))
}

fn ask(socket: &Path, target: Target<'_>, order: Option<DrainOrder>) -> Result<DrainStatus, Error> {
    let request = Request::Drain { order };
    let answer = client::send_to(socket.to_owned(), target, &request, &[])?;
    let drain = answer.get("drain").cloned().unwrap_or_default();
    let status: Option<DrainStatus> = serde_json::from_value(drain)?;
    status.ok_or_else(|| Error::Message("the server does not drain".to_owned()))
}

/// Whether it is the error of a server that is not there any more, or just ends.
fn has_gone(error: &ClientError) -> bool {
    matches!(
        error,
        ClientError::Connect { .. } | ClientError::Exchange { .. }
    )
}

/// While it lasts, on standard error: standard output has the outcome.
fn show_left(status: &DrainStatus) {
    let remaining = status.remaining_ms.div_ceil(1000);
    let _ = writeln!(
        std::io::stderr(),
        "draining: {} left, for {} at most",
        connections(status.left),
        duration::show(Duration::from_secs(remaining))
    );
}

pub(super) fn connections(count: usize) -> String {
    match count {
        1 => "1 connection".to_owned(),
        _ => format!("{count} connections"),
    }
}

fn report(args: &Args, last: &DrainStatus, has_ended: bool) -> Reply {
    // A server whose time is over may be gone before it could say so.
    let closed = match Duration::from_millis(last.remaining_ms) <= INTERVAL && has_ended {
        true => last.closed.max(last.left),
        false => last.closed,
    };
    if args.server.json {
        let mut answer = serde_json::json!({
            "answer": "drain",
            "ended": has_ended,
            "closed": closed,
        });
        if let Some(answer) = answer
            .as_object_mut()
            .filter(|_| !has_ended && last.left > 0)
        {
            answer.insert("left".to_owned(), last.left.into());
        }
        return format!("{}\n", escape::json(&answer)).into();
    }
    let mut text = match (has_ended, last.left) {
        (true, _) => "drained: the server has ended".to_owned(),
        (false, 0) => "drained: no connection is left; the server accepts none any more".to_owned(),
        (false, left) => format!(
            "drained: {} left, in the middle of an event; the server accepts none any more",
            connections(left)
        ),
    };
    if closed > 0 {
        text.push_str(&format!(
            "; {} closed as the time was over",
            connections(closed)
        ));
    }
    text.push('\n');
    text.into()
}
