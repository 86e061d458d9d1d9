//! What must hold after every hostile act: the same process, no fault in its log, the same state, and a normal client is served.

use casemate_client::Client;
use casemate_protocol::Role;
use casemate_protocol::messages::{Answer, Ask, Empty};
use casemate_tests::{Build, Cluster, USER_PASSWORD};

/// A cluster under attack.
pub(crate) struct Watch {
    pub(crate) cluster: Cluster,
    pid: i32,
    state: Vec<u8>,
    good: Client,
}

impl Watch {
    /// Starts a cluster, with these lines behind its daemon's configuration.
    pub(crate) fn start(configuration: &str) -> Self {
        let cluster = Cluster::start(Build::Plain).unwrap();
        if !configuration.is_empty() {
            cluster.dev(&["down"]).unwrap();
            let path = cluster.path().join("hsm-1/hsmd.toml");
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(path, format!("{text}\n{configuration}\n")).unwrap();
            cluster.dev(&["start", "1"]).unwrap();
        }
        Self::over(cluster)
    }

    fn over(cluster: Cluster) -> Self {
        let good = cluster.user().unwrap();
        let pid = cluster.pid().unwrap();
        let state = state_hash(&good);
        Self { cluster, pid, state, good }
    }

    pub(crate) fn address(&self) -> String {
        self.cluster.address()
    }

    /// Takes what was changed on purpose as the state to keep.
    pub(crate) fn accept_changes(&mut self) {
        self.state = state_hash(&self.good);
    }

    /// Checks that `what` did no harm.
    pub(crate) fn unharmed(&self, what: &str) {
        self.alive(what);
        assert_eq!(state_hash(&self.good), self.state, "{what}: the state changed");
        let fresh = self.cluster.client().unwrap();
        fresh.log_in("app", USER_PASSWORD, Some(Role::CryptoUser)).unwrap();
        assert!(matches!(fresh.call(Ask::Ping(Empty {})).unwrap(), Answer::Done(_)), "{what}");
    }

    /// Checks that the daemon is the same and met no fault: the cheap half of [`Self::unharmed`].
    pub(crate) fn alive(&self, what: &str) {
        assert!(matches!(self.good.call(Ask::Ping(Empty {})).unwrap(), Answer::Done(_)), "{what}");
        assert_eq!(self.cluster.pid(), Some(self.pid), "{what}: another daemon");
        let name = std::fs::read_to_string(format!("/proc/{}/comm", self.pid)).unwrap();
        assert!(name.starts_with("casemate-hsmd"), "{what}: the daemon is gone");
        no_fault(&self.cluster.log(), what);
    }

    /// Returns the resident memory of the daemon, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.pid)).unwrap();
        let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4096
    }

    pub(crate) fn good(&self) -> &Client {
        &self.good
    }
}

pub(crate) fn no_fault(log: &str, what: &str) {
    for word in ["panicked", "fault of its own", "ERROR"] {
        assert!(!log.contains(word), "{what}: {log}");
    }
}

pub(crate) fn state_hash(client: &Client) -> Vec<u8> {
    match client.call(Ask::Status(Empty {})).unwrap() {
        Answer::Status(status) => status.state_hash,
        _ => panic!("no status"),
    }
}
