//! No file that only its author can review: 500 lines, 800 for tests.

use crate::tree::{Fault, Tree};

const LINES_MAX: usize = 500;
const TEST_LINES_MAX: usize = 800;
const BYTES_MAX: usize = 256 * 1024;

/// Long because they are tables, one line an entry.
const DATA: [(&str, &str); 2] = [
    ("crates/protocol/src/error.rs", "each error: its text, its number, its retry class"),
    ("docs/reference/command-line.md", "printed: the help of every command"),
];

/// Kinds of files that people write.
const KINDS: [&str; 8] = [".rs", ".c", ".h", ".java", ".py", ".sh", ".md", ".toml"];

fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in &tree.0 {
        let data = DATA.iter().any(|(path, _)| *path == file.path);
        let lines = file.text.lines().count();
        let most = if file.is_test() { TEST_LINES_MAX } else { LINES_MAX };
        let written = file.is_script() || KINDS.iter().any(|kind| file.path.ends_with(kind));
        if written && lines > most && !data {
            faults.push(file.fault(lines, format!("{lines} lines are more than {most}: split it")));
        }
        if data && lines <= most {
            faults.push(file.fault(lines, "is short enough: take it from the list of data tables"));
        }
        if file.text.len() > BYTES_MAX {
            faults
                .push(file.fault(0, format!("{} bytes: too large to keep here", file.text.len())));
        }
    }
    faults
}

#[test]
fn no_file_is_too_long() {
    crate::tree::assert_none(&check(&Tree::ours()));
}

#[test]
fn a_long_file_is_found() {
    let long = "x\n".repeat(501);
    let test = "x\n".repeat(801);
    let tree = Tree::planted(&[
        ("crates/a/src/lib.rs", &long),
        ("crates/a/tests/a.rs", &long),
        ("tests/a/run", &format!("#!/bin/sh\n{test}")),
        ("crates/protocol/src/error.rs", "short"),
        ("Cargo.lock", &test),
        ("data.bin", &"x".repeat(BYTES_MAX + 1)),
    ]);
    let wanted = ["501 lines", "802 lines", "take it from the list", "too large"];
    crate::tree::assert_found(&check(&tree), &wanted);
}
