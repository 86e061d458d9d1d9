//! The module from outside, as a daemon drives it: one HSM in memory, without disk or network.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod attested;
mod fips_mode;
mod joining;
mod keys;
mod life_of_a_cluster;
mod locks;
mod one_hsm;
mod reads_after_writes;
mod time;
mod trusted_keys;
