//! What a live daemon gave up: it tries forbidden things itself and is refused each; without the sandbox the same things work.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use casemate_protocol::messages::{Answer, Ask, Empty};
use casemate_protocol::{Attribute, AttributeType, ObjectClass, Template};
use casemate_tests::{Build, Cluster, TestError};

/// What the daemon's probe tries.
const PROBES: [&str; 7] = [
    "start a program",
    "read another file",
    "write another file",
    "connect out",
    "make a socket",
    "make a link",
    "become dumpable",
];

/// Starts the daemon again, with more settings and in another environment.
fn restart(cluster: &mut Cluster, settings: &str, environment: &[&str]) -> Result<(), TestError> {
    cluster.dev(&["down"])?;
    let path = cluster.path().join("hsm-1/hsmd.toml");
    let text = std::fs::read_to_string(&path)?;
    // Keys before the first table.
    std::fs::write(&path, format!("{settings}\n{text}"))?;
    environment.iter().for_each(|name| cluster.set_environment(name, "1"));
    cluster.dev(&["start", "1"]).map(drop)
}

/// Returns, for each probe, whether the daemon was refused.
fn refused(cluster: &Cluster) -> Vec<(&'static str, bool)> {
    let log = cluster.log();
    let line = |probe: &str| log.lines().rfind(|line| line.contains(&format!("probe: {probe}")));
    PROBES
        .into_iter()
        .map(|probe| {
            let line = line(probe).unwrap_or_else(|| panic!("no word of {probe}: {log}"));
            (probe, line.contains("refused=true"))
        })
        .collect()
}

fn status(pid: i32, key: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(&format!("{key}:"))).unwrap();
    line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
}

/// It still reads and writes.
fn serves(cluster: &Cluster) {
    let client = cluster.user().unwrap();
    assert!(matches!(client.call(Ask::Ping(Empty {})).unwrap(), Answer::Done(_)));
    let object = Template::default()
        .with(Attribute::number(AttributeType::Class, ObjectClass::Data.number()))
        .with(Attribute::flag(AttributeType::Token, true));
    assert!(matches!(client.call(Ask::CreateObject(object)).unwrap(), Answer::Made(_)));
}

#[test]
fn a_live_daemon_is_refused_programs_files_sockets_and_calls() {
    let mut cluster = Cluster::start(Build::Testing).unwrap();
    restart(&mut cluster, "sandbox = \"required\"", &["CASEMATE_SANDBOX_PROBE"]).unwrap();
    assert_eq!(refused(&cluster), PROBES.map(|probe| (probe, true)));
    assert!(!cluster.data().join("probe").exists());
    serves(&cluster);
}

/// The control: without a sandbox the same probe says that each works.
#[test]
fn without_the_sandbox_all_of_it_works() {
    let mut cluster = Cluster::start(Build::Testing).unwrap();
    let environment = ["CASEMATE_SANDBOX_PROBE", "CASEMATE_SANDBOX_SKIP"];
    restart(&mut cluster, "", &environment).unwrap();
    assert_eq!(refused(&cluster), PROBES.map(|probe| (probe, false)));
    serves(&cluster);
}

/// What customers get has neither the probe nor the way round the sandbox.
#[test]
fn the_plain_build_knows_neither_the_probe_nor_a_way_round() {
    let mut cluster = Cluster::start(Build::Plain).unwrap();
    let environment = ["CASEMATE_SANDBOX_PROBE", "CASEMATE_SANDBOX_SKIP"];
    restart(&mut cluster, "sandbox = \"required\"", &environment).unwrap();
    assert!(!cluster.log().contains("probe"));
    assert_eq!(status(cluster.pid().unwrap(), "Seccomp"), "2");
}

#[test]
fn the_process_has_no_core_dumps_no_new_rights_and_locked_memory() {
    let cluster = Cluster::start(Build::Plain).unwrap();
    let pid = cluster.pid().unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
    assert_eq!(status(pid, "Seccomp"), "2");
    assert_eq!(status(pid, "NoNewPrivs"), "1");
    let locked = status(pid, "VmLck");
    let bytes: u64 = locked.split(' ').next().unwrap().parse().unwrap();
    // A user with a small limit gets a warning instead.
    let warned = cluster.log().contains("memory is not locked");
    assert!(bytes > 1_024 || warned, "{locked}");
}

fn open_to_others(path: &Path) {
    std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

/// Started by root it becomes another user, and even that user's other processes cannot look into it.
#[test]
fn started_by_root_it_runs_as_its_own_user_and_is_not_dumpable() {
    let mut cluster = Cluster::start(Build::Plain).unwrap();
    open_to_others(cluster.work());
    restart(&mut cluster, "user = \"nobody\"\nsandbox = \"required\"", &[]).unwrap();
    let pid = cluster.pid().unwrap();
    let ours = std::fs::metadata("/proc/self").unwrap().uid();
    let nobody = if ours == 0 { "65534" } else { &ours.to_string() };
    assert_eq!(status(pid, "Uid"), [nobody; 4].join(" "));
    if ours == 0 {
        assert_eq!(status(pid, "Gid"), ["65534"; 4].join(" "));
        assert_eq!(status(pid, "CapEff"), "0000000000000000");
        assert_eq!(std::fs::metadata(cluster.data()).unwrap().uid(), 65_534);
    }
    // The files of a process that is not dumpable belong to root, whoever it runs as.
    assert_eq!(std::fs::metadata(format!("/proc/{pid}/mem")).unwrap().uid(), 0);
    serves(&cluster);
}

#[test]
fn a_user_that_does_not_exist_is_a_wrong_configuration() {
    let mut cluster = Cluster::start(Build::Plain).unwrap();
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        // Who is not root cannot become another user, and stays who he is.
        return;
    }
    let refused = restart(&mut cluster, "user = \"nobody-of-this-name\"", &[]);
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("`nobody-of-this-name`"), "{refused}");
}
