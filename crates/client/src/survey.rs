//! How a cluster and each of its HSMs are, asked of each HSM itself: one alone cannot know how another is, only whether it reaches it.
//!
//! For `casemate cluster status` and for metrics. It needs no log-in.

use std::time::Duration;

use casemate_protocol::messages::{Answer, Ask, Empty, HsmStatus, Status};

use crate::client::Client;
use crate::config::Config;
use crate::error::ClientError;

/// How a cluster is.
#[derive(Clone, Debug)]
pub struct Survey {
    /// What the first HSM that answered says of the cluster.
    pub cluster: Status,
    /// Each HSM, by its number among the members.
    pub hsms: Vec<Surveyed>,
    /// What is wrong, in words; empty if nothing is.
    pub warnings: Vec<String>,
}

/// How one HSM is.
#[derive(Clone, Debug)]
pub struct Surveyed {
    /// What it says of itself; if it does not answer, what another knows of it.
    pub said: HsmStatus,
    /// Its state hash at its index; none if it does not answer.
    pub state_hash: Option<Vec<u8>>,
    /// How many entries it has not applied that another has; none if it does not answer.
    pub lag: Option<u64>,
}

/// Health of a cluster in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// All HSMs are well, and the loss of one is survived.
    Ok,
    /// It serves; an HSM is not well, or the next loss stops changes.
    Degraded,
    /// Keys are used; changes wait for a majority of the HSMs.
    ReadOnly,
}

impl Health {
    /// Returns the word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::ReadOnly => "read-only",
        }
    }
}

/// An HSM that is so far behind is told of; fewer are in flight.
const LAG_MAX: u64 = 1_000;
/// How long an HSM may take to say how it is.
pub const PATIENCE: Duration = Duration::from_secs(1);

impl Survey {
    /// Returns the cluster's health and its reason.
    #[must_use]
    pub fn health(&self) -> (Health, String) {
        let leads = self.hsms.iter().any(|hsm| hsm.lag.is_some() && hsm.said.leader);
        if !leads {
            return (Health::ReadOnly, "no HSM leads: changes wait for a majority".to_owned());
        }
        let ill = self.hsms.iter().find(|hsm| hsm.said.health != "ok");
        if let Some(ill) = ill {
            let HsmStatus { zone, health, reason, .. } = &ill.said;
            return (Health::Degraded, format!("the HSM of zone {zone} is {health}: {reason}"));
        }
        match self.warnings.first() {
            Some(warning) => (Health::Degraded, warning.clone()),
            None => (Health::Ok, String::new()),
        }
    }

    /// Whether two HSMs at one index hold different states, which must never be.
    #[must_use]
    pub fn states_differ(&self) -> bool {
        differ(&self.hsms)
    }

    /// The HSM that leads, if one says so of itself.
    #[must_use]
    pub fn leader(&self) -> Option<&Surveyed> {
        self.hsms.iter().find(|hsm| hsm.lag.is_some() && hsm.said.leader)
    }
}

fn ask(config: Config, within: Duration) -> Result<Status, ClientError> {
    match Client::new(config).call_within(Ask::Status(Empty {}), within)? {
        Answer::Status(status) => Ok(status),
        _ => Err(ClientError::Unexpected),
    }
}

/// Asks every HSM how it is.
///
/// # Errors
/// [`ClientError`], if none answers within the configured deadline.
pub fn survey(config: &Config) -> Result<Survey, ClientError> {
    let first = ask(config.clone(), config.deadline)?;
    let others: Vec<_> = std::thread::scope(|scope| {
        #[expect(clippy::needless_collect, reason = "all are asked before one is waited for")]
        let asking: Vec<_> = first
            .hsms
            .iter()
            .map(|hsm| {
                let addresses = vec![hsm.address.clone()];
                let only = Config { addresses, ..config.clone() };
                // This one has answered.
                scope.spawn(move || if hsm.this { None } else { Some(ask(only, PATIENCE)) })
            })
            .collect();
        asking.into_iter().map(|asked| asked.join().unwrap_or(None)).collect()
    });
    let mut hsms: Vec<Surveyed> = first
        .hsms
        .iter()
        .zip(others)
        .map(|(hsm, other)| match other {
            None => alive(hsm.clone(), first.state_hash.clone()),
            Some(Ok(status)) => {
                let own = status.hsms.iter().find(|one| one.this && one.hsm == hsm.hsm);
                match own {
                    Some(own) => alive(own.clone(), status.state_hash.clone()),
                    None => away(hsm, "another HSM answers at its address"),
                }
            }
            Some(Err(error)) => away(hsm, &error.to_string()),
        })
        .collect();
    let most = hsms.iter().filter_map(|hsm| hsm.lag.and(Some(hsm.said.index))).max().unwrap_or(0);
    for hsm in &mut hsms {
        hsm.lag = hsm.lag.map(|_alive| most - hsm.said.index.min(most));
    }
    let warnings = warnings(&first, &hsms);
    Ok(Survey { cluster: first, hsms, warnings })
}

