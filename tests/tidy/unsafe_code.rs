//! `unsafe` only at the C borders; every other crate forbids it, and those say why they cannot.

use crate::tree::{Fault, Tree, code, has_word};

/// Where `unsafe` may be, and why.
const BORDERS: [(&str, &str); 5] = [
    ("crates/crypto/", "calls AWS-LC"),
    ("crates/pkcs11/", "is called by C"),
    ("bench/", "calls PKCS#11 modules and AWS-LC"),
    ("fuzz/calls/", "calls a PKCS#11 module"),
    ("tests/module/", "calls a PKCS#11 module"),
];

fn at_border(path: &str) -> bool {
    BORDERS.iter().any(|(border, _)| path.starts_with(border))
}

fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in tree.0.iter().filter(|file| file.is_rust()) {
        for (number, line) in file.lines() {
            if has_word(&code(line), "unsafe") && !at_border(&file.path) {
                faults.push(file.fault(number, "`unsafe` belongs at a C border"));
            }
        }
        let root = file.path.ends_with("src/lib.rs") || file.path.ends_with("src/main.rs");
        let forbids = file.text.contains("#![forbid(unsafe_code)]");
        let says_why =
            file.lines().any(|(_, line)| line.starts_with("//!") && line.contains("unsafe"));
        if root && !forbids && !(at_border(&file.path) && says_why) {
            faults
                .push(file.fault(1, "a crate forbids unsafe code, or its first lines say why not"));
        }
    }
    faults
}

#[test]
fn code_is_safe_but_at_the_borders() {
    crate::tree::assert_none(&check(&Tree::ours()));
}

#[test]
fn unsafe_code_is_found() {
    let forbids = "#![forbid(unsafe_code)]\n";
    let tree = Tree::planted(&[
        ("crates/hsm/src/lib.rs", "fn f() {}"),
        ("crates/hsm/src/a.rs", "// unsafe\nlet a = unsafe { b() };"),
        ("crates/cli/src/main.rs", forbids),
        ("crates/crypto/src/lib.rs", "//! Why unsafe: FFI."),
        ("crates/pkcs11/src/lib.rs", "unsafe extern \"C\" {}"),
    ]);
    let wanted = ["crates/hsm/src/lib.rs:1", "crates/hsm/src/a.rs:2", "crates/pkcs11/src/lib.rs:1"];
    crate::tree::assert_found(&check(&tree), &wanted);
}
