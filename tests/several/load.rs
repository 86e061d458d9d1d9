//! Applications at work: threads that use a key and threads that make keys, none of which may see an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use casemate_client::Client;
use casemate_protocol::Role;
use casemate_tests::{Cluster, USER_PASSWORD};

use crate::{expect_equal, labels, make, only, sign};

const THREADS: usize = 4;

/// What a thread did: the keys it made, and its longest call.
type Done = (Vec<String>, Duration);

/// Threads at work, until the end.
pub(crate) struct Load {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Done>>,
}

impl Load {
    /// Threads of one client of all the cluster's HSMs: every second signs, the others make keys.
    pub(crate) fn start(cluster: &Cluster) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let client = Arc::new(cluster.user().unwrap());
        let signing = make(&client, "signing");
        let signature = sign(&client, &signing);
        let thread = |thread: usize| {
            let (over, client) = (Arc::clone(&over), Arc::clone(&client));
            let (signing, signature) = (signing.clone(), signature.clone());
            std::thread::spawn(move || {
                let (mut made, mut longest) = (Vec::new(), Duration::ZERO);
                while !over.load(Ordering::SeqCst) {
                    let start = Instant::now();
                    if thread.is_multiple_of(2) {
                        assert_eq!(sign(&client, &signing), signature);
                    } else {
                        let label = format!("key-{thread}-{}", made.len());
                        make(&client, &label);
                        made.push(label);
                    }
                    longest = longest.max(start.elapsed());
                }
                (made, longest)
            })
        };
        Self { threads: (0..THREADS).map(thread).collect(), over }
    }

    /// Ends it, and expects every key on each of the three HSMs; returns how long the longest call took.
    pub(crate) fn end(self, cluster: &Cluster) -> Duration {
        self.over.store(true, Ordering::SeqCst);
        let done: Vec<Done> =
            self.threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        expect_equal(cluster, &[1, 2, 3]);
        let made: Vec<&String> = done.iter().flat_map(|(made, _longest)| made).collect();
        assert!(made.len() > 100, "{} keys", made.len());
        for number in 1..=3 {
            let client: Client = only(cluster, number);
            client.log_in("app", USER_PASSWORD, Some(Role::CryptoUser)).unwrap();
            for label in &made {
                assert_eq!(labels(&client, label), 1, "{label} on HSM {number}");
            }
        }
        let longest = done.iter().map(|(_made, longest)| *longest).max().unwrap();
        println!("{} keys made, the longest call took {longest:?}", made.len());
        longest
    }
}
