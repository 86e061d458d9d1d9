//! A cluster without `dev`: the customer signs with his own CA, checks what he signs, and activates.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use casemate_tests::{Build, Network, program};

use crate::shell::{Said, casemate, openssl};

/// A daemon that its operator started.
struct Daemon {
    directory: tempfile::TempDir,
    network: Network,
    child: Child,
}

impl Daemon {
    fn start(create: &str) -> Self {
        let (directory, network) = (tempfile::tempdir().unwrap(), Network::take().unwrap());
        let text = format!(
            "data_directory = 'data'\nlisten = '127.{}.1.1:2223'\n[create]\n{create}",
            network.number()
        );
        std::fs::write(directory.path().join("hsmd.toml"), text).unwrap();
        let mut command = Command::new(program(Build::Plain, "casemate-hsmd"));
        command.current_dir(directory.path()).args(["--config", "hsmd.toml"]);
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        Self { directory, network, child }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn address(&self) -> String {
        format!("127.{}.1.1:2223", self.network.number())
    }

    fn casemate(&self, line: &str) -> Said {
        let config = self.path().join("casemate.toml").display().to_string();
        let arguments: Vec<_> = line.split_whitespace().collect();
        casemate(self.path(), &[("CASEMATE_CONFIG", &config)], &arguments)
    }

    fn initialize(&self, line: &str) -> Said {
        self.casemate(&format!("cluster initialize --address {} {line}", self.address()))
    }

    fn fetch_csr(&self) {
        let start = Instant::now();
        while std::net::TcpStream::connect(self.address()).is_err() {
            assert!(start.elapsed() < Duration::from_secs(30), "the daemon listens");
            std::thread::sleep(Duration::from_millis(10));
        }
        self.initialize("--csr cluster.csr").done();
    }

    /// A CA of that name signs the request.
    fn sign(&self, name: &str) {
        let path = self.path();
        openssl(path, &format!("ecparam -name prime256v1 -genkey -noout -out {name}.sec1"));
        openssl(path, &format!("pkcs8 -topk8 -nocrypt -in {name}.sec1 -out {name}.key"));
        openssl(
            path,
            &format!(
                "req -x509 -key {name}.key -subj /CN={name} -days 30 -addext keyUsage=critical,keyCertSign,digitalSignature -out {name}.crt"
            ),
        );
        openssl(
            path,
            &format!(
                "x509 -req -in cluster.csr -CA {name}.crt -CAkey {name}.key -days 30 -out cluster-by-{name}.crt"
            ),
        );
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn the_customer_signs_checks_and_activates() {
    let daemon = Daemon::start("");
    daemon.fetch_csr();
    let id = daemon.casemate("--json cluster verify-csr cluster.csr").done();
    let id = serde_json::from_str::<serde_json::Value>(&id).unwrap()["data"]["cluster-id"]
        .as_str()
        .unwrap()
        .to_owned();
    daemon.casemate(&format!("cluster verify-csr cluster.csr --cluster-id {id}")).done();
    let other =
        daemon.casemate("cluster verify-csr cluster.csr --cluster-id cluster-aaaaaaaaaaaaaaaa");
    other.refused(&format!("is for {id}, not for cluster-aaaaaaaaaaaaaaaa"));
    daemon.sign("mine");
    daemon.sign("foreign");
    let hand_in = |certificate: &str, anchor: &str| {
        let line =
            format!("--certificate {certificate} --trust-anchor {anchor} --config casemate.toml");
        daemon.initialize(&line)
    };
    hand_in("cluster-by-foreign.crt", "mine.crt").refused("does not chain to the trust anchor");
    hand_in("mine.crt", "mine.crt").refused("is not for this cluster's key");
    hand_in("cluster-by-mine.crt", "mine.crt").done();
    hand_in("cluster-by-mine.crt", "mine.crt").refused("initialised already");
    let activate = "cluster activate --password adminpassword";
    daemon.casemate(activate).refused("not signed by a key under the trust anchor");
    let by = |name: &str| {
        daemon.casemate(&format!(
            "{activate} --activation-cert {name}.crt --activation-key {name}.key"
        ))
    };
    by("foreign").refused("not signed by a key under the trust anchor");
    assert_eq!(by("mine").done(), "Cluster activation successful\n");
    by("mine").refused("activated already");
    assert!(daemon.casemate("cluster status").done().contains(&format!("{id}  ACTIVE")));
    daemon.casemate("login --username admin --role admin --password adminpassword").done();
}

#[test]
fn a_request_that_was_changed_is_found() {
    let daemon = Daemon::start("");
    daemon.fetch_csr();
    openssl(daemon.path(), "req -in cluster.csr -outform DER -out cluster.der");
    let mut der = std::fs::read(daemon.path().join("cluster.der")).unwrap();
    let place = der.windows(8).position(|window| window == b"cluster-").unwrap() + 10;
    der[place] = if der[place] == b'a' { b'b' } else { b'a' };
    std::fs::write(daemon.path().join("changed.der"), der).unwrap();
    openssl(daemon.path(), "req -inform DER -in changed.der -out changed.csr");
    let changed = daemon.casemate("cluster verify-csr changed.csr");
    changed.refused("is not signed by the key that it is for");
    std::fs::write(daemon.path().join("empty.csr"), "").unwrap();
    daemon.casemate("cluster verify-csr empty.csr").refused("is not PEM");
}

#[test]
fn activation_without_a_signature_where_it_is_open() {
    let daemon = Daemon::start("activation_open = true\n");
    daemon.fetch_csr();
    daemon.sign("mine");
    daemon
        .initialize(
            "--certificate cluster-by-mine.crt --trust-anchor mine.crt --config casemate.toml",
        )
        .done();
    daemon.casemate("cluster activate --password adminpassword").done();
}
