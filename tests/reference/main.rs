//! The pages of `docs/reference` are printed from the tables that the code asks: a page that differs fails.
//!
//! `UPDATE=1 cargo test -p casemate-tests --test reference` writes them.
#![forbid(unsafe_code)]
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "what a test cannot do fails it")]

mod command_line;
mod errors;
mod limits;
mod pkcs11;
mod tables;

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Reads a file of ours.
fn source(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect("the source is where it was")
}

/// Compares a page with what is printed now, or writes it.
#[track_caller]
fn check(name: &str, printed: &str) {
    let path = root().join("docs/reference").join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, printed).unwrap();
    }
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = page.lines().zip(printed.lines()).position(|(old, new)| old != new);
    let line = differs.unwrap_or_else(|| page.lines().count().min(printed.lines().count())) + 1;
    assert!(
        page == printed,
        "docs/reference/{name} differs from line {line} on: run `UPDATE=1 cargo test -p casemate-tests --test reference`"
    );
}
