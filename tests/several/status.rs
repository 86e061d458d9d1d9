//! `casemate cluster status` of several HSMs: who is how, who is away, and that each says it.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use casemate_tests::{Build, Cluster, program, until};
use serde_json::Value;

use crate::{leader, make};

fn told(cluster: &Cluster) -> Value {
    let text = cluster.casemate(&["--json", "cluster", "status"]).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["data"].take()
}

fn of_zone<'a>(status: &'a Value, zone: &str) -> &'a Value {
    let hsms = status["hsms"].as_array().unwrap();
    hsms.iter().find(|hsm| hsm["zone"] == zone).unwrap()
}

#[test]
fn it_names_each_hsm_and_who_is_away() {
    let cluster = Cluster::start_with(Build::Plain, &["--hsms", "3"]).unwrap();
    make(&cluster.user().unwrap(), "key");
    let well = until("all well", || Some(told(&cluster)).filter(|all| all["health"] == "ok"));
    let (index, hash) = (&well["index"], &well["state-hash"]);
    assert!(index.as_u64().unwrap() > 0 && hash.as_str().unwrap().len() == 64, "{well}");
    let leaders = well["hsms"].as_array().unwrap().iter().filter(|hsm| hsm["leader"] == true);
    assert_eq!(leaders.count(), 1, "{well}");
    for zone in ["1", "2", "3"] {
        let hsm = of_zone(&well, zone);
        assert_eq!(
            (&hsm["index"], &hsm["state-hash"], &hsm["lag"]),
            (index, hash, &0.into()),
            "{well}"
        );
        assert_eq!(hsm["term"], well["term"], "{well}");
        assert!(hsm["disk-free-bytes"].as_u64().unwrap() > 0, "{well}");
        assert!(hsm["certificate-end"].as_u64().unwrap() > 1_700_000_000, "{well}");
    }
    let away = leader(&cluster);
    cluster.dev(&["kill", &away.to_string()]).unwrap();
    let ill = until("degraded", || {
        Some(told(&cluster)).filter(|all| all["health"] == "degraded" && !all["leader"].is_null())
    });
    let hsm = of_zone(&ill, &away.to_string());
    assert_eq!(hsm["health"], "away", "{ill}");
    assert!(hsm["index"].is_null() && hsm["lag"].is_null(), "{ill}");
    let text = cluster.casemate(&["cluster", "status"]).unwrap();
    assert!(text.contains(&format!("zone {away}: away")), "{text}");
    assert!(text.contains(&format!("the HSM of zone {away} is away")), "{text}");
}

#[test]
fn whoever_watches_sees_an_hsm_go_and_come_back() {
    let cluster = Cluster::start_with(Build::Plain, &["--hsms", "3"]).unwrap();
    let mut watching = Command::new(program(Build::Plain, "casemate"))
        .args(["--json", "cluster", "status", "--watch", "--interval", "1"])
        .env("CASEMATE_CONFIG", cluster.config_path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut next = |health: &str| {
        until(health, || {
            let line = lines.next().unwrap().unwrap();
            let all: Value = serde_json::from_str(&line).unwrap();
            Some(all).filter(|all| all["data"]["health"] == health)
        })
    };
    next("ok");
    cluster.dev(&["kill", "2"]).unwrap();
    let ill = next("degraded");
    assert_eq!(of_zone(&ill["data"], "2")["health"], "away", "{ill}");
    cluster.dev(&["start", "2"]).unwrap();
    next("ok");
    watching.kill().unwrap();
    watching.wait().unwrap();
}
