//! The dashboard in `contrib/grafana`: each expression of each panel reads metrics and
//! labels that a server really has, and Prometheus can parse it.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;

use super::address;
use super::metrics::Scrape;
use crate::harness::{lacks_program, prebuilt, repo, run, serve, temp_dir};

/// The title of each panel with its expressions.
fn panels() -> Vec<(String, Vec<String>)> {
    let text = fs::read_to_string(repo("contrib/grafana/hotsocket.json")).expect("a dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let with_data = panels.iter().filter(|panel| panel["type"] != "row");
    let panel = |panel: &Value| {
        let title = panel["title"].as_str().expect("a title").to_owned();
        let targets = panel["targets"].as_array().expect("targets");
        let exprs = targets.iter().map(|target| target["expr"].as_str());
        let exprs = exprs.map(|expr| expr.expect("an expression").to_owned());
        (title, exprs.collect())
    };
    with_data.map(panel).collect()
}

/// What Grafana puts in place of its variables.
fn with_values(expr: &str) -> String {
    expr.replace("$__rate_interval", "1m")
        .replace("$service", "echo")
        .replace("$instance", "localhost:9300")
}

/// Words of an expression that may be names.
fn words(expr: &str) -> impl Iterator<Item = &str> {
    expr.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
}

#[test]
fn each_panel_reads_metrics_and_labels_that_there_are() {
    let server = serve(prebuilt("echo"))
        .args(&["--admin", "127.0.0.1:0"])
        .start();
    let scrape = Scrape::of(&server);
    let labels = scrape.labels();
    assert!(!address(&server).ip().is_unspecified());
    let panels = panels();
    assert!(panels.len() >= 20, "{}", panels.len());
    let mut read = BTreeSet::new();
    for (title, exprs) in &panels {
        assert!(!exprs.is_empty(), "{title} shows nothing");
        for expr in exprs {
            let is_metric =
                |word: &&str| word.starts_with("hotsocket_") || word.starts_with("process_");
            let metrics: Vec<_> = words(expr).filter(is_metric).collect();
            assert!(!metrics.is_empty(), "{title}: {expr} reads no metric");
            // Those that Prometheus adds.
            let mut known = BTreeSet::from(["instance".to_owned(), "job".to_owned()]);
            for metric in metrics {
                let family = ["_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|suffix| metric.strip_suffix(suffix))
                    .filter(|family| {
                        scrape
                            .types
                            .get(*family)
                            .is_some_and(|kind| kind == "histogram")
                    })
                    .unwrap_or(metric);
                let kind = scrape.types.get(family);
                let kind = kind.unwrap_or_else(|| panic!("{title}: there is no {metric}"));
                let counts = kind == "counter" || kind == "histogram";
                let has_rate = expr.contains("rate(") || expr.contains("increase(");
                assert_eq!(counts, has_rate, "{title}: {expr} of a {kind}");
                known.extend(labels.get(family).into_iter().flatten().cloned());
                if family.contains("certificate") {
                    known.extend(["service".to_owned(), "listener".to_owned()]);
                }
                read.insert(family.to_owned());
            }
            for by in expr.split("by (").skip(1).chain(expr.split("on (").skip(1)) {
                let (names, _) = by.split_once(')').expect("labels");
                for label in names.split(',').map(str::trim) {
                    assert!(known.contains(label), "{title}: no label {label} in {expr}");
                }
            }
            for matchers in expr.split('{').skip(1) {
                let (matchers, _) = matchers.split_once('}').expect("matchers");
                for matcher in matchers
                    .split(',')
                    .filter(|matcher| !matcher.trim().is_empty())
                {
                    let label = matcher.trim().split(['=', '!']).next().unwrap_or_default();
                    assert!(known.contains(label), "{title}: no label {label} in {expr}");
                }
            }
        }
    }
    // What nobody looks at need not be counted.
    let constant = ["hotsocket_build_info", "process_start_time_seconds"];
    for name in scrape.types.keys() {
        assert!(
            read.contains(name) || constant.contains(&name.as_str()),
            "no panel shows {name}"
        );
    }
}

#[test]
fn prometheus_can_parse_each_expression() {
    if lacks_program("promtool") {
        return;
    }
    let mut rules = String::from("groups:\n- name: dashboard\n  rules:\n");
    for (at, expr) in panels().iter().flat_map(|panel| &panel.1).enumerate() {
        let expr = Value::from(with_values(expr));
        rules.push_str(&format!("  - record: panel:{at}\n    expr: {expr}\n"));
    }
    let dir = temp_dir();
    let path = dir.path().join("rules.yml");
    fs::write(&path, rules).expect("writable");
    let mut promtool = Command::new("promtool");
    run(promtool.args(["check", "rules"]).arg(&path)).success();
}
