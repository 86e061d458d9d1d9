//! What must hold for any input at a border: one function for each fuzz target.
//!
//! A function takes bytes and panics if the property does not hold. The fuzzer calls it with what it invents
//! (`fuzz/fuzz_targets`), and `make test` with what it once found interesting (`fuzz/corpus`) or broken (`fuzz/crashes`): see
//! `tests/replay.rs`. [`TARGETS`] lists them; a new one is a function, a line there and a file in
//! `fuzz/fuzz_targets`.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a property fails by a panic"
)]

mod client;
mod import;
mod module;
mod one_hsm;
mod store;
mod wire;

pub use casemate_fuzz_calls::abi_calls;
pub use client::{chain, configuration, reply};
pub use import::{certificate, import};
pub use module::{log_entry, request, sealed, snapshot};
pub use store::store;
pub use wire::{frame, template};

/// A target: its name, which is that of its folders and of its file in `fuzz_targets`, and its property.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 13] = [
    ("abi_calls", abi_calls),
    ("certificate", certificate),
    ("chain", chain),
    ("configuration", configuration),
    ("frame", frame),
    ("import", import),
    ("log_entry", log_entry),
    ("reply", reply),
    ("request", request),
    ("sealed", sealed),
    ("snapshot", snapshot),
    ("store", store),
    ("template", template),
];
