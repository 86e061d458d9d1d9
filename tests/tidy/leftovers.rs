//! Nothing is left over: no unfinished business without an issue, no path of somebody's machine, no silenced lint,
//! no test that does not run.

use crate::tree::{Fault, Tree, code, has_word};

/// Marks of unfinished business; written in two parts, so that this file has none.
const MARKS: [&str; 4] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX"), concat!("HA", "CK")];

/// Where people and machines of ours keep their things.
const PLACES: [&str; 4] =
    [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/tm", "p/w/")];

fn marks(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in &tree.0 {
        for (number, line) in file.lines() {
            let issue = line
                .split("issue ")
                .nth(1)
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
            if let Some(mark) = MARKS.iter().find(|mark| has_word(line, mark) && !issue) {
                faults.push(file.fault(number, format!("{mark} without `issue N`")));
            }
        }
    }
    faults
}

fn places(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in &tree.0 {
        for (number, line) in file.lines() {
            let from_root = |(start, _): (usize, &str)| {
                let before = line.get(..start).and_then(|before| before.chars().next_back());
                !before.is_some_and(|letter| letter.is_alphanumeric() || "_}.-$~".contains(letter))
            };
            if let Some(place) =
                PLACES.iter().find(|place| line.match_indices(**place).any(from_root))
            {
                faults.push(file.fault(number, format!("{place} exists on one machine only")));
            }
        }
    }
    faults
}

fn silenced(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in tree.0.iter().filter(|file| file.is_rust()) {
        for (number, line) in file.lines() {
            let attribute: String = code(line).split_whitespace().collect();
            if attribute.contains("#[allow(") || attribute.contains("#![allow(") {
                faults.push(file.fault(number, "`expect` with a reason, not `allow`"));
            }
            if attribute.contains("#[ignore") {
                faults.push(file.fault(number, "a test that does not run is no test"));
            }
        }
    }
    faults
}

#[test]
fn unfinished_business_names_its_issue() {
    crate::tree::assert_none(&marks(&Tree::ours()));
}

#[test]
fn no_path_of_a_machine_is_named() {
    crate::tree::assert_none(&places(&Tree::ours()));
}

#[test]
fn no_lint_and_no_test_is_silenced() {
    crate::tree::assert_none(&silenced(&Tree::ours()));
}

#[test]
fn leftovers_are_found() {
    let mark = MARKS[0];
    let text =
        format!("// {mark}: mend\n// {mark} (issue 7)\n// {mark}S are fine\n# {}\n", MARKS[1]);
    let tree = Tree::planted(&[("a.rs", &text)]);
    crate::tree::assert_found(&marks(&tree), &["a.rs:1", "a.rs:4"]);
}

#[test]
fn paths_of_a_machine_are_found() {
    let text =
        format!("see {}x\nnet{}x\n\"{}me\"\n${{x}}{}", PLACES[0], PLACES[0], PLACES[2], PLACES[1]);
    let tree = Tree::planted(&[("a.md", &text)]);
    crate::tree::assert_found(&places(&tree), &["a.md:1", "a.md:3"]);
}

#[test]
fn silenced_lints_and_tests_are_found() {
    let text =
        "#[allow(dead_code)]\n#![allow(x)]\n#[ignore = \"slow\"]\n// #[allow(x)]\n#[expect(x)]";
    let tree = Tree::planted(&[("a.rs", text), ("a.md", text)]);
    crate::tree::assert_found(&silenced(&tree), &["a.rs:1", "a.rs:2", "a.rs:3"]);
}
