//! The network: what is sent may be late, lost, repeated or overtaken, and any link may be cut, also one way.
//!
//! A message on its way belongs to nobody: it arrives although its sender has crashed, and is lost if its receiver has, or has been
//! started anew in between.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use casemate_cluster::runtime::Scheduler as _;
use casemate_cluster::{Later, Member, Transport, TransportError};
use tokio::sync::oneshot;

use crate::random::Random;
use crate::scheduler::{Simulation, WORLD};

/// The port on which HSMs talk to each other.
pub const PEERS: u16 = 2224;
/// The port of applications.
pub const APPLICATIONS: u16 = 2223;

/// How the links are.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// The least and the most that a message takes.
    pub delay_us: (u64, u64),
    /// How many of a thousand messages are lost.
    pub lost_per_mille: u64,
    /// How many of a thousand requests arrive twice.
    pub repeated_per_mille: u64,
}

impl Default for Weather {
    fn default() -> Self {
        Self { delay_us: (100, 1_500), lost_per_mille: 0, repeated_per_mille: 0 }
    }
}

/// Who answers at an address: what is asked, and the answer later.
pub type Server = Arc<dyn Fn(Vec<u8>) -> Later<Vec<u8>> + Send + Sync>;

/// What happened to messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those that were sent.
    pub sent: u64,
    /// Those that were lost: by chance, by a cut link, or with their receiver.
    pub lost: u64,
    /// Those that came twice.
    pub repeated: u64,
}

struct State {
    random: Random,
    weather: Weather,
    /// From one host, to another.
    cut: BTreeSet<(u64, u64)>,
    servers: BTreeMap<(u64, u16), Server>,
    counts: Counts,
}

/// The network. Clones are the same one.
#[derive(Clone)]
pub struct Network {
    simulation: Simulation,
    state: Arc<Mutex<State>>,
}

