//! The rows, in their order, and how each is measured.
//!
//! - [`traffic`]: servers with traffic
//! - [`writes`]: writes of different sizes
//! - [`open_connections`]: many open connections, few of them with traffic
//! - [`idle`]: memory of silent connections
//! - [`swap`]: what clients notice of a swap
//! - [`start`]: starting and compiling
//! - [`tls`]: TLS, beside programs that end it for a native echo
//! - [`fan_out`] measures topics
//! - [`programs`]: clients that are programs of others
//! - [`raw`], [`contract`]: the sandbox without a server
//! - [`prepare`]: which servers are measured; builds hotsocket
//! - [`driver`]: starts and commands the process of the clients

mod contract;
mod driver;
mod fan_out;
mod idle;
mod open_connections;
mod prepare;
mod programs;
mod raw;
mod start;
mod swap;
mod tls;
mod traffic;
mod writes;

pub use traffic::IN_USER_MODE;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::machine::{self, Cpus};
use crate::report::Page;
use crate::subject::Subject;
use crate::table::{self, Line};
use crate::{Result, cleanup};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Rows with this name, or with this in their name [default: all]
    #[arg(value_name = "ROW")]
    only: Vec<String>,

    /// List the names of the rows and exit
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

    /// The processor that servers and load run on [default: the last]
    #[arg(long, value_name = "N")]
    core: Option<usize>,

    /// Measure this binary instead of building one
    #[arg(long, value_name = "PATH")]
    hotsocket: Option<PathBuf>,

    /// Also measure this hotsocket, such as one from before a change
    #[arg(long, value_name = "NAME=PATH", value_parser = named)]
    also: Vec<(String, PathBuf)>,

    /// Also measure other servers, if installed: Node
    #[arg(long)]
    peers: bool,

    /// Also write docs/benchmarks.md and docs/benchmarks-programs.md, each if all of its
    /// rows are measured
    #[arg(long)]
    save: bool,
}

fn named(text: &str) -> std::result::Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if Path::new(path).is_file() => Ok((name.to_owned(), path.into())),
        Some((_, path)) => Err(format!("no such file: {path}")),
        None => Err("expected NAME=PATH".to_owned()),
    }
}

/// The settings of a run, for every row.
#[derive(Clone)]
pub struct Plan {
    checkout: PathBuf,
    pub subjects: Vec<Subject>,
    pub cpus: Cpus,
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
        found.ok_or_else(|| "no hotsocket to measure".into())
    }

    /// The hotsockets with another guest, beside another server; `None`, and a line that
    /// says so, where that is not installed.
    fn compared_with(&self, base: Subject, guest: &Path) -> Result<Option<Plan>> {
        if !base.is_installed() {
            eprintln!("{} is not installed: skipped", base.name);
            return Ok(None);
        }
        let guest = guest.canonicalize()?;
        let hotsockets = self
            .subjects
            .iter()
            .filter(|subject| subject.binary().is_ok());
        let mut subjects = vec![base];
        subjects.extend(hotsockets.map(|subject| subject.serving(guest.clone())));
        Ok(Some(Plan {
            subjects,
            ..self.clone()
        }))
    }

    /// One of the project's prebuilt guests.
    pub fn guest(&self, file: &str) -> PathBuf {
        self.checkout.join("guest/prebuilt").join(file)
    }
}

type Measure = Box<dyn Fn(&Plan) -> Result<Vec<Line>>>;

/// A row, or some that are measured together.
struct Row {
    name: String,
    /// Whether `--quick` includes it.
    quick: bool,
    measure: Measure,
}

fn rows() -> Vec<Row> {
    let mut rows = traffic::rows();
    rows.extend(writes::rows());
    rows.extend(open_connections::rows());
    rows.extend(idle::rows());
    rows.extend(fan_out::rows());
    rows.extend(programs::rows());
    rows.extend(tls::rows());
    rows.extend(swap::rows());
    rows.extend(start::rows());
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
    // A complete name selects only that row, not those that contain it.
    let names: Vec<String> = all.iter().map(|row| row.name.clone()).collect();
    let named = |row: &Row, word: &String| match names.contains(word) {
        true => row.name == *word,
        false => row.name.contains(word.as_str()),
    };
    let wanted = |row: &Row| match args.only.is_empty() {
        true => row.quick || !quick,
        false => args.only.iter().any(|word| named(row, word)),
    };
    let (rows, others): (Vec<Row>, Vec<Row>) = all.into_iter().partition(wanted);
    let is_on = |page: Page| move |row: &Row| Page::of(&row.name) == page;
    let whole = |page: &Page| !others.iter().any(is_on(*page));
    let pages: Vec<Page> = Page::ALL.into_iter().filter(whole).collect();
    if args.list {
        rows.iter().for_each(|row| println!("{}", row.name));
        return Ok(());
    }
    if rows.is_empty() {
        return Err("no row has this in its name; --list shows them".into());
    }
    if args.save && pages.is_empty() {
        return Err("--save needs all rows of a page".into());
    }
    machine::raise_open_files();
    cleanup::on_signals()?;
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()?;
    let plan = Plan {
        subjects: prepare::subjects(&args, &checkout)?,
        checkout,
        cpus: match (args.core, args.both_cores) {
            (Some(core), _) => Cpus::One(core),
            (None, true) => Cpus::All,
            (None, false) => Cpus::last()?,
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
            eprintln!("{}", line.row(names.len()));
            lines.push((Page::of(&row.name), line));
        }
    }
    let cpus = match plan.cpus {
        Cpus::One(core) => format!("servers and load on processor {core}"),
        Cpus::All => "servers and load on all processors".to_owned(),
    };
    let conditions = format!(
        "{}; {cpus}; {} runs of {} each",
        machine::describe(&plan.checkout),
        plan.rounds,
        hotsocket::duration::show(plan.duration),
    );
    for page in Page::ALL {
        let of_page = lines.extract_if(.., |(of, _)| *of == page);
        let of_page: Vec<Line> = of_page.map(|(_, line)| line).collect();
        if of_page.is_empty() {
            continue;
        }
        let table = table::markdown(&names, &of_page);
        println!("{conditions}\n\n{table}");
        if args.save && pages.contains(&page) {
            page.save(&plan.checkout, &conditions, &table, &of_page)?;
        }
    }
    Ok(())
}
