//! The rows, in their order, and what is done for each.
//!
//! - [`traffic`]: servers at work
//! - [`crowd`]: many connections, few of them at work
//! - [`idle`]: memory of silent connections
//! - [`pause`]: what clients notice of a swap
//! - [`begin`]: starting and compiling
//! - [`raw`], [`contract`]: the sandbox without a server
//! - [`prepare`]: which servers, and that they are built
//! - [`driver`]: the process of the clients

mod begin;
mod contract;
mod crowd;
mod driver;
mod idle;
mod pause;
mod prepare;
mod raw;
mod traffic;

pub use traffic::IN_USER_MODE;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::place::{self, Place};
use crate::subject::Subject;
use crate::table::{self, Line};
use crate::{Result, report, undo};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only rows with this name, or with this in their name; --list shows them
    #[arg(value_name = "ROW")]
    only: Vec<String>,

    /// Show the names of the rows, and measure nothing
    #[arg(long)]
    list: bool,

    /// Time of one run
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = hotsocket::duration::parse)]
    duration: Duration,

    /// Runs of each server for each row, one server after the other
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,

    /// Three short runs of the rows that matter most
    #[arg(long)]
    quick: bool,

    /// Let the kernel spread servers and load over all processors
    #[arg(long, conflicts_with = "core")]
    both_cores: bool,

    /// The one processor that servers and load run on [default: the last]
    #[arg(long, value_name = "N")]
    core: Option<usize>,

    /// Measure this binary, instead of building it
    #[arg(long, value_name = "PATH")]
    hotsocket: Option<PathBuf>,

    /// Measure another hotsocket as well, say the one before a change
    #[arg(long, value_name = "NAME=PATH", value_parser = named)]
    also: Vec<(String, PathBuf)>,

    /// Measure other servers as well, if installed: Node
    #[arg(long)]
    peers: bool,

    /// Write docs/benchmarks.md as well
    #[arg(long)]
    save: bool,
}

fn named(text: &str) -> std::result::Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if Path::new(path).is_file() => Ok((name.to_owned(), path.into())),
        Some((_, path)) => Err(format!("there is no file {path}")),
        None => Err("not NAME=PATH".to_owned()),
    }
}

/// What holds for every row.
#[derive(Clone)]
pub struct Plan {
    checkout: PathBuf,
    pub subjects: Vec<Subject>,
    pub place: Place,
    pub duration: Duration,
    pub rounds: u32,
}

impl Plan {
    /// The hotsocket of this checkout.
    pub fn hotsocket(&self) -> Result<&Subject> {
        let found = self
            .subjects
            .iter()
            .find(|subject| subject.binary().is_ok());
        found.ok_or_else(|| "there is no hotsocket to measure".into())
    }

    /// A guest that comes with the project.
    pub fn guest(&self, file: &str) -> PathBuf {
        self.checkout.join("guest/prebuilt").join(file)
    }
}

type Measure = Box<dyn Fn(&Plan) -> Result<Vec<Line>>>;

/// A row, or some that are measured together.
struct Row {
    name: String,
    /// Whether `--quick` has it.
    quick: bool,
    measure: Measure,
}

fn rows() -> Vec<Row> {
    let mut rows = traffic::rows();
    rows.extend(crowd::rows());
    rows.extend(idle::rows());
    rows.extend(pause::rows());
    rows.extend(begin::rows());
    rows.extend(raw::rows());
    rows
}

fn counted(connections: usize) -> String {
    match connections {
        1 => "1 connection".to_owned(),
        1000.. => format!(
            "{},{:03} connections",
            connections / 1000,
            connections % 1000
        ),
        _ => format!("{connections} connections"),
    }
}

/// Measure, and print the table.
pub fn run(args: Args) -> Result<()> {
    let quick = args.quick && args.only.is_empty();
    let all = rows();
    // A whole name means that row alone, not those that begin like it.
    let names: Vec<String> = all.iter().map(|row| row.name.clone()).collect();
    let named = |row: &Row, word: &String| match names.contains(word) {
        true => row.name == *word,
        false => row.name.contains(word.as_str()),
    };
    let wanted = |row: &Row| match args.only.is_empty() {
        true => row.quick || !quick,
        false => args.only.iter().any(|word| named(row, word)),
    };
    let rows: Vec<Row> = all.into_iter().filter(wanted).collect();
    if args.list {
        rows.iter().for_each(|row| println!("{}", row.name));
        return Ok(());
    }
    if rows.is_empty() {
        return Err("no row has such a name; --list shows them".into());
    }
    place::raise_open_files();
    undo::at_signals()?;
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()?;
    let plan = Plan {
        subjects: prepare::subjects(&args, &checkout)?,
        checkout,
        place: match (args.core, args.both_cores) {
            (Some(core), _) => Place::Core(core),
            (None, true) => Place::Anywhere,
            (None, false) => Place::last()?,
        },
        duration: if args.quick {
            args.duration.min(Duration::from_secs(1))
        } else {
            args.duration
        },
        rounds: if args.quick {
            args.rounds.min(3)
        } else {
            args.rounds
        },
    };
    let names: Vec<String> = plan
        .subjects
        .iter()
        .map(|subject| subject.name.clone())
        .collect();
    let mut lines = Vec::new();
    for row in &rows {
        let measured = (row.measure)(&plan).map_err(|error| format!("{}: {error}", row.name))?;
        for line in measured {
            eprintln!("{}", line.told(names.len()));
            lines.push(line);
        }
    }
    let place = match plan.place {
        Place::Core(core) => format!("servers and load on processor {core}"),
        Place::Anywhere => "servers and load on all processors".to_owned(),
    };
    let sitting = format!(
        "{}; {place}; {} runs of {} each",
        place::machine(&plan.checkout),
        plan.rounds,
        hotsocket::duration::show(plan.duration),
    );
    let table = table::markdown(&names, &lines);
    println!("{sitting}\n\n{table}");
    if args.save {
        report::save(&plan.checkout, &sitting, &table, &lines)?;
    }
    Ok(())
}
