//! The control: a build that acknowledges before the fsync loses writes, and the same check finds it.
//!
//! It has a process of its own, because the bug is switched on by the environment.
#![cfg(feature = "testing")]

mod histories;
mod names;

#[test]
fn acknowledging_before_the_fsync_is_found() {
    assert!(
        casemate_cluster::testing::acknowledges_early(),
        "run with CASEMATE_ACKNOWLEDGE_EARLY=1"
    );
    // A store that will not open again has lost as much as one that opens without what was acknowledged.
    let (mut lost, mut acknowledged) = (0, 0);
    for seed in 1..=20 {
        let shown = histories::play(seed, 3);
        assert!(shown.power_losses + shown.kills == 3 || shown.refused.is_some(), "{shown:?}");
        lost += shown.lost + usize::from(shown.refused.is_some());
        acknowledged += shown.acknowledged;
    }
    assert!(lost > 0, "the planted bug was not found in {acknowledged} acknowledged changes");
}
