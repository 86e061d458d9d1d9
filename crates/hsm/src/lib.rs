//! The module: objects, users, log-ins and policy of an HSM, without I/O, clock or threads of its own.
//!
//! ```text
//!            request, caller, now                            entry of the log
//!                    │                                              │
//!                    ▼                                              ▼
//!  ┌────────── Reader (&self) ──────────┐   Propose      ┌── Applier (&mut) ───┐
//!  │ permissions ─▶ users, log_in,      │ ─ ─ ─ ─ ─ ─ ─▶ │ open the command    │
//!  │               lifecycle, objects,  │   the daemon   │ decide again        │
//!  │               operations           │   replicates   │ change the state    │
//!  │        on a published state        │ ◀───publish─── │                     │
//!  └────────────────────────────────────┘                └─────────────────────┘
//!      │ Reply │ Offload │ ConfirmThen │ Propose              │ reply │ snapshot
//! ```
//!
//! [`create`] makes a new cluster's secrets and the first entry of its log; [`start`] makes the two faces of
//! the module from its secrets. Then, in this order: [`Applier::install`] with the newest snapshot,
//! [`Applier::apply`] with every entry behind it, [`Applier::publish`] after each batch. From then on
//! [`Reader::handle`] serves requests from any number of threads.
//!
//! Whatever is random or timed is in the command, so every HSM of a cluster holds the same state, and
//! everything that leaves memory is sealed (`sealing.rs`).
#![forbid(unsafe_code)]
#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::string_slice,
    clippy::wildcard_enum_match_arm
)]

// The tests inside and outside the crate share one harness, which names the crate.
#[cfg(test)]
extern crate self as casemate_hsm;

mod activity;
mod apply;
mod attestation;
mod authority;
mod command;
mod entropy;
#[cfg(test)]
mod hostile;
mod index_token;
mod lifecycle;
pub mod limits;
mod log_in;
mod members;
mod objects;
mod operations;
mod outcome;
pub mod permissions;
mod reader;
mod sealing;
mod secrets;
mod shared;
mod state;
mod status;
mod users;
mod window;

pub use activity::Activity;
pub use apply::{Applier, InstallError, SnapshotChunks};
pub use attestation::GoodMachines;
pub use entropy::{Entropy, SystemEntropy, Time};
pub use lifecycle::certificates::{TlsIdentity, identity_certificate};
pub use lifecycle::{Settings, ThisHsm, create, start};
pub use log_in::LogIn;
pub use members::MemberAddress;
pub use members::join::{Considered, Joiner, Notice};
pub use outcome::{Answered, CallerChange, Finish, Job, Outcome, Proposal, Wait};
pub use reader::{Call, Caller, Reader};
pub use secrets::Secrets;
pub use status::{Surroundings, Writes};

/// Why the module cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A power-on self-test failed, or the library refused to make a key.
    #[error(
        "the cryptographic library failed a self-test or cannot make a key: this machine must not be used"
    )]
    Cryptography(#[from] casemate_crypto::Error),
    /// A certificate or request cannot be made.
    #[error("a certificate cannot be made")]
    Certificate(#[from] rcgen::Error),
    /// The clock shows a time that no certificate can say.
    #[error("the clock shows a time that no certificate can say: set it")]
    Clock,
}
