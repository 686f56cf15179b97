//! The metrics: what docs/metrics.md says of them, and that they agree with `status`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use super::{address, get, get_with};
use crate::guests::{guest, wayward};
use crate::harness::{Server, lacks_program, prebuilt, repo, serve};

fn start(guest: Vec<u8>, args: &[&str]) -> Server {
    let admin = ["--admin", "127.0.0.1:0"];
    serve(guest).args(&admin).args(args).start()
}

/// A scrape: samples by name and labels, and the type of each family.
pub(super) struct Scrape {
    pub samples: BTreeMap<String, f64>,
    pub types: BTreeMap<String, String>,
}

impl Scrape {
    pub fn of(server: &Server) -> Self {
        Self::parse(&get(address(server), "/metrics").body)
    }

    pub fn parse(text: &str) -> Self {
        let mut scrape = Scrape {
            samples: BTreeMap::new(),
            types: BTreeMap::new(),
        };
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a type");
                let before = scrape.types.insert(name.to_owned(), kind.to_owned());
                assert_eq!(before, None, "{name} twice");
            } else if !line.starts_with('#') {
                let (sample, value) = line.rsplit_once(' ').expect("a value");
                let value = value.parse().expect("a number");
                let before = scrape.samples.insert(sample.to_owned(), value);
                assert_eq!(before, None, "{sample} twice");
            }
        }
        scrape
    }

    pub fn value(&self, sample: &str) -> f64 {
        let found = self.samples.get(sample);
        *found.unwrap_or_else(|| panic!("no {sample}"))
    }

    /// A metric of the service `guest`, with other labels if there are.
    fn guest(&self, name: &str, labels: &str) -> f64 {
        let comma = if labels.is_empty() { "" } else { "," };
        self.value(&format!(
            "hotsocket_{name}{{service=\"guest\"{comma}{labels}}}"
        ))
    }

    /// The samples of this name, each with its labels.
    fn all(&self, name: &str) -> Vec<(BTreeSet<&str>, f64)> {
        let samples = self.samples.iter().filter_map(|(sample, value)| {
            let labels = sample.strip_prefix(name)?.strip_prefix('{')?;
            let labels = labels.strip_suffix('}')?.split(',').collect();
            Some((labels, *value))
        });
        samples.collect()
    }

    /// The names of the labels that samples of each family have.
    pub fn labels(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for sample in self.samples.keys() {
            let (name, labels) = sample.split_once('{').unwrap_or((sample, ""));
            let mut name = name.to_owned();
            for suffix in ["_bucket", "_sum", "_count"] {
                if let Some(family) = name.strip_suffix(suffix)
                    && self
                        .types
                        .get(family)
                        .is_some_and(|kind| kind == "histogram")
                {
                    name = family.to_owned();
                    break;
                }
            }
            assert!(self.types.contains_key(&name), "{name} has no type");
            let known = all.entry(name).or_default();
            for label in labels.trim_end_matches('}').split("\",") {
                if let Some((label, _)) = label.split_once('=') {
                    known.insert(label.to_owned());
                }
            }
        }
        all
    }
}

#[test]
fn they_agree_with_status() {
    let server = start(wayward(), &["--max-per-peer", "2"]);
    let mut clients = [server.connect(), server.connect()];
    for client in &mut clients {
        client.ask("x", "x");
        client.ask("x", "x");
    }
    let mut refused = server.connect();
    refused.expect_over();
    let [mut traps, mut ends] = clients;
    traps.send("panic now");
    traps.expect_over();
    ends.end();
    ends.expect_rest("");
    server.settle();
    let (status, scrape) = (server.status(), Scrape::of(&server));
    let of_status = |path: &str| status.pointer(path).and_then(serde_json::Value::as_f64);
    for (name, path) in [
        ("connections_open", "/connections/open"),
        ("connections_accepted_total", "/connections/accepted"),
        ("received_bytes_total", "/traffic/received"),
        ("sent_bytes_total", "/traffic/sent"),
        ("queued_bytes", "/traffic/queued"),
        ("hibernated", "/connections/asleep"),
        ("wakes_total", "/connections/woken"),
        ("instance_memory_bytes", "/memory/instances"),
        ("store_keys", "/store/keys"),
    ] {
        assert_eq!(Some(scrape.guest(name, "")), of_status(path), "{name}");
    }
    assert_eq!(scrape.guest("received_bytes_total", ""), 13.0);
    assert_eq!(
        scrape.guest("connections_closed_total", "cause=\"fault\""),
        1.0
    );
    assert_eq!(
        scrape.guest("connections_closed_total", "cause=\"ended\""),
        1.0
    );
    let refused = scrape.guest("connections_refused_total", "limit=\"max-per-peer\"");
    assert_eq!(Some(refused), of_status("/connections/refused"));
    let reached = scrape.guest("limit_reached_total", "limit=\"max-per-peer\"");
    assert_eq!(Some(reached), of_status("/limits_reached/max-per-peer"));
    let sum = |name: &str| {
        let name = format!("hotsocket_{name}{{");
        let samples = scrape.samples.iter();
        samples
            .filter(|(sample, _)| sample.starts_with(&name))
            .map(|(_, value)| value)
            .sum::<f64>()
    };
    assert_eq!(Some(sum("traps_total")), of_status("/connections/faults"));
    assert_eq!(Some(sum("events_total")), of_status("/traffic/events"));
    let closed = sum("connections_closed_total");
    assert_eq!(scrape.guest("connections_accepted_total", ""), closed);
    assert_eq!(scrape.guest("instance_create_seconds_count", ""), 2.0);
    assert_eq!(
        scrape.guest("generation_connections", "generation=\"1\""),
        0.0
    );
}

