//! Nothing is dead: every Rust file belongs to a crate, every script is started by something, every page is linked.

use std::collections::BTreeSet;

use crate::markdown::{links, resolve};
use crate::tree::{Fault, File, Tree, code, has_word};

/// The files in which a crate, a program or a test begins.
fn roots(tree: &Tree) -> Vec<String> {
    let mut roots = Vec::new();
    for manifest in tree.0.iter().filter(|file| file.name() == "Cargo.toml") {
        let folder = manifest.folder();
        let inside = |path: &str| match folder {
            "" => path.to_owned(),
            folder => format!("{folder}/{path}"),
        };
        roots.extend(["src/lib.rs", "src/main.rs", "build.rs"].map(inside));
        for (_, line) in manifest.lines() {
            if let Some(path) =
                line.strip_prefix("path = \"").and_then(|rest| rest.strip_suffix('"'))
            {
                roots.push(inside(path));
            }
        }
        for kind in ["tests", "benches", "examples", "src/bin"].map(inside) {
            for file in tree.0.iter().filter(|file| file.is_rust()) {
                let grown = file.folder().strip_prefix(&kind);
                let main = file.name() == "main.rs"
                    && grown.is_some_and(|rest| rest.matches('/').count() == 1);
                if grown == Some("") || main {
                    roots.push(file.path.clone());
                }
            }
        }
    }
    roots
}

/// The files that a file's `mod x;` may mean.
fn modules(file: &File, is_root: bool) -> Vec<String> {
    let stem = file.name().trim_end_matches(".rs");
    let folder = file.folder();
    let folder =
        if is_root || stem == "mod" { folder.to_owned() } else { format!("{folder}/{stem}") };
    let mut found = Vec::new();
    let mut given = None;
    for (_, line) in file.lines() {
        if let Some(path) =
            line.trim().strip_prefix("#[path = \"").and_then(|rest| rest.strip_suffix("\"]"))
        {
            given = resolve(file, path);
        }
        let code = code(line);
        let Some(head) = code.trim().strip_suffix(';') else { continue };
        let words: Vec<_> = head.split_whitespace().collect();
        if let [.., "mod", name] = words.as_slice() {
            match given.take() {
                Some(path) => found.push(path),
                None => {
                    found
                        .extend([format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")]);
                }
            }
        }
    }
    found
}

fn check_rust(tree: &Tree) -> Vec<Fault> {
    let roots = roots(tree);
    let mut waiting = roots.clone();
    let mut reached = BTreeSet::new();
    while let Some(path) = waiting.pop() {
        if let Some(file) = tree.find(&path).filter(|_| reached.insert(path.clone())) {
            waiting.extend(modules(file, roots.contains(&path)));
        }
    }
    let dead = tree.0.iter().filter(|file| file.is_rust() && !reached.contains(&file.path));
    dead.map(|file| file.fault(1, "no crate has this module")).collect()
}

fn check_scripts(tree: &Tree) -> Vec<Fault> {
    let starts = |file: &File, script: &File| {
        let folder = script.folder().rsplit('/').next().unwrap_or_default();
        let called = file.text.contains(&script.path)
            || file.text.contains(&format!("/{folder}/{}", script.name()))
            || file.text.contains(&format!("\"{folder}/{}", script.name()))
            || (file.folder() == script.folder() && has_word(&file.text, script.name()));
        // One script runs the tests of all programs, by their names.
        let by_name = file.path == "tests/clients/run-all"
            && script.path == format!("tests/clients/{folder}/run")
            && file.lines().any(|(_, line)| line.contains("programs=(") && line.contains(folder));
        called || by_name
    };
    let scripts = tree.0.iter().filter(|file| file.is_script() && file.path != ".ci/run");
    let dead = scripts.filter(|script| {
        let others = tree.0.iter().filter(|file| file.path != script.path && !file.is_page());
        !others.into_iter().any(|file| starts(file, script))
    });
    dead.map(|script| script.fault(1, "nothing starts this script")).collect()
}

fn check_pages(tree: &Tree) -> Vec<Fault> {
    let mut waiting = vec!["README.md".to_owned()];
    let mut reached = BTreeSet::new();
    while let Some(path) = waiting.pop() {
        if let Some(page) = tree.find(&path).filter(|file| file.is_page())
            && reached.insert(path)
        {
            waiting.extend(links(page).iter().filter_map(|(_, target)| resolve(page, target)));
        }
    }
    let dead = tree.0.iter().filter(|file| file.is_page() && !reached.contains(&file.path));
    dead.map(|page| page.fault(1, "no link leads here from README.md")).collect()
}

#[test]
fn every_rust_file_belongs_to_a_crate() {
    crate::tree::assert_none(&check_rust(&Tree::ours()));
}

#[test]
fn every_script_is_started() {
    crate::tree::assert_none(&check_scripts(&Tree::ours()));
}

#[test]
fn every_page_is_linked() {
    crate::tree::assert_none(&check_pages(&Tree::ours()));
}

#[test]
fn dead_rust_files_are_found() {
    let tree = Tree::planted(&[
        ("crates/a/Cargo.toml", "[package]"),
        (
            "crates/a/src/lib.rs",
            "pub mod b;\nmod c;\n// mod dead;\n#[path = \"../odd/odd.rs\"]\n#[expect(x)]\nmod e;",
        ),
        ("crates/a/src/b.rs", "mod inner;"),
        ("crates/a/src/b/inner.rs", ""),
        ("crates/a/src/c/mod.rs", ""),
        ("crates/a/odd/odd.rs", ""),
        ("crates/a/src/dead.rs", ""),
        ("crates/a/tests/one.rs", ""),
        ("crates/a/tests/two/main.rs", "mod part;"),
        ("crates/a/tests/two/part.rs", ""),
        ("crates/a/tests/two/dead.rs", ""),
        ("tests/Cargo.toml", "[[test]]\npath = \"daemon/start.rs\""),
        ("tests/daemon/start.rs", "mod beside;"),
        ("tests/daemon/beside.rs", ""),
    ]);
    crate::tree::assert_found(&check_rust(&tree), &["a/src/dead.rs", "two/dead.rs"]);
}

#[test]
fn dead_scripts_are_found() {
    let script = "#!/bin/sh\n";
    let tree = Tree::planted(&[
        (".ci/run", "#!/bin/sh\nmake test"),
        ("Makefile", "test:\n\ttests/system/stages"),
        ("tests/system/stages", "#!/bin/sh\n\"$here/abi/run\" tests/clients/run-all"),
        ("tests/abi/run", script),
        ("tests/clients/run-all", "#!/bin/sh\nprograms=(nginx java)"),
        ("tests/clients/nginx/run", script),
        ("tests/clients/forgotten/run", script),
        ("tests/dead", script),
        ("README.md", "# R\ntests/dead"),
    ]);
    crate::tree::assert_found(&check_scripts(&tree), &["forgotten/run", "tests/dead"]);
}

#[test]
fn dead_pages_are_found() {
    let tree = Tree::planted(&[
        ("README.md", "# R\n[docs](docs/README.md)"),
        ("docs/README.md", "# D\n[a](a.md)"),
        ("docs/a.md", "# A"),
        ("docs/dead.md", "# X\n[self](dead.md)"),
    ]);
    crate::tree::assert_found(&check_pages(&tree), &["docs/dead.md"]);
}
