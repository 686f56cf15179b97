//! `hotsocket top`.

use std::io::{IsTerminal, Write as _};
use std::thread::sleep;
use std::time::Duration;

use super::Reply;
use super::status::ServerArgs;
use crate::control::protocol::{ConnectionQuery, MAX_ROWS, SortBy};
use crate::duration;
use crate::output::{escape, harmless};
use crate::top::{self, Rates, SHORTEST_INTERVAL, Server};

/// Watch a running server: connections, rates, generations, topics, limits
///
/// On a terminal: q quits, s sorts by the next column, r reverses, / filters, c, t and g
/// show connections, topics and generations, p pauses, + and - change the interval, the
/// arrows scroll. Elsewhere one look is printed as text, or --count of them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Time between two looks
    #[arg(long, short, value_name = "TIME", default_value = "1s", value_parser = interval)]
    interval: Duration,

    /// Print so many looks as text, also to a terminal
    #[arg(long, short = 'n', value_name = "N")]
    count: Option<u64>,

    /// Sort connections by this; of numbers the largest come first
    #[arg(long, value_name = "COLUMN", value_enum, default_value_t = SortBy::Received)]
    sort: SortBy,

    /// The other way round
    #[arg(long)]
    reverse: bool,

    /// Connections that have each of these words, in any case: in the peer, listener, service,
    /// state, last event, label or generation (`gen 2`)
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,

    /// Connections that are printed as text
    #[arg(long, value_name = "N", default_value_t = 20)]
    rows: usize,

    #[command(flatten)]
    pub(super) server: ServerArgs,
}

fn interval(text: &str) -> Result<Duration, String> {
    let time = duration::parse(text)?;
    match time < SHORTEST_INTERVAL {
        true => Err(format!("at least {}", duration::show(SHORTEST_INTERVAL))),
        false => Ok(time),
    }
}

pub fn run(args: &Args) -> Result<Reply, top::TopError> {
    let server = Server {
        server: args.server.control.clone(),
        service: args.server.service.clone(),
        timeout: args.server.timeout,
    };
    let question = ConnectionQuery {
        service: None,
        filter: args.filter.clone(),
        sort: args.sort,
        reverse: args.reverse,
        rows: args.rows.min(MAX_ROWS),
    };
    if args.server.json {
        for count in 0..args.count.unwrap_or(1) {
            if count > 0 {
                sleep(args.interval);
            }
            let look = server.look_json(&question)?;
            if !print(&format!("{}\n", escape::json(&look))) {
                break;
            }
        }
        return Ok(String::new().into());
    }
    if args.count.is_none() && std::io::stdout().is_terminal() {
        top::run(server, question, args.interval)?;
        return Ok(String::new().into());
    }
    let mut before = server.look(&question)?;
    for count in 0..args.count.unwrap_or(1) {
        sleep(args.interval);
        let now = server.look(&question)?;
        let rates = Rates::between(&before, &now);
        let between = if count > 0 { "\n" } else { "" };
        if !print(&format!("{between}{}", top::show(&now, &rates))) {
            break;
        }
        before = now;
    }
    Ok(String::new().into())
}

/// Print at once. False if nobody reads it any more.
fn print(text: &str) -> bool {
    let mut stdout = std::io::stdout().lock();
    let text = harmless(text.as_bytes());
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .is_ok()
}