#[test]
fn swaps_and_migrations_are_counted_by_their_outcome() {
    let server = start(prebuilt("counter"), &["--no-watch"]);
    let mut client = server.connect();
    client.ask("12345", "5 bytes so far\n");
    server.swap(prebuilt("echo"), &[]);
    client.ask("x", "x");
    server.roll_back(&[]);
    server.try_swap("no component", &[]).failure(1);
    let scrape = Scrape::of(&server);
    for (outcome, times) in [
        ("swapped", 1.0),
        ("rolled-back", 1.0),
        ("failed", 1.0),
        ("undone", 0.0),
    ] {
        let labels = format!("outcome=\"{outcome}\"");
        assert_eq!(scrape.guest("swaps_total", &labels), times, "{outcome}");
    }
    assert_eq!(
        scrape.guest("migrations_total", "outcome=\"migrated\""),
        2.0
    );
    assert_eq!(scrape.guest("swap_seconds_count", ""), 2.0);
    let sum = scrape.guest("swap_seconds_sum", "");
    assert!(sum > 0.0);
}

#[test]
fn what_connections_carry_never_goes_back() {
    let server = start(prebuilt("echo"), &[]);
    let mut before = 0.0;
    for round in 1..=20_u32 {
        let mut clients: Vec<_> = (0..5).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.ask("abc", "abc");
        }
        let during = Scrape::of(&server).guest("received_bytes_total", "");
        assert!(during >= before, "{before} {during}");
        for client in &mut clients {
            client.end();
            client.expect_rest("");
        }
        server.settle();
        let after = Scrape::of(&server).guest("received_bytes_total", "");
        assert!(after >= during, "{during} {after}");
        assert_eq!(after, f64::from(15 * round));
        before = after;
    }
}

#[test]
fn long_events_are_all_in_the_histogram() {
    let server = start(guest().data("(loop (br 0))").build(), &[]);
    for _ in 0..3 {
        // 100 ms of CPU time, the budget, end the instance.
        let mut client = server.connect();
        client.send("x");
        client.expect_over();
    }
    let scrape = Scrape::of(&server);
    let at_most =
        |bound: &str| scrape.guest("event_cpu_seconds_bucket", &format!("le=\"{bound}\""));
    let long = at_most("+Inf") - at_most("0.05");
    assert!(long >= 3.0, "{long}");
    assert!(scrape.guest("event_cpu_seconds_sum", "") >= 0.3);
}

/// The rows of docs/metrics.md: type and labels by the name of the metric.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let text = fs::read_to_string(repo("docs/metrics.md")).expect("a document");
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [name, kind, _unit, labels, _meaning] = cells[..] else {
            continue;
        };
        let labels = labels.split('`').skip(1).step_by(2).map(str::to_owned);
        let name = name.trim_matches(['`', ' ']).to_owned();
        let row = (kind.to_owned(), labels.collect());
        assert!(rows.insert(name, row).is_none(), "{line} twice");
    }
    rows
}

#[test]
fn the_documentation_has_each_with_its_type_and_labels() {
    let server = start(prebuilt("echo"), &[]);
    let scrape = Scrape::of(&server);
    let documented = documented();
    let names = |names: Vec<&String>| names.into_iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!(
        names(documented.keys().collect()),
        names(scrape.types.keys().collect())
    );
    let labels = scrape.labels();
    for (name, (kind, known)) in documented {
        assert_eq!(kind, scrape.types[&name], "{name}");
        // Without a certificate there is no sample that could have any.
        let Some(labels) = labels.get(&name) else {
            assert!(name.contains("certificate"), "{name} has no sample");
            continue;
        };
        let mut labels = labels.clone();
        labels.remove("le");
        assert_eq!(labels, known, "{name}");
    }
}

#[test]
fn promtool_accepts_them() {
    if lacks_program("promtool") {
        return;
    }
    let server = start(prebuilt("echo"), &[]);
    let mut client = server.connect();
    client.ask("x", "x");
    let text = get(address(&server), "/metrics").body;
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = promtool.stdin.take().expect("a pipe");
    stdin.write_all(text.as_bytes()).expect("it reads");
    drop(stdin);
    let ended = promtool.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success() && said.is_empty(), "{said}");
}

#[test]
fn openmetrics_is_given_to_those_who_ask() {
    let server = start(prebuilt("echo"), &[]);
    let accept = "Host: localhost\r\nAccept: application/openmetrics-text; version=1.0.0\r\n";
    let answer = get_with(address(&server), "/metrics", accept);
    assert!(answer.headers.contains("application/openmetrics-text"));
    assert!(answer.body.ends_with("# EOF\n"));
    assert!(
        answer
            .body
            .contains("# TYPE hotsocket_connections_accepted counter\n")
    );
}

#[test]
fn in_both_formats_a_histogram_ends_with_the_bucket_that_has_all() {
    let server = start(prebuilt("echo"), &[]);
    let mut client = server.connect();
    client.ask("x", "x");
    for accept in ["text/plain", "application/openmetrics-text"] {
        let headers = format!("Host: localhost\r\nAccept: {accept}\r\n");
        let scrape = Scrape::parse(&get_with(address(&server), "/metrics", &headers).body);
        let histograms = scrape.types.iter();
        let histograms = histograms.filter(|(_, kind)| *kind == "histogram");
        let names: Vec<_> = histograms.map(|(name, _)| name).collect();
        assert_eq!(names.len(), 3, "{names:?}");
        for name in names {
            let mut last = scrape.all(&format!("{name}_bucket"));
            last.retain_mut(|(labels, _)| labels.remove("le=\"+Inf\""));
            assert_eq!(
                last,
                scrape.all(&format!("{name}_count")),
                "{name}, {accept}"
            );
        }
    }
}
