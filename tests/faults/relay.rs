//! A relay between a client and the HSM: it lets through, loses the answers, or keeps the client out.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use casemate_tests::Cluster;

/// What becomes of connections and answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Pass,
    /// Requests go through, answers do not.
    Swallow,
    /// New connections end at once.
    Refuse,
}

/// A relay; clones are the same one.
#[derive(Clone)]
pub(crate) struct Relay {
    address: SocketAddr,
    mode: Arc<AtomicU8>,
    swallowed: Arc<AtomicUsize>,
}

impl Relay {
    /// Starts a relay to a cluster's HSM. It ends with the test's process.
    pub(crate) fn start(cluster: &Cluster) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let relay = Self { address, mode: Arc::default(), swallowed: Arc::default() };
        let (accepting, to) = (relay.clone(), cluster.address());
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if !accepting.is(Mode::Refuse)
                    && let Ok(hsm) = TcpStream::connect(&to)
                {
                    accepting.join(client, hsm);
                }
            }
        });
        relay
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.store(mode as u8, Ordering::SeqCst);
    }

    fn is(&self, mode: Mode) -> bool {
        self.mode.load(Ordering::SeqCst) == mode as u8
    }

    /// Returns how many bytes of answers were lost.
    pub(crate) fn swallowed(&self) -> usize {
        self.swallowed.load(Ordering::SeqCst)
    }

    fn join(&self, client: TcpStream, hsm: TcpStream) {
        client.set_nodelay(true).unwrap();
        hsm.set_nodelay(true).unwrap();
        let (from, into) = (hsm.try_clone().unwrap(), client.try_clone().unwrap());
        std::thread::spawn(move || pump(client, hsm, |_| true));
        let relay = self.clone();
        std::thread::spawn(move || {
            pump(from, into, |length| {
                let swallows = relay.is(Mode::Swallow);
                relay.swallowed.fetch_add(if swallows { length } else { 0 }, Ordering::SeqCst);
                !swallows
            });
        });
    }
}

/// Moves bytes until either side ends; those that may not pass are dropped.
fn pump(mut from: TcpStream, mut into: TcpStream, passes: impl Fn(usize) -> bool) {
    let mut buffer = [0; 16_384];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if passes(length) && into.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    // The other side may have ended already.
    drop(into.shutdown(Shutdown::Both));
}
