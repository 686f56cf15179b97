//! Topics: what a delivery costs, beside a loop of bare `send` and beside brokers.
//!
//! The guest is the tests' `messenger`, which publishes as its peer says; subscribers
//! get messages directly, so that their guests are not called.

use super::driver::Load;
use super::traffic::{Measure, cpu_per_request, interleaved, lines};
use super::{Plan, Row, counted};
use crate::Result;
use crate::subject::{Program, Subject};
use crate::table::{Line, Unit};

const MEASURED: &[Measure] = &[("CPU per delivery", Unit::Micros, cpu_per_request)];
const MANY: usize = 10_000;
const SOME: usize = 1000;
/// More than is published here.
const FLAGS: [&str; 4] = ["--max-connections", "15000", "--max-fan-out", "100G"];
/// Before it the subscribers have been asleep for a while when messages come.
const ASLEEP: [&str; 2] = ["--hibernate-after", "50ms"];

pub fn rows() -> Vec<Row> {
    let bare = Subject::broadcast;
    let redis = || Subject::program(Program::Redis);
    let mosquitto = || Subject::program(Program::Mosquitto);
    let to_many = |base: &str| {
        let to = counted(MANY);
        format!("publish 64 B to {to}; native is {base}")
    };
    vec![
        row("fan-out", to_many("a loop of bare `send`"), bare, 1, &[]),
        row(
            "fan-out-asleep",
            format!("{}; all asleep", to_many("a loop of bare `send`")),
            bare,
            1,
            &ASLEEP,
        ),
        row("fan-out-redis", to_many("redis-server"), redis, 1, &[]),
        row("fan-out-mosquitto", to_many("mosquitto"), mosquitto, 1, &[]),
        row(
            "fan-out-100",
            format!(
                "publish 100 × 64 B at once to {}; native is redis-server, pipelined",
                counted(SOME)
            ),
            redis,
            100,
            &[],
        ),
    ]
}

fn row(
    name: &str,
    work: String,
    base: fn() -> Subject,
    messages: usize,
    flags: &'static [&'static str],
) -> Row {
    Row {
        name: name.to_owned(),
        quick: false,
        measure: Box::new(move |plan| measure(plan, &work, base(), messages, flags)),
    }
}

fn measure(
    plan: &Plan,
    work: &str,
    base: Subject,
    messages: usize,
    flags: &[&str],
) -> Result<Vec<Line>> {
    let guest = plan.checkout.join("tests/guests/messenger.wasm");
    let Some(plan) = plan.compared_with(base, &guest)? else {
        return Ok(Vec::new());
    };
    let load = Load {
        kind: "fan-out",
        messages,
        ..Load::echo(64, if messages > 1 { SOME } else { MANY })
    };
    let flags: Vec<String> = FLAGS
        .iter()
        .chain(flags)
        .map(|it| (*it).to_owned())
        .collect();
    Ok(lines(work, &interleaved(&plan, &load, &flags)?, MEASURED))
}
