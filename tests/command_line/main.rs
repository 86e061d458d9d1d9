//! The command line against real clusters: every command, its output for people and for programs, its refusals.
#![forbid(unsafe_code)]
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "what a test cannot do fails it")]

mod by_hand;
mod crypto;
mod daemon;
mod dev;
mod keys;
mod shell;
mod usage;
mod users;
