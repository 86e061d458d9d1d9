//! Faults: what the daemon promises about its disk, tried with the real programs.
//!
//! | file | what it shows |
//! | --- | --- |
//! | `kills.rs` | SIGKILL at random moments and at every named point loses no acknowledged change; a planted bug is found |
//! | `damage.rs` | damage, missing files and old copies are refused by name; a torn end is repaired |
//! | `full_disk.rs` | a full disk refuses changes, not the use of keys, and recovers by itself |
//! | `failing_disk.rs` | after a failed fsync changes are refused, and a restart has the right state |
//! | `stopping.rs` | SIGTERM under load loses no request; a retried write is applied once, also across a snapshot |
//! | `clock.rs` | a clock that was moved back or forward |
//!
//! `docs/internals/durability.md` says in plain words what is promised.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]
#![expect(clippy::print_stdout, reason = "the numbers are what a test shows")]

mod clock;
mod daemon;
mod damage;
mod failing_disk;
mod full_disk;
mod keys;
mod kills;
mod ledger;
mod relay;
mod shim;
mod stopping;
