//! An fsync that fails: nobody knows what is on the disk, so changes are refused until a restart, and keys go on being used.

use std::time::Duration;

use casemate_tests::Build;

use crate::daemon::{PATIENCE, Prepared};
use crate::keys;
use crate::ledger::Ledger;
use crate::shim::Shim;

#[test]
fn after_a_failed_fsync_changes_are_refused_and_keys_are_used() {
    let prepared = Prepared::new();
    let shim = Shim::build(prepared.cluster.work());
    let mut daemon = prepared.start(Build::Plain, &shim.environment());
    let user = prepared.user(Duration::from_secs(5));
    let pair = keys::make_pair(&user, "before").unwrap();
    let mut ledger = Ledger::start("load", prepared.user(Duration::from_secs(5)), 3);
    while ledger.acknowledged() < 150 {
        std::thread::sleep(Duration::from_millis(5));
    }
    shim.fail_syncs(true);
    let refused = keys::make(&user, "during").unwrap_err().to_string();
    assert!(refused.contains("disk failed"), "{refused}: {}", daemon.log());
    shim.fail_syncs(false);
    // The disk works again, and yet nobody knows what became of what was written.
    let refused = keys::make(&user, "after").unwrap_err().to_string();
    assert!(refused.contains("disk failed"), "{refused}");
    for _ in 0..100 {
        keys::sign(&user, pair).unwrap();
    }
    // Who comes anew logs in and uses keys, too.
    keys::sign(&prepared.user(Duration::from_secs(5)), pair).unwrap();
    assert!(daemon.log().contains("the disk failed"), "{}", daemon.log());
    ledger.finish();
    assert!(!ledger.failed().is_empty(), "the load was not refused");
    daemon.kill();

    let mut daemon = prepared.start(Build::Plain, &[]);
    let user = prepared.user(PATIENCE);
    let checked = ledger.check(&user).unwrap();
    assert!(checked.objects > 5, "{checked:?}");
    keys::sign(&user, pair).unwrap();
    keys::make(&user, "again").unwrap();
    daemon.stop();
}
