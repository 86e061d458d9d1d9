//! Every file of Wycheproof ran, or is listed with the reason why not.

use std::fmt::Debug;

use crate::files::{FORMS, SKIPPED, all};
use crate::tally::Tally;

/// Whether nothing of a file can run, so that it needs no job.
pub(crate) fn is_left_out(family: &str, name: impl Debug) -> bool {
    let name = format!("{family}/{name:?}");
    SKIPPED.iter().any(|(part, _)| name.contains(part))
}

/// Returns what is wrong: a file that ran nowhere without a reason, and a reason that no file needs.
pub(crate) fn check(tallies: &[Tally]) -> Vec<String> {
    let mut faults = Vec::new();
    let reasons = [SKIPPED, FORMS].concat();
    let mut needed = vec![false; reasons.len()];
    for name in all() {
        if tallies.iter().any(|tally| tally.name == name) {
            continue;
        }
        match reasons.iter().position(|(part, _)| name.contains(part)) {
            Some(found) => {
                needed[found] = true;
                println!("{name}: 0 ran, skipped whole: {}", reasons[found].1);
            }
            None => faults.push(format!("{name} ran nowhere, and no reason is given")),
        }
    }
    let unneeded = reasons.iter().zip(needed).filter(|(_, needed)| !needed);
    faults.extend(unneeded.map(|((part, _), _)| format!("no file needs the reason for {part}")));
    faults
}
