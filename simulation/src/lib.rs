//! Several HSMs and their clients on a simulated network, disk and clock: one seed, one history, replayed exactly.
//!
//! ```text
//!   seed ──▶ random ──▶ scheduler: which task runs next, when timers end, how long an fsync takes
//!                 ├───▶ network: delay, loss, repetition, order, cuts, also one way
//!                 ├───▶ disk: what a power loss leaves, where in a write it comes
//!                 └───▶ faults: what is done to whom, and when
//!
//!   clients ──▶ HSMs (the crates that ship) ──▶ history ──▶ linearizability
//!                                   └─────────▶ invariants after each step
//! ```
//!
//! Nothing here decides what is right by looking at the code under test: the models of `linearizability` say it in a few lines.
//! docs/internals/simulation.md tells how to read a seed's log.
#![forbid(unsafe_code)]

pub mod disk;
pub mod faults;
pub mod history;
pub mod invariants;
pub mod linearizability;
pub mod network;
pub mod random;
pub mod scheduler;
pub mod seed;
pub mod service;
pub mod workload;
pub mod world;
