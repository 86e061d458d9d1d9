//! Bad input at every border of a running daemon but the C ABI's: each case ends with the same process, the same state, no fault
//! in the log, and a client that is served.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]
#![expect(
    clippy::too_many_lines,
    reason = "the cases of a border are one table, one after the other"
)]

mod certificates;
mod configuration;
mod daemon;
mod frames;
mod keys;
mod load;
mod log_in;
mod mechanisms;
mod objects;
mod transport;
mod watch;
mod wire;