impl Network {
    /// Makes a network without anybody.
    #[must_use]
    pub fn new(simulation: &Simulation, random: &mut Random) -> Self {
        let state = State {
            random: random.split(),
            weather: Weather::default(),
            cut: BTreeSet::new(),
            servers: BTreeMap::new(),
            counts: Counts::default(),
        };
        Self { simulation: simulation.clone(), state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets how the links are.
    pub fn set_weather(&self, weather: Weather) {
        self.state().weather = weather;
    }

    /// Cuts a link in one direction.
    pub fn cut(&self, from: u64, to: u64) {
        self.state().cut.insert((from, to));
    }

    /// Mends all links.
    pub fn mend(&self) {
        self.state().cut.clear();
    }

    /// Returns what happened until now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// From now on this one answers there; nobody if it is none.
    pub fn serve(&self, at: (u64, u16), server: Option<Server>) {
        // The one before may end in the drop, and ask for the network.
        let _before = {
            let mut state = self.state();
            match server {
                Some(server) => state.servers.insert(at, server),
                None => state.servers.remove(&at),
            }
        };
    }

    /// The transport of one HSM.
    #[must_use]
    pub fn transport(&self, from: u64) -> Arc<dyn Transport> {
        Arc::new(Wire { from, network: self.clone() })
    }

    /// Sends a request and brings its reply back.
    ///
    /// # Errors
    /// [`TransportError`] if one of them is lost, or nobody is there.
    pub async fn ask(
        &self,
        from: u64,
        to: (u64, u16),
        request: Vec<u8>,
        within: Duration,
    ) -> Result<Vec<u8>, TransportError> {
        let (sender, receiver) = oneshot::channel();
        let sender = Arc::new(Mutex::new(Some(sender)));
        let again = {
            let mut state = self.state();
            let per_mille = state.weather.repeated_per_mille;
            let again = state.random.chance(per_mille);
            state.counts.repeated += u64::from(again);
            again
        };
        for _ in 0..=usize::from(again) {
            let (network, sender) = (self.clone(), Arc::clone(&sender));
            let request = request.clone();
            let journey = async move {
                let reply = match network.journey(from, to, request).await {
                    Journey::Back(reply) => reply,
                    Journey::Refused => return,
                    Journey::Lost => return network.simulation.sleep(within).await,
                };
                let sender = sender.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(sender) = sender {
                    // Who asked may have given up.
                    let _told = sender.send(reply).is_ok();
                }
            };
            self.simulation.spawn(WORLD, Box::pin(journey));
        }
        drop(sender);
        let lost = || TransportError(format!("{from} does not reach {}", to.0));
        let late = self.simulation.sleep(within);
        tokio::select! {
            biased;
            reply = receiver => match reply {
                Ok(reply) => Ok(reply),
                Err(_refused) => Err(lost()),
            },
            () = late => Err(lost()),
        }
    }

    async fn journey(&self, from: u64, to: (u64, u16), request: Vec<u8>) -> Journey {
        if !self.arrives(from, to.0).await {
            return Journey::Lost;
        }
        let Some(server) = self.state().servers.get(&to).cloned() else { return Journey::Refused };
        let reply = server(request).await;
        let same = self.state().servers.get(&to).is_some_and(|now| Arc::ptr_eq(now, &server));
        if !same {
            self.state().counts.lost += 1;
            return Journey::Refused;
        }
        if self.arrives(to.0, from).await { Journey::Back(reply) } else { Journey::Lost }
    }

    /// Lets a message travel; returns whether it arrives.
    async fn arrives(&self, from: u64, to: u64) -> bool {
        let (time, lost) = {
            let mut state = self.state();
            let weather = state.weather;
            state.counts.sent += 1;
            let (least, most) = weather.delay_us;
            (state.random.between(least, most), state.random.chance(weather.lost_per_mille))
        };
        self.simulation.sleep(Duration::from_micros(time)).await;
        let mut state = self.state();
        let lost = lost || state.cut.contains(&(from, to));
        state.counts.lost += u64::from(lost);
        !lost
    }
}

/// How a request fared.
enum Journey {
    Back(Vec<u8>),
    /// Nobody is told.
    Lost,
    /// A connection that is refused or reset is told.
    Refused,
}

/// One HSM's end.
struct Wire {
    from: u64,
    network: Network,
}

impl Transport for Wire {
    fn call(
        &self,
        to: u64,
        _member: &Member,
        request: Vec<u8>,
        within: Duration,
    ) -> Later<Result<Vec<u8>, TransportError>> {
        let (from, network) = (self.from, self.network.clone());
        Box::pin(async move { network.ask(from, (to, PEERS), request, within).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meet(seed: u64, act: impl FnOnce(&Network)) -> (Vec<u8>, Counts) {
        let mut random = Random::new(seed);
        let simulation = Simulation::new(&mut random);
        let network = Network::new(&simulation, &mut random);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let listening = Arc::clone(&heard);
        let echo: Server = Arc::new(move |request: Vec<u8>| {
            listening.lock().unwrap().extend(request);
            Box::pin(async { b"heard".to_vec() })
        });
        network.serve((2, PEERS), Some(echo));
        act(&network);
        for number in 0..40_u8 {
            let network = network.clone();
            let ask = async move {
                let _reply =
                    network.ask(1, (2, PEERS), vec![number], Duration::from_secs(1)).await.is_ok();
            };
            simulation.spawn(WORLD, Box::pin(ask));
        }
        simulation.run_until(|| simulation.time() > Duration::from_secs(2));
        let heard = heard.lock().unwrap().clone();
        (heard, network.counts())
    }

    #[test]
    fn messages_overtake_each_other_and_one_seed_is_one_order() {
        let (heard, counts) = meet(1, |_| {});
        assert_eq!((counts.sent, counts.lost, counts.repeated), (80, 0, 0));
        let mut sorted = heard.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..40).collect::<Vec<u8>>());
        assert_ne!(sorted, heard);
        assert_eq!(meet(1, |_| {}).0, heard);
        assert_ne!(meet(2, |_| {}).0, heard);
    }

    #[test]
    fn messages_are_lost_and_repeated_as_often_as_is_said() {
        let weather =
            Weather { lost_per_mille: 300, repeated_per_mille: 300, ..Weather::default() };
        let (heard, counts) = meet(3, |network| network.set_weather(weather));
        assert!(counts.lost > 10 && counts.repeated > 5, "{counts:?}");
        let twice = (0..40).filter(|number| heard.iter().filter(|one| *one == number).count() == 2);
        assert!(twice.count() > 2, "{heard:?}");
    }

    #[test]
    fn a_link_that_is_cut_one_way_carries_the_other() {
        let (heard, counts) = meet(4, |network| network.cut(2, 1));
        assert_eq!((heard.len(), counts.lost), (40, 40));
        let (heard, counts) = meet(4, |network| network.cut(1, 2));
        assert_eq!((heard.len(), counts.lost), (0, 40));
        assert!(meet(4, |network| network.serve((2, PEERS), None)).0.is_empty());
    }
}
