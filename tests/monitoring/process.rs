//! The exporter and Prometheus as processes on addresses of the cluster's network, and a plain HTTP request.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use casemate_tests::{Build, Cluster, program};

/// A process that ends with the test.
pub(crate) struct Process {
    child: Child,
    address: String,
}

impl Process {
    fn start(command: &mut Command, address: String) -> Self {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { child, address }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; then the test has failed already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An address of the cluster's own network that no HSM has.
fn address(cluster: &Cluster, port: u16) -> String {
    let first = cluster.address();
    let network = first.split('.').nth(1).unwrap();
    format!("127.{network}.0.1:{port}")
}

pub(crate) fn exporter(cluster: &Cluster) -> Process {
    let address = address(cluster, 9817);
    let mut command = Command::new(program(Build::Plain, "casemate-exporter"));
    command
        .args(["--listen", &address, "--patience", "1"])
        .env("CASEMATE_CONFIG", cluster.config_path());
    Process::start(&mut command, address)
}

/// A Prometheus with the shipped configuration, but for where the exporter is and how often it is asked.
pub(crate) fn prometheus(cluster: &Cluster, exporter: &str, root: &Path) -> Process {
    let directory = cluster.work().join("prometheus");
    std::fs::create_dir_all(&directory).unwrap();
    let shipped = root.join("packaging/prometheus");
    let text = std::fs::read_to_string(shipped.join("prometheus.yml")).unwrap();
    let adapted = text.replace("127.0.0.1:9817", exporter).replace("15s", "2s");
    assert_ne!(text, adapted);
    let adapted = format!("global: {{evaluation_interval: 1s}}\n{adapted}");
    std::fs::write(directory.join("prometheus.yml"), adapted).unwrap();
    let rules = "casemate.rules.yml";
    std::fs::copy(shipped.join(rules), directory.join(rules)).unwrap();
    let address = address(cluster, 9090);
    let mut command = Command::new("prometheus");
    command
        .current_dir(&directory)
        .arg("--config.file=prometheus.yml")
        .arg("--storage.tsdb.path=data")
        .arg(format!("--web.listen-address={address}"));
    Process::start(&mut command, address)
}

/// The body of what is answered with 200, if somebody answers.
pub(crate) fn get(address: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.lines().next()?.contains(" 200 ").then(|| body.to_owned())
}
