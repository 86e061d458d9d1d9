//! Power loss and kills over random histories: what was acknowledged is there, and nothing that was never proposed.
//!
//! `CASEMATE_SEEDS` says how many histories are played (60), `CASEMATE_SEED` plays one.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod histories;
mod names;

use histories::{Shown, play};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn a_power_loss_at_any_byte_loses_nothing_that_was_acknowledged() {
    let seeds = match number("CASEMATE_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("CASEMATE_SEEDS").unwrap_or(60),
    };
    let mut all = Shown::default();
    let count = seeds.clone().count();
    for seed in seeds {
        let shown = play(seed, 6);
        let whole = shown.lost == 0 && shown.refused.is_none();
        assert!(whole, "CASEMATE_SEED={seed}: {shown:?}");
        all.acknowledged += shown.acknowledged;
        all.power_losses += shown.power_losses;
        all.kills += shown.kills;
    }
    println!(
        "{count} histories: {} power losses, {} kills, {} acknowledged changes, all there",
        all.power_losses, all.kills, all.acknowledged
    );
}
