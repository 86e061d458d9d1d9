//! The exporter before a real cluster and a real Prometheus, with the alert rules and the dashboard that are shipped.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod process;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use casemate_tests::{Build, Cluster, program, until};
use serde_json::Value;

use process::{Process, exporter, get, prometheus};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// The names of metrics in a text: of the exporter, of rules, of a dashboard.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("casemate_")).map(str::to_owned).collect()
}

/// The expressions of a dashboard's panels.
fn expressions(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

/// The value of a metric of an HSM in a zone, if it is there.
fn value(metrics: &str, name: &str, zone: u8) -> Option<u64> {
    let zone = format!("zone=\"{zone}\"");
    let mut lines = metrics.lines().filter(|line| line.starts_with(&format!("{name}{{")));
    let line = lines.find(|line| line.contains(&zone))?;
    line.rsplit(' ').next()?.parse().ok()
}

fn promtool(arguments: &[&str]) {
    let output = Command::new("promtool").args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_alerts_fire_on_what_they_are_for() {
    let rules = root().join("packaging/prometheus/casemate.rules.yml");
    promtool(&["check", "rules", &rules.to_string_lossy()]);
    promtool(&[
        "check",
        "config",
        &root().join("packaging/prometheus/prometheus.yml").to_string_lossy(),
    ]);
    let directory = tempfile::tempdir().unwrap();
    let tests = directory.path().join("rules.test.yml");
    let text = read("tests/monitoring/rules.test.yml").replace("RULES", &rules.to_string_lossy());
    std::fs::write(&tests, text).unwrap();
    promtool(&["test", "rules", &tests.to_string_lossy()]);
}

/// What Prometheus answers to a question, as the number of series that it found.
fn series(prometheus: &Process, question: &str) -> Option<usize> {
    let encoded: String = question.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let answer = get(prometheus.address(), &format!("/api/v1/query?query={encoded}"))?;
    let answer: Value = serde_json::from_str(&answer).ok()?;
    assert_eq!(answer["status"], "success", "{question}: {answer}");
    answer["data"]["result"].as_array().map(Vec::len)
}

/// Whether an alert waits or fires.
fn is_alerted(prometheus: &Process, name: &str) -> bool {
    let answer = get(prometheus.address(), "/api/v1/alerts").unwrap_or_default();
    let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
    let alerts = answer["data"]["alerts"].as_array().cloned().unwrap_or_default();
    alerts.iter().any(|alert| alert["labels"]["alertname"] == name)
}

#[test]
fn prometheus_sees_how_each_hsm_is() {
    let cluster = Cluster::start_with(Build::Plain, &["--hsms", "3"]).unwrap();
    let exporter = exporter(&cluster);
    let metrics = || get(exporter.address(), "/metrics");
    // An HSM that has just started may not know yet who leads.
    let well = until("all are well", || {
        metrics().filter(|text| text.contains("casemate_cluster_health{state=\"ok\"} 1"))
    });
    for zone in 1..=3 {
        assert_eq!(value(&well, "casemate_hsm_up", zone), Some(1), "{well}");
        assert_eq!(value(&well, "casemate_hsm_well", zone), Some(1), "{well}");
    }
    assert!(well.trim_end().ends_with("# EOF"), "{well}");
    let rules = read("packaging/prometheus/casemate.rules.yml");
    let dashboard = read("packaging/grafana/casemate.json");
    let page = read("docs/operate/monitoring.md");
    // What is alerted on, or drawn, is there; and each metric is explained.
    let (exported, used) = (names(&well), names(&(rules + &dashboard)));
    assert!(used.len() > 10, "{used:?}");
    assert_eq!(used.difference(&exported).collect::<Vec<_>>(), Vec::<&String>::new());
    let described = names(&page);
    let samples = well.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
    let samples = names(&samples);
    assert_eq!(samples.difference(&described).collect::<Vec<_>>(), Vec::<&String>::new());

    let prometheus = prometheus(&cluster, exporter.address(), &root());
    until("a scrape", || series(&prometheus, "casemate_hsm_up == 1").filter(|found| *found == 3));
    let questions = expressions(&serde_json::from_str(&dashboard).unwrap());
    assert!(questions.len() > 10, "{questions:?}");
    for question in questions {
        until(&question, || series(&prometheus, &question).filter(|found| *found > 0));
    }
    assert!(!is_alerted(&prometheus, "CasemateHsmAway"));
    cluster.dev(&["kill", "2"]).unwrap();
    until("the alert", || is_alerted(&prometheus, "CasemateHsmAway").then_some(()));
    let ill = metrics().unwrap();
    assert_eq!(value(&ill, "casemate_hsm_up", 2), Some(0), "{ill}");
    assert_eq!(value(&ill, "casemate_hsm_index", 2), None, "{ill}");
    assert!(ill.contains("casemate_cluster_health{state=\"degraded\"} 1"), "{ill}");
    for number in ["1", "3"] {
        cluster.dev(&["kill", number]).unwrap();
    }
    until("nobody answers", || {
        metrics().filter(|text| text.contains("casemate_cluster_health{state=\"unreachable\"} 1"))
    });
    until("the other alert", || is_alerted(&prometheus, "CasemateUnreachable").then_some(()));
}

#[test]
fn an_exporter_without_a_cluster_or_an_address_says_so() {
    let exporter = program(Build::Plain, "casemate-exporter");
    let absent = Command::new(&exporter).env("CASEMATE_CONFIG", "/nowhere.toml").output().unwrap();
    assert_eq!(absent.status.code(), Some(2));
    let said = String::from_utf8_lossy(&absent.stderr);
    assert!(said.contains("/nowhere.toml"), "{said}");
    let cluster = Cluster::start(Build::Plain).unwrap();
    let taken = Command::new(&exporter)
        .args(["--listen", &cluster.address()])
        .env("CASEMATE_CONFIG", cluster.config_path())
        .output()
        .unwrap();
    assert_eq!(taken.status.code(), Some(1));
    let said = String::from_utf8_lossy(&taken.stderr);
    assert!(said.contains(&format!("cannot listen on {}", cluster.address())), "{said}");
}
