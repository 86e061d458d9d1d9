//! No home for everything: a file or module says what is in it.

use crate::tree::{Fault, Tree};

const REFUSED: [&str; 8] =
    ["util", "utils", "helper", "helpers", "common", "misc", "manager", "managers"];

fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in &tree.0 {
        for part in file.path.split('/') {
            let stem = part.split('.').next().unwrap_or(part);
            if REFUSED.contains(&stem) {
                faults.push(file.fault(0, format!("`{stem}` does not say what is in it")));
            }
        }
        for (number, line) in file.lines().filter(|_| file.is_rust()) {
            let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub"));
            if let (Some("mod"), Some(name)) = (words.next(), words.next())
                && REFUSED.contains(&name.trim_end_matches(';'))
            {
                faults
                    .push(file.fault(number, format!("module {name} does not say what is in it")));
            }
        }
    }
    faults
}

#[test]
fn every_name_says_what_is_in_it() {
    crate::tree::assert_none(&check(&Tree::ours()));
}

#[test]
fn a_name_for_everything_is_found() {
    let tree = Tree::planted(&[
        ("crates/a/src/utils.rs", ""),
        ("crates/a/src/common/x.rs", ""),
        ("crates/a/src/lib.rs", "pub(crate) mod helpers {\n}\nmod manager;\nmod uncommon;"),
    ]);
    let wanted = ["`utils`", "`common`", "module helpers", "module manager"];
    crate::tree::assert_found(&check(&tree), &wanted);
}
