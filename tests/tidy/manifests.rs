//! What a crate may use, and the oldest compiler that must do.

use crate::tree::{Fault, File, Tree};

/// Which of our crates a crate may use: arrows go one way.
const ARROWS: [(&str, &[&str]); 16] = [
    ("crates/crypto", &[]),
    ("crates/protocol", &[]),
    ("crates/hsm", &["crypto", "protocol"]),
    ("crates/cluster", &["hsm", "crypto", "protocol"]),
    ("crates/hsmd", &["cluster", "hsm", "crypto", "protocol"]),
    ("crates/client", &["crypto", "protocol"]),
    ("crates/pkcs11", &["client", "crypto", "protocol"]),
    ("crates/cli", &["client", "crypto", "protocol"]),
    ("crates/exporter", &["client", "protocol"]),
    ("bench", &["client", "crypto", "protocol", "wire"]),
    ("fuzz/calls", &["pkcs11"]),
    ("fuzz/properties", &["client", "cluster", "fuzz-calls", "hsm", "crypto", "protocol"]),
    ("simulation", &["client", "cluster", "hsm", "crypto", "protocol"]),
    ("tests", &["client", "crypto", "protocol"]),
    // It must not know our own types: what it tests is the ABI.
    ("tests/module", &[]),
    ("tests/wire", &["crypto", "protocol"]),
];

/// Built by the compiler with which the Windows provider can be made.
const OLD: [&str; 3] = ["crates/crypto", "crates/protocol", "crates/client"];
const OLD_VERSION: &str = "rust-version = \"1.85\"";

/// The lines of a section.
fn section<'a>(manifest: &'a File, name: &str) -> Vec<(usize, &'a str)> {
    let mut inside = false;
    let lines = manifest.lines().filter(|(_, line)| {
        if line.starts_with('[') {
            inside = *line == format!("[{name}]");
        }
        inside && !line.starts_with('[')
    });
    lines.collect()
}

fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for manifest in tree.0.iter().filter(|file| file.name() == "Cargo.toml") {
        let folder = manifest.folder();
        let Some((_, may)) = ARROWS.iter().find(|(known, _)| *known == folder) else {
            if !["", "fuzz"].contains(&folder) {
                faults.push(manifest.fault(1, "is not in the table of arrows"));
            }
            continue;
        };
        for (number, line) in section(manifest, "dependencies") {
            let ours =
                line.strip_prefix("casemate-").and_then(|rest| rest.split(['.', ' ', '=']).next());
            if let Some(name) = ours.filter(|name| !may.contains(name)) {
                faults.push(manifest.fault(number, format!("{folder} must not use {name}")));
            }
        }
        let package: Vec<_> = section(manifest, "package").iter().map(|(_, line)| *line).collect();
        let version =
            if OLD.contains(&folder) { OLD_VERSION } else { "rust-version.workspace = true" };
        for line in [version, "license.workspace = true", "publish.workspace = true"] {
            if !package.contains(&line) {
                faults.push(manifest.fault(1, format!("[package] lacks `{line}`")));
            }
        }
        if !section(manifest, "lints").iter().any(|(_, line)| *line == "workspace = true") {
            faults.push(manifest.fault(1, "does not take the lints of the workspace"));
        }
    }
    faults
}

#[test]
fn crates_use_what_they_may() {
    crate::tree::assert_none(&check(&Tree::ours()));
}

#[test]
fn a_wrong_arrow_and_a_wrong_version_are_found() {
    let lints = "[lints]\nworkspace = true\n";
    let package = "[package]\nlicense.workspace = true\npublish.workspace = true\n";
    let new = format!("{package}rust-version.workspace = true\n{lints}");
    let old = format!("{package}{OLD_VERSION}\n{lints}");
    let tree = Tree::planted(&[
        ("Cargo.toml", "[workspace]"),
        ("crates/protocol/Cargo.toml", &old),
        ("crates/client/Cargo.toml", &new),
        (
            "crates/hsm/Cargo.toml",
            &format!("{new}[dependencies]\ncasemate-client.workspace = true"),
        ),
        ("crates/cli/Cargo.toml", &new.replace(lints, "")),
        ("crates/new/Cargo.toml", &new),
    ]);
    let wanted = ["lacks `rust-version", "must not use client", "lints", "table of arrows"];
    crate::tree::assert_found(&check(&tree), &wanted);
}
