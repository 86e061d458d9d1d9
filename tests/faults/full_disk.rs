//! A full disk: a real small file system in a mount namespace of its own, which ends with its last process.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use casemate_tests::{Build, program};
use nix::unistd::geteuid;

use crate::daemon::{PATIENCE, Prepared};
use crate::keys;
use crate::ledger::Ledger;

/// A shell in a mount namespace, with a small file system in place of the data directory.
struct Namespace {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    data: String,
}

impl Namespace {
    fn new(prepared: &Prepared, bytes: usize) -> Self {
        let mut command = Command::new("unshare");
        // Who is not root is it in a user namespace.
        if !geteuid().is_root() {
            command.arg("--map-root-user");
        }
        command.args(["--mount", "--propagation", "private", "sh"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let data = prepared.data().display().to_string();
        let mut namespace = Self { child, input, output, data: data.clone() };
        namespace.run(&format!(
            "cp -a '{data}' '{data}.saved' && mount -t tmpfs -o size={bytes} casemate '{data}' && cp -a '{data}.saved/.' '{data}'"
        ));
        namespace
    }

    /// Runs a line; returns what it wrote.
    fn run(&mut self, line: &str) -> String {
        writeln!(self.input, "{line}\necho \"= $?\"").unwrap();
        let mut said = String::new();
        loop {
            let mut next = String::new();
            assert!(self.output.read_line(&mut next).unwrap() > 0, "the shell ended: {line}");
            match next.strip_prefix("= ") {
                Some(code) => {
                    assert_eq!(code.trim(), "0", "{line}: {said}");
                    return said;
                }
                None => said.push_str(&next),
            }
        }
    }

    fn start(&mut self, prepared: &Prepared) {
        let daemon = program(Build::Plain, "casemate-hsmd").display().to_string();
        let directory = prepared.directory().display().to_string();
        self.run(&format!("'{daemon}' --config '{directory}/hsmd.toml' </dev/null >/dev/null 2>>'{directory}/log' &"));
        let start = Instant::now();
        let client = prepared.cluster.client().unwrap();
        let ask = || casemate_protocol::messages::Ask::Ping(casemate_protocol::messages::Empty {});
        while client.call_within(ask(), Duration::from_millis(500)).is_err() {
            assert!(start.elapsed() < PATIENCE, "{}", prepared.cluster.log());
        }
    }

    fn stop(&mut self) {
        self.run("kill -TERM $! && wait $!");
    }

    /// Leaves so much room, in bytes.
    fn fill(&mut self, room: usize) {
        let filler = format!("{}/filler", self.data);
        self.run(&format!("cat /dev/zero >'{filler}' 2>/dev/null; truncate -s -{room} '{filler}'"));
    }

    fn make_room(&mut self) {
        self.run(&format!("rm '{}/filler'", self.data));
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The file system goes with the last process in the namespace.
        drop(self.input.write_all(b"kill -KILL $! 2>/dev/null; exit\n"));
        drop(self.child.wait());
    }
}

/// Waits for the first change that is refused, and returns why.
fn until_refused(client: &casemate_client::Client) -> String {
    let start = Instant::now();
    loop {
        match keys::make(client, "filling") {
            Ok(_) => assert!(start.elapsed() < PATIENCE, "the disk does not fill up"),
            Err(error) => return error.to_string(),
        }
    }
}

#[test]
fn a_full_disk_refuses_changes_not_keys_and_recovers_by_itself() {
    let prepared = Prepared::new();
    let mut disk = Namespace::new(&prepared, 16 << 20);
    disk.start(&prepared);
    let mut ledger = Ledger::start("load", prepared.user(PATIENCE), 3);
    let user = prepared.user(Duration::from_millis(1_500));
    let pair = keys::make_pair(&user, "pair").unwrap();
    for round in 0..3 {
        let before = ledger.acknowledged();
        disk.fill(16_384 * round);
        let refused = until_refused(&user);
        assert!(refused.contains("disk is full"), "{refused}");
        let (start, mut used) = (Instant::now(), 0);
        while start.elapsed() < Duration::from_secs(1) {
            keys::sign(&user, pair).unwrap();
            used += 1;
        }
        // Who comes anew logs in and uses keys, too.
        keys::sign(&prepared.user(Duration::from_secs(5)), pair).unwrap();
        let during = ledger.acknowledged();
        disk.make_room();
        let start = Instant::now();
        keys::make(&prepared.user(Duration::from_secs(10)), "room again").unwrap();
        while ledger.acknowledged() < during + 20 {
            assert!(start.elapsed() < PATIENCE, "the load does not go on");
            std::thread::sleep(Duration::from_millis(5));
        }
        println!(
            "round {round}: {} changes before, {used} signatures on a full disk, changes again after {:?}",
            during - before,
            start.elapsed()
        );
        assert!(used > 100, "{used}");
    }
    let checked = ledger.check(&user).unwrap();
    ledger.finish();
    assert!(ledger.failed().is_empty(), "a client that waits sees no error: {:?}", ledger.failed());
    disk.stop();
    disk.start(&prepared);
    let again = ledger.check(&prepared.user(PATIENCE)).unwrap();
    println!(
        "{} changes acknowledged, {checked:?} on the way, {again:?} after a restart",
        ledger.acknowledged()
    );
    disk.stop();
}

#[test]
fn a_disk_with_room_for_the_log_and_not_for_a_snapshot_goes_on() {
    let prepared = Prepared::new();
    let mut disk = Namespace::new(&prepared, 16 << 20);
    disk.start(&prepared);
    let user = prepared.user(PATIENCE);
    // A snapshot of these does not fit into what is left for the log.
    for number in 0..90 {
        keys::make_pair(&user, &format!("{number}-{}", "x".repeat(200))).unwrap();
    }
    disk.fill(120_000);
    let log = prepared.cluster.log().len();
    for number in 0..30 {
        keys::make(&user, &format!("little-{number}")).unwrap();
    }
    let start = Instant::now();
    while !prepared.cluster.log()[log..].contains("no snapshot was written") {
        assert!(start.elapsed() < PATIENCE, "{}", &prepared.cluster.log()[log..]);
        keys::make(&user, "one more").unwrap();
    }
    keys::make(&user, "although no snapshot was written").unwrap();
    disk.make_room();
    let data = disk.data.clone();
    let start = Instant::now();
    while disk.run(&format!("ls '{data}' | grep -c '^snapshot-0' || true")).trim() == "0" {
        assert!(start.elapsed() < PATIENCE, "no snapshot: {}", &prepared.cluster.log()[log..]);
        std::thread::sleep(Duration::from_millis(50));
    }
    let count = keys::all(&user).unwrap().len();
    disk.stop();
    disk.start(&prepared);
    assert_eq!(keys::all(&prepared.user(PATIENCE)).unwrap().len(), count);
    disk.stop();
}

/// It stops in order, without waiting for room, and loses nothing that it acknowledged.
#[test]
fn a_daemon_on_a_full_disk_stops_when_it_is_told_to() {
    let prepared = Prepared::new();
    let mut disk = Namespace::new(&prepared, 16 << 20);
    disk.start(&prepared);
    let user = prepared.user(Duration::from_millis(1_500));
    let pair = keys::make_pair(&user, "pair").unwrap();
    disk.fill(0);
    let refused = until_refused(&user);
    assert!(refused.contains("disk is full"), "{refused}");
    let start = Instant::now();
    disk.stop();
    println!("it stopped after {:?}", start.elapsed());
    assert!(start.elapsed() < PATIENCE, "{}", prepared.cluster.log());
    disk.make_room();
    disk.start(&prepared);
    let user = prepared.user(PATIENCE);
    keys::sign(&user, pair).unwrap();
    keys::make(&user, "room again").unwrap();
    disk.stop();
}
