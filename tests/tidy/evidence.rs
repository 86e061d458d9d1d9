//! The tests that the security pages name exist, and each row of their tables names one or says when it will.

use crate::markdown::{cells, code_spans, prose};
use crate::tree::{Fault, File, Tree};

/// Splits `path/to/file::name`.
fn reference(span: &str) -> Option<(&str, &str)> {
    let (path, name) = span.split_once("::")?;
    (path.contains('/') && !path.contains(' ')).then_some((path, name))
}

fn exists(tree: &Tree, path: &str, name: &str) -> bool {
    let Some(file) = tree.find(path) else { return false };
    if file.is_rust() {
        let last = name.rsplit("::").next().unwrap_or(name);
        // A function, or a case that a macro makes one of.
        return file.text.contains(&format!("fn {last}("))
            || file.text.contains(&format!("{last}:"));
    }
    file.text.contains(name)
}

fn pages(tree: &Tree) -> impl Iterator<Item = &File> {
    tree.0.iter().filter(|file| file.is_page() && file.path.starts_with("docs/security/"))
}

fn check_tests(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for page in pages(tree) {
        for (number, span) in code_spans(page) {
            if let Some((path, name)) = reference(&span)
                && !exists(tree, path, name)
            {
                faults.push(page.fault(number, format!("there is no test {span}")));
            }
        }
    }
    faults
}

/// In a table whose last column is headed `test`, each row names a test or the issue that brings it.
fn check_rows(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for page in pages(tree) {
        let mut inside = false;
        for (number, line) in prose(page) {
            let Some(cells) = cells(line) else {
                inside = false;
                continue;
            };
            let last = cells.last().map_or("", String::as_str);
            if ["test", "tests"].contains(&last) {
                inside = true;
            } else if inside && !last.starts_with("---") {
                let later = last
                    .split("issue ")
                    .nth(1)
                    .is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_digit()));
                let named =
                    last.split('`').skip(1).step_by(2).any(|span| reference(span).is_some());
                if !later && !named {
                    faults.push(page.fault(number, "names neither a test nor an issue"));
                }
            }
        }
    }
    faults
}

#[test]
fn every_test_that_is_named_exists() {
    crate::tree::assert_none(&check_tests(&Tree::ours()));
}

#[test]
fn every_row_names_its_test() {
    crate::tree::assert_none(&check_rows(&Tree::ours()));
}

#[test]
fn missing_tests_are_found() {
    let page = "# T\n`crates/a/src/b.rs::tests::is_there` `crates/a/src/b.rs::is_gone` `x::y`\n\
                `tests/run::some words` `tests/run::other words` `tests/none::a`";
    let tree = Tree::planted(&[
        ("docs/security/t.md", page),
        ("crates/a/src/b.rs", "fn is_there() {}"),
        ("tests/run", "check 'some words'"),
    ]);
    let wanted = ["b.rs::is_gone", "tests/run::other words", "tests/none::a"];
    crate::tree::assert_found(&check_tests(&tree), &wanted);
}

#[test]
fn rows_without_a_test_are_found() {
    let page = "# T\n| what | test |\n| --- | --- |\n| a | `a/b.rs::c` |\n| b | later |\n| c | issue 6: more HSMs |\n\n\
                | x | y |\n| --- | --- |\n| no | test |\n";
    let tree = Tree::planted(&[("docs/security/t.md", page)]);
    crate::tree::assert_found(&check_rows(&tree), &["t.md:5"]);
}
