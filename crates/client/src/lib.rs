//! The client: connections to the HSMs of one cluster, log-in, retry.
//!
//! ```text
//! application threads ─▶ Client::call ─▶ core (what to do: attempt, wait, log in, give up; no I/O)
//!                                     └▶ Link (one TLS connection, shared by threads without one of its own)
//! ```
//!
//! It is a guest in somebody's process: no threads of its own, nothing that outlives the call. A restart of the daemon, a lost
//! connection, a full queue are not errors for the application: the call is repeated with the same request id, after a log-in
//! by ticket, until its deadline. Each error names its own cause.
#![forbid(unsafe_code)]

mod client;
mod config;
mod core;
mod dial;
mod error;
mod link;
mod log_in;
mod received;
mod seen;
pub mod survey;
mod trust;
mod waiter;

pub use client::{Client, ClusterInfo};
pub use config::{ClientIdentity, Config, ConfigError, Trust};
pub use error::ClientError;
pub use log_in::LoggedIn;
pub use trust::check as check_chain;
