//! Machines that join by what their TPM says: a real daemon, and swtpm as the TPM.

use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use casemate_tests::{ADMIN_PASSWORD, Build, Cluster, program, until};

use crate::{expect_equal, make, status};

/// Runs a program that must succeed.
fn run(directory: &Path, program: &str, arguments: &[&str]) {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .env("TPM2TOOLS_TCTI", format!("cmd:{} tpm.sock", bridge(directory)))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    if !output.stdout.is_empty() {
        fs::write(directory.join("said"), output.stdout).unwrap();
    }
}

/// A program that carries commands of the tools to the socket of swtpm: they speak to a TPM by themselves only over TCP.
fn bridge(directory: &Path) -> String {
    let path = directory.join("bridge");
    if !path.exists() {
        let text = "#!/usr/bin/python3\n\
            import os, socket, sys\n\
            tpm = socket.socket(socket.AF_UNIX)\n\
            tpm.connect(sys.argv[1])\n\
            while command := os.read(0, 4096):\n\
            \x20   tpm.sendall(command)\n\
            \x20   os.write(1, tpm.recv(4096))\n";
        fs::write(&path, text).unwrap();
        run_plain("chmod", &["755", &path.to_string_lossy()]);
    }
    path.display().to_string()
}

fn run_plain(program: &str, arguments: &[&str]) {
    assert!(Command::new(program).args(arguments).status().unwrap().success(), "{program}");
}

/// A process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

const KEY: &str = "0x81010002";

/// A machine with a TPM, whose attestation key the customer's authority certified.
struct Machine {
    directory: PathBuf,
    _tpm: Process,
}

