//! `casemate dev upgrade`: one HSM after the other gets its new daemon while the others serve; the leader last.
//!
//! It goes on to the next only when all are well, so that there is a majority at each moment. What it does by processes on one
//! machine, docs/operate/upgrade.md does by hand on many.

use std::path::Path;
use std::time::{Duration, Instant};

use casemate_client::Config;
use casemate_client::survey::{Survey, survey};
use serde_json::json;

use super::process::Hsm;
use super::{CONFIG, all, config_of, wait_until_ready};
use crate::error::CliError;
use crate::output::Output;

const LOOK: Duration = Duration::from_millis(50);
/// Entries that are in flight under load, and are no sign of anything.
const IN_FLIGHT: u64 = 500;

/// Runs it.
pub(super) fn run(
    directory: &Path,
    daemon: Option<&Path>,
    patience: Duration,
    output: &Output,
) -> Result<(), CliError> {
    let config = Config::load(&directory.join(CONFIG))?;
    let mut left = all(directory)?;
    let mut done = Vec::new();
    while !left.is_empty() {
        let found = wait_until_well(&config, patience)?;
        let leader = found.leader().map(|hsm| hsm.said.address.clone());
        let leads = |hsm: &Hsm| hsm.address().ok() == leader;
        // Whoever leads is last: each change of the leader makes changes wait.
        let next = left.iter().position(|hsm| !leads(hsm)).unwrap_or(0);
        let hsm = left.remove(next);
        output.progress(&format!("upgrading HSM {}", hsm.number));
        restart(&hsm, daemon, &config_of(&hsm, &directory.join(CONFIG))?)?;
        done.push(hsm.number);
    }
    let found = wait_until_well(&config, patience)?;
    let versions: Vec<_> = found.hsms.iter().map(|hsm| hsm.said.version.clone()).collect();
    let text = format!("upgraded {} HSMs; they run {}", done.len(), versions.join(", "));
    output.result(&text, json!({ "upgraded": done, "versions": versions }));
    Ok(())
}

/// Gives an HSM its new daemon; if that does not come up, it gets back what it had.
fn restart(hsm: &Hsm, daemon: Option<&Path>, config: &Config) -> Result<(), CliError> {
    let before = hsm.chosen_daemon();
    hsm.choose_daemon(daemon)?;
    let restarted = hsm.stop().and_then(|()| hsm.start());
    let restarted = restarted.and_then(|()| wait_until_ready(hsm, config));
    let Err(error) = restarted else { return Ok(()) };
    hsm.choose_daemon(before.as_deref())?;
    hsm.stop()?;
    hsm.start()?;
    wait_until_ready(hsm, config)?;
    Err(CliError::Failed(format!(
        "the upgrade stopped: HSM {} runs what it ran before, for with the new daemon: {error}",
        hsm.number
    )))
}

/// What keeps the next HSM from being stopped, if anything does.
fn hindrance(found: &Survey) -> Option<String> {
    if found.hsms.len() > 1 && found.leader().is_none() {
        return Some("no HSM leads".to_owned());
    }
    let ill = found.hsms.iter().find(|hsm| hsm.said.health != "ok");
    if let Some(hsm) = ill {
        let (zone, health) = (&hsm.said.zone, &hsm.said.health);
        return Some(format!("the HSM of zone {zone} is {health}: {}", hsm.said.reason));
    }
    let behind = found.hsms.iter().find(|hsm| hsm.lag.is_none_or(|lag| lag > IN_FLIGHT));
    behind.map(|hsm| format!("the HSM of zone {} is behind the others", hsm.said.zone))
}

/// Waits until the next HSM may be stopped, as long as `patience`.
fn wait_until_well(config: &Config, patience: Duration) -> Result<Survey, CliError> {
    let start = Instant::now();
    loop {
        let found = survey(config);
        let hindered = match &found {
            Ok(found) => hindrance(found),
            Err(error) => Some(error.to_string()),
        };
        match (found, hindered) {
            (Ok(found), None) => return Ok(found),
            (_, Some(cause)) if start.elapsed() > patience => {
                return Err(CliError::Failed(format!(
                    "the upgrade stopped, and what is upgraded stays: {cause}"
                )));
            }
            _ => std::thread::sleep(LOOK),
        }
    }
}