const fn alive(said: HsmStatus, state_hash: Vec<u8>) -> Surveyed {
    Surveyed { said, state_hash: Some(state_hash), lag: Some(0) }
}

fn away(hsm: &HsmStatus, reason: &str) -> Surveyed {
    let said = HsmStatus {
        health: "away".to_owned(),
        reason: reason.to_owned(),
        leader: false,
        ..hsm.clone()
    };
    Surveyed { said, state_hash: None, lag: None }
}

fn differ(hsms: &[Surveyed]) -> bool {
    let differ = |one: &Surveyed, other: &Surveyed| {
        one.said.index == other.said.index
            && one.state_hash.is_some()
            && other.state_hash.is_some()
            && one.state_hash != other.state_hash
    };
    hsms.iter().any(|one| hsms.iter().any(|other| differ(one, other)))
}

fn warnings(first: &Status, hsms: &[Surveyed]) -> Vec<String> {
    let mut warnings = first.warnings.clone();
    for hsm in hsms {
        if let Some(lag) = hsm.lag.filter(|lag| *lag > LAG_MAX) {
            warnings.push(format!("the HSM of zone {} is {lag} entries behind", hsm.said.zone));
        }
    }
    if differ(hsms) {
        warnings.push("HSMs hold different states: their hashes differ at one index".to_owned());
    }
    let versions = hsms.iter().map(|hsm| hsm.said.version.as_str());
    let versions: std::collections::BTreeSet<&str> = versions.collect();
    if versions.len() > 1 {
        let versions: Vec<&str> = versions.into_iter().collect();
        warnings.push(format!("HSMs run different versions: {}", versions.join(", ")));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hsm(node: u64, index: u64, hash: u8) -> Surveyed {
        let said = HsmStatus {
            node,
            index,
            zone: node.to_string(),
            health: "ok".to_owned(),
            leader: node == 1,
            ..HsmStatus::default()
        };
        Surveyed { said, state_hash: Some(vec![hash]), lag: Some(0) }
    }

    fn of(hsms: Vec<Surveyed>) -> Survey {
        let cluster = Status::default();
        Survey { warnings: warnings(&cluster, &hsms), cluster, hsms }
    }

    #[test]
    fn all_are_well() {
        let survey = of(vec![hsm(1, 7, 1), hsm(2, 7, 1), hsm(3, 6, 2)]);
        assert_eq!(survey.health(), (Health::Ok, String::new()));
        assert_eq!(survey.leader().map(|hsm| hsm.said.node), Some(1));
    }

    #[test]
    fn states_that_differ_at_one_index_are_told() {
        let survey = of(vec![hsm(1, 7, 1), hsm(2, 7, 2)]);
        assert_eq!(survey.health().0, Health::Degraded);
        assert!(survey.health().1.contains("different states"), "{survey:?}");
    }

    #[test]
    fn who_is_away_is_named_and_does_not_lead() {
        let gone = away(&hsm(1, 7, 1).said, "connection refused");
        let survey = of(vec![gone, hsm(2, 7, 1), hsm(3, 7, 1)]);
        assert_eq!(survey.health().0, Health::ReadOnly);
        let mut third = hsm(3, 7, 1);
        third.said.leader = true;
        let survey = of(vec![away(&hsm(1, 7, 1).said, "connection refused"), hsm(2, 7, 1), third]);
        assert_eq!(
            survey.health(),
            (Health::Degraded, "the HSM of zone 1 is away: connection refused".to_owned())
        );
    }

    #[test]
    fn who_is_far_behind_is_told() {
        let mut behind = hsm(2, 7, 1);
        behind.lag = Some(LAG_MAX + 1);
        assert!(of(vec![hsm(1, 2_000, 1), behind]).health().1.contains("1001 entries behind"));
    }
}
