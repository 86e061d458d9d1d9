//! Replicas of the module: Raft (openraft), the log and snapshots on disk.
//!
//! ```text
//! hsmd ──propose──▶ Cluster ──▶ openraft ──append──▶ log store ──▶ one writer thread ──▶ Disk
//!                     ▲          │      ▲  │                        (one fsync for many)
//!                     │          ▼      └──┼─ serve ◀── Transport ◀── other members
//!                     └── reply ── apply ──▶ Replica (the module's Applier)
//! ```
//!
//! A cluster of one is Raft with one voter, so that more members are more of the same and not a second mechanism. What
//! is written is opaque here: sealed commands and sealed chunks. An entry is acknowledged when it is on disk. The
//! disk is a trait ([`disk::Disk`]), so that tests tear, lose and refuse writes; the store on it is ours, append-only, small
//! (docs/decisions/0001-store.md says why). Raft runs on its own runtime and threads: load of
//! cryptography does not delay it.
#![forbid(unsafe_code)]

mod cluster;
pub mod disk;
pub mod fuzzing;
mod log_storage;
mod mark;
mod member;
mod message;
mod network;
mod proposals;
mod reading;
mod receive;
mod record;
mod replica;
pub mod runtime;
mod serving;
pub mod simulated_disk;
mod snapshot_file;
mod state_machine;
mod status;
mod store;
pub mod testing;
mod writer;

pub use cluster::{Begin, Cluster, Committed, Config, Done, ProposeError};
pub use member::{Alone, Later, Member, Transport, TransportError};
pub use reading::Confirmed;
pub use replica::{Chunks, Replica, ReplicaError, Snapshot};
pub use status::{MemberStatus, MembershipError, Status};
pub use store::{StoreError, has_log};
pub use writer::WriteHealth;
