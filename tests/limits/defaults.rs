//! The help page, the README and `docs/limits.md` show the defaults and ranges
//! that the code has, and a value out of its range is rejected at the start.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use hotsocket::admin::AdminLimits;
use hotsocket::limits::{Limits, Setting};
use hotsocket::listener::{ListenerOptions, SocketOptions};
use hotsocket::node::{Control, Node, Options, ServiceOptions, StartError};
use hotsocket::output::{GuestLines, Output};
use hotsocket::registry::Rules;
use hotsocket::tap::TapLimits;
use hotsocket_sandbox::CodeCacheDir;

use crate::harness::{hotsocket, repo, run};

/// Every limit, once.
fn settings() -> Vec<Setting> {
    let mut settings = Limits::default().settings();
    let [keepalive, _write_timeout] = SocketOptions::default().settings();
    settings.push(keepalive);
    settings.extend(ListenerOptions::default().settings());
    settings.extend(AdminLimits::default().settings());
    settings.extend(TapLimits::default().settings());
    settings
}

fn read(path: &str) -> String {
    fs::read_to_string(repo(path)).expect("a text")
}

/// What the help page says of each flag, on one line.
fn help() -> BTreeMap<String, String> {
    let help = run(hotsocket().args(["serve", "--help"])).success();
    let mut flags = BTreeMap::new();
    let mut current = String::new();
    for line in help.lines().map(str::trim) {
        let flag = line.split_once("--").filter(|(before, _)| {
            // A flag begins its line, perhaps after its short form.
            before.is_empty() || before.len() == 4 && before.starts_with('-')
        });
        if let Some((_, flag)) = flag {
            current = flag.split(' ').next().unwrap_or_default().to_owned();
        }
        let text: &mut String = flags.entry(current.clone()).or_default();
        text.push_str(line);
        text.push(' ');
    }
    flags
}

#[test]
fn the_help_page_shows_them() {
    let help = help();
    let rules = Rules::default();
    let others = [
        ("on-swap", rules.policy.to_string()),
        ("keep", rules.keep.to_string()),
        ("rollback-after", "3/10".to_owned()),
        ("when-full", "wait".to_owned()),
        ("on-trap", "close".to_owned()),
    ];
    let limits = settings().into_iter();
    let limits = limits.map(|setting| (setting.flag, setting.show()));
    for (flag, default) in limits.chain(others) {
        let text = help.get(flag).unwrap_or_else(|| panic!("no --{flag}"));
        let default = format!("[default: {default}]");
        assert!(text.contains(&default), "{default} of --{flag}: {text}");
    }
}

#[test]
fn the_readme_shows_them() {
    let readme = read("README.md");
    let (_, table) = readme
        .split_once("## What is bounded")
        .expect("the section");
    let (table, _) = table.split_once("\n\nA guest sees").expect("its table");
    for setting in settings() {
        let (flag, default) = (setting.flag, setting.show());
        let (_, shown) = table
            .split_once(&format!("`--{flag}` "))
            .unwrap_or_else(|| panic!("no --{flag}"));
        let end = shown.find(|c: char| !c.is_ascii_alphanumeric());
        assert_eq!(&shown[..end.unwrap_or(shown.len())], default, "--{flag}");
    }
}

#[test]
fn the_documentation_shows_them_with_their_ranges() {
    let docs = read("docs/limits.md");
    let mut rows: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in docs.lines() {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        if let [_, flag, _, _, _, _, _] = cells[..]
            && let Some(flag) = flag.strip_prefix("`--")
        {
            let flag = flag.trim_end_matches('`');
            assert!(rows.insert(flag, cells).is_none(), "--{flag} twice");
        }
    }
    for setting in settings() {
        let flag = setting.flag;
        let row = rows.get(flag).unwrap_or_else(|| panic!("no --{flag}"));
        let (min, max) = (setting.range.start(), setting.range.end());
        assert_eq!(row[2], setting.show(), "default of --{flag}");
        assert_eq!(row[3], format!("{min} to {max}"), "range of --{flag}");
    }
    let documented: BTreeSet<_> = rows.keys().copied().collect();
    let known: BTreeSet<_> = settings().iter().map(|setting| setting.flag).collect();
    assert_eq!(documented, known);
}

#[test]
fn a_value_out_of_range_is_wrong_usage() {
    for (flag, value) in [
        ("--max-connections", "0"),
        ("--max-connections", "18446744073709551615"),
        ("--max-stack", "1K"),
        ("--cpu-budget", "0"),
        ("--handshake-timeout", "0s"),
        ("--max-line", "0"),
        ("--write-timeout", "1000h"),
        ("--keepalive", "10h"),
        ("--max-per-listener", "0"),
        ("--max-accept-rate", "0"),
        ("--proxy-timeout", "0"),
        ("--keep", "0"),
        ("--tap-lease", "1ms"),
    ] {
        for command in ["serve", "dev"] {
            let ran = run(hotsocket()
                .args([command, flag, value])
                .current_dir(repo("guest/examples")));
            let error = ran.failure(2);
            assert!(
                error.starts_with(flag) && error.contains("is out of range: it must be from "),
                "{error}"
            );
        }
    }
    let ran = run(hotsocket()
        .args(["test", "--hibernate-after", "0", "x.wasm"])
        .arg(repo("guest/templates/conversation.test")));
    assert!(
        ran.failure(2)
            .starts_with("--hibernate-after 0s is out of range")
    );
}

/// Tokio's semaphore would panic.
#[test]
fn a_library_gets_an_error_and_no_panic() {
    let service = ServiceOptions {
        listeners: vec![std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()],
        limits: Limits {
            max_connections: usize::MAX,
            ..Limits::default()
        },
        ..ServiceOptions::default()
    };
    let options = Options {
        control: Control::None,
        code_cache: CodeCacheDir::None,
        ..service.into()
    };
    let output = Output::to(
        std::io::sink(),
        std::io::sink(),
        (false, false),
        GuestLines::Plain,
    )
    .expect("threads");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let started = runtime.expect("a runtime").block_on(Node::start(
        options,
        output,
        std::time::Instant::now(),
    ));
    match started {
        Err(StartError::Limit(error)) => assert_eq!(error.flag, "max-connections"),
        Err(error) => panic!("another error: {error}"),
        Ok(_) => panic!("it starts"),
    }
}
