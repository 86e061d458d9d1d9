//! What the whole-system tests share: a real cluster of one, in a directory and on a loopback network of its own.
//!
//! The programs are those of the build (`CASEMATE_BIN`, else beside the test's own target directory); those with the feature
//! `testing` lie in its folder `testing`, where `tests/system/stages` puts them. A network is taken by a lock that the shell tests
//! of `tests/clients` honour too, so that all of them run side by side.
#![forbid(unsafe_code)]

mod cluster;
mod network;
mod programs;
mod waiting;

pub use cluster::{ADMIN_PASSWORD, Cluster, TestError, USER_PASSWORD, is_application};
pub use network::Network;
pub use programs::{Build, program};
pub use waiting::until;
