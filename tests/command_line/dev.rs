//! `casemate dev …`.

use std::path::Path;

use casemate_tests::{Network, program};

use crate::shell::{Said, Shell, casemate};

/// A directory of its own with a network of its own, and no cluster yet.
struct Place {
    directory: tempfile::TempDir,
    network: Network,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), network: Network::take().unwrap() }
    }

    fn dev(&self, line: &str) -> Said {
        let arguments: Vec<_> = ["dev"].into_iter().chain(line.split_whitespace()).collect();
        casemate(self.path(), &[], &arguments)
    }

    fn up(&self, more: &str) -> Said {
        self.dev(&format!("up --network {} {more}", self.network.number()))
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.dev("wipe"));
    }
}

#[test]
fn up_says_what_to_try_next_and_it_works() {
    let place = Place::new();
    let said = place.up("").done();
    assert!(said.contains("one HSM, not durable against its loss"), "{said}");
    let line = said.lines().find(|line| line.contains("CASEMATE_PIN=app:")).unwrap();
    let pin = line.split("CASEMATE_PIN=").nth(1).unwrap();
    let config = said.lines().find_map(|line| line.trim().strip_prefix("export CASEMATE_CONFIG="));
    let environment = [
        ("CASEMATE_CONFIG", config.unwrap()),
        ("CASEMATE_ROLE", "crypto-user"),
        ("CASEMATE_PIN", pin),
    ];
    let mut tried = 0;
    for line in said.lines().filter_map(|line| line.trim().strip_prefix("casemate ")) {
        casemate(place.path(), &environment, &line.split_whitespace().collect::<Vec<_>>()).done();
        tried += 1;
    }
    assert_eq!(tried, 2);
    // The second time it starts what is there.
    place.dev("down").done();
    assert!(place.dev("status").done().contains("stopped"));
    assert!(place.up("").done().contains("the cluster runs"));
    assert!(place.up("").done().contains("the cluster runs"));
    let keys = casemate(place.path(), &environment, &["key", "list"]).done();
    assert!(keys.contains("demo"), "{keys}");
}

#[test]
fn up_takes_mode_and_passwords() {
    let place = Place::new();
    let said = place.up("--mode fips --admin-password adminpassword --user-password userpassword");
    assert!(said.done().contains("admin:adminpassword"));
    let config = place.path().join(".casemate/casemate.toml").display().to_string();
    let environment = [("CASEMATE_CONFIG", config.as_str())];
    let status = casemate(place.path(), &environment, &["cluster", "status"]).done();
    assert!(status.contains("ACTIVE") && status.contains("FIPS"), "{status}");
    assert!(status.contains("not the validated library"), "{status}");
    for (user, role, password) in
        [("admin", "admin", "adminpassword"), ("app", "crypto-user", "userpassword")]
    {
        let login = ["login", "--username", user, "--role", role, "--password", password];
        casemate(place.path(), &environment, &login).done();
    }
}

#[test]
fn a_cluster_that_was_never_finished_is_made_anew() {
    let place = Place::new();
    // The password is refused at activation, late in the making.
    place.up("--admin-password short").refused("8 to 128 bytes");
    assert!(place.dev("status").done().contains("stopped"), "a failed `up` leaves nothing running");
    let said = place.up("--admin-password adminpassword").done();
    assert!(said.contains("is ready"), "{said}");
}

#[test]
fn an_address_that_is_taken_is_named() {
    let (first, second) = (Place::new(), Place::new());
    first.up("").done();
    let taken = second.dev(&format!("up --network {}", first.network.number()));
    taken.refused("is taken, perhaps by another cluster: choose another --network");
    assert!(!second.path().join(".casemate").exists());
}

#[test]
fn wipe_removes_its_own_files_only() {
    let place = Place::new();
    std::fs::write(place.path().join("letter.txt"), "dear").unwrap();
    place.dev("wipe --dir .").refused("holds no cluster: `casemate dev up` makes one");
    place.up("--dir .").done();
    place.dev("wipe --dir .").done();
    let left: Vec<_> =
        std::fs::read_dir(place.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["letter.txt"]);
    place.up("").done();
    place.dev("wipe").done();
    assert!(!place.path().join(".casemate").exists());
}

#[test]
fn an_hsm_is_killed_and_started_and_nothing_is_lost() {
    let shell = Shell::start();
    shell.run("key generate-symmetric aes --label kept --key-length-bytes 32").done();
    let before = shell.json("cluster status")["state-hash"].clone();
    shell.cluster.dev(&["kill", "1"]).unwrap();
    assert!(shell.cluster.dev(&["status"]).unwrap().contains("stopped"));
    shell.cluster.dev(&["start", "1"]).unwrap();
    assert!(shell.cluster.dev(&["status"]).unwrap().contains("running"));
    assert_eq!(shell.json("cluster status")["state-hash"], before);
    assert!(shell.run("key list").done().contains("kept"));
    let none = shell.cluster.dev(&["kill", "2"]).unwrap_err().to_string();
    assert!(none.contains("there is no HSM 2"), "{none}");
}

#[test]
fn a_daemon_that_cannot_start_says_why() {
    let place = Place::new();
    place.up("").done();
    place.dev("down").done();
    let toml = place.path().join(".casemate/hsm-1/hsmd.toml");
    let text = std::fs::read_to_string(&toml).unwrap();
    std::fs::write(&toml, format!("colour = 1\n{text}")).unwrap();
    place.dev("start 1").refused("colour");
    std::fs::write(&toml, text).unwrap();
    place.dev("start 1").done();
    assert!(program(casemate_tests::Build::Plain, "casemate-hsmd").exists());
}
