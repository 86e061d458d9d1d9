//! The rules of the house, each as a test: a rule that no machine checks is a wish.
//!
//! Each module is one kind of rule. A rule is a function from the tree of files to the faults in it; two tests go
//! with it: our own tree has none, and a planted one is found.
#![forbid(unsafe_code)]
#![expect(clippy::expect_used, reason = "a tree that cannot be read fails the test")]

mod evidence;
mod leftovers;
mod links;
mod manifests;
mod markdown;
mod names;
mod reach;
mod size;
mod tree;
mod unsafe_code;