impl Machine {
    fn new(cluster: &Cluster, name: &str) -> Self {
        let directory = cluster.work().join(name);
        fs::create_dir_all(directory.join("state")).unwrap();
        let tpm = Command::new("swtpm")
            .args(["socket", "--tpm2", "--tpmstate", "dir=state", "--flags", "startup-clear"])
            .args(["--server", "type=unixio,path=tpm.sock"])
            .current_dir(&directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let machine = Self { directory, _tpm: Process(tpm) };
        until("the TPM", || {
            let found = fs::metadata(machine.directory.join("tpm.sock")).ok()?;
            found.file_type().is_socket().then_some(())
        });
        let tool = |program: &str, arguments: &[&str]| run(&machine.directory, program, arguments);
        tool("tpm2_createek", &["-Q", "-c", "ek.ctx", "-G", "ecc"]);
        tool(
            "tpm2_createak",
            &[
                "-Q", "-C", "ek.ctx", "-c", "ak.ctx", "-G", "ecc", "-g", "sha256", "-s", "ecdsa",
                "-u", "ak.pem", "-f", "pem",
            ],
        );
        // Without a resource manager the TPM keeps what was loaded.
        tool("tpm2_flushcontext", &["-Q", "-t"]);
        tool("tpm2_evictcontrol", &["-Q", "-c", "ak.ctx", KEY]);
        // What the machine's firmware would measure.
        tool("tpm2_pcrextend", &[&format!("7:sha256={}", "ab".repeat(32))]);
        machine
    }

    /// The authority certifies the attestation key.
    fn certify(&self, authority: &Path) {
        let (certificate, key) = (authority.join("ca.pem"), authority.join("ca.key"));
        let (certificate, key) = (certificate.to_string_lossy(), key.to_string_lossy());
        run(
            &self.directory,
            "openssl",
            &["req", "-new", "-key", &key, "-subj", "/CN=attestation key", "-out", "ak.csr"],
        );
        run(
            &self.directory,
            "openssl",
            &[
                "x509",
                "-req",
                "-in",
                "ak.csr",
                "-CA",
                &certificate,
                "-CAkey",
                &key,
                "-force_pubkey",
                "ak.pem",
                "-days",
                "30",
                "-out",
                "ak.crt",
            ],
        );
    }

    /// What its registers hold, as the tool prints it.
    fn registers(&self) -> PathBuf {
        run(&self.directory, "tpm2_pcrread", &["sha256:0,7"]);
        self.directory.join("said")
    }

    /// Starts a daemon on it that asks to join.
    fn join(&self, cluster: &Cluster, zone: u8) -> (Process, PathBuf) {
        let first = cluster.address();
        let network = first.split('.').nth(1).unwrap();
        let directory = self.directory.display();
        let text = format!(
            "data_directory = \"{directory}/data\"\nlisten = \"127.{network}.{zone}.1:2223\"\n\
             peer_listen = \"127.{network}.{zone}.1:2224\"\nzone = \"{zone}\"\n\
             [join]\naddresses = [\"127.{network}.1.1:2224\", \"127.{network}.2.1:2224\"]\n\
             [attestation]\ntpm = \"{directory}/tpm.sock\"\nkey = {KEY}\ncertificate = \"{directory}/ak.crt\"\n"
        );
        fs::write(self.directory.join("hsmd.toml"), text).unwrap();
        let log = self.directory.join("log");
        let daemon = Command::new(program(Build::Plain, "casemate-hsmd"))
            .arg("--config")
            .arg(self.directory.join("hsmd.toml"))
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        (Process(daemon), log)
    }
}

fn log_of(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// An authority for attestation keys; all have one name.
fn authority(cluster: &Cluster, name: &str) -> PathBuf {
    let directory = cluster.work().join(name);
    fs::create_dir_all(&directory).unwrap();
    let (key, certificate) = (directory.join("ca.key"), directory.join("ca.pem"));
    let of = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj";
    let mut arguments: Vec<&str> = of.split(' ').collect();
    let (key, certificate) = (key.to_string_lossy(), certificate.to_string_lossy());
    arguments.extend(["/CN=authority", "-keyout", &key, "-out", &certificate]);
    run_plain("openssl", &arguments);
    directory
}

fn set_policy(cluster: &mut Cluster, authority: &Path, good: &Path) {
    cluster.set_environment("CASEMATE_ROLE", "admin");
    cluster.set_environment("CASEMATE_PIN", &format!("admin:{ADMIN_PASSWORD}"));
    let authority = authority.join("ca.pem");
    let (authority, good) = (authority.to_string_lossy(), good.to_string_lossy());
    let policy = ["cluster", "set-join-policy", "attested", "--attestation-authority"];
    let said = cluster.casemate(&[&policy[..], &[&authority, "--good", &good]].concat()).unwrap();
    assert!(said.contains("the join policy is attested"), "{said}");
}

fn expect_turned_away(cluster: &Cluster, machine: &Machine) {
    let (mut daemon, log) = machine.join(cluster, 3);
    let ended = until("the daemon to end", || daemon.0.try_wait().unwrap());
    assert_eq!(ended.code(), Some(1), "{}", log_of(&log));
    assert!(log_of(&log).contains("does not show by its TPM"), "{}", log_of(&log));
}

#[test]
fn a_machine_is_let_in_by_its_tpm_and_one_with_a_wrong_register_is_not() {
    let mut cluster = Cluster::start_with(Build::Plain, &["--hsms", "2"]).unwrap();
    make(&cluster.user().unwrap(), "before");
    let trusted = authority(&cluster, "trusted");
    let machine = Machine::new(&cluster, "machine");
    machine.certify(&trusted);
    set_policy(&mut cluster, &trusted, &machine.registers());

    // The machine starts other software: what its firmware measures is not what it was.
    run(&machine.directory, "tpm2_pcrextend", &[&format!("7:sha256={}", "cd".repeat(32))]);
    expect_turned_away(&cluster, &machine);
    until("a line in the log", || {
        cluster.log().contains("showed by its TPM what is not allowed").then_some(())
    });
    // Another is as it should be, but its key is certified by somebody else.
    let other = Machine::new(&cluster, "other");
    other.certify(&authority(&cluster, "foreign"));
    expect_turned_away(&cluster, &other);
    let client = cluster.client().unwrap();
    assert_eq!(status(&client).hsms.len(), 2);

    // The control: the same machine with the right certificate joins by itself.
    other.certify(&trusted);
    let (mut daemon, log) = other.join(&cluster, 3);
    until("three HSMs", || {
        assert_eq!(daemon.0.try_wait().unwrap(), None, "{}", log_of(&log));
        (status(&client).hsms.len() == 3).then_some(())
    });
    until("the state", || log_of(&log).contains("ready").then_some(()));
    make(&cluster.user().unwrap(), "after");
    expect_equal(&cluster, &[1, 2]);
}
