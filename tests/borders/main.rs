//! Bad input at every border of a running daemon but the C ABI's: each case ends with the same process, the same state, no fault
//! in the log, and a client that is served.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod frames;
mod load;
mod log_in;
mod mechanisms;
mod objects;
mod transport;
mod watch;
mod wire;
