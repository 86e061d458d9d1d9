//! Links lead somewhere, and each page has one title.

use crate::markdown::{anchors, headings, links, resolve};
use crate::tree::{Fault, Tree};

fn check_links(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for page in tree.0.iter().filter(|file| file.is_page()) {
        for (number, target) in links(page) {
            let Some(path) = resolve(page, &target) else { continue };
            let folder = format!("{path}/");
            let there = tree.find(&path);
            if there.is_none() && !tree.0.iter().any(|file| file.path.starts_with(&folder)) {
                faults.push(page.fault(number, format!("{target} leads nowhere")));
            }
            if let (Some((_, anchor)), Some(there)) = (target.split_once('#'), there)
                && !anchors(there).iter().any(|known| known == anchor)
            {
                faults.push(page.fault(number, format!("{path} has no heading #{anchor}")));
            }
        }
    }
    faults
}

fn check_titles(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for page in tree.0.iter().filter(|file| file.is_page()) {
        let titles: Vec<_> =
            headings(page).into_iter().filter(|(_, level, _)| *level == 1).collect();
        if titles.first().is_none_or(|(number, ..)| *number != 1) {
            faults.push(page.fault(1, "begins without its title"));
        }
        faults.extend(
            titles.iter().skip(1).map(|(number, ..)| page.fault(*number, "a second title")),
        );
    }
    faults
}

#[test]
fn every_link_leads_somewhere() {
    crate::tree::assert_none(&check_links(&Tree::ours()));
}

#[test]
fn every_page_has_one_title() {
    crate::tree::assert_none(&check_titles(&Tree::ours()));
}

#[test]
fn links_that_lead_nowhere_are_found() {
    let index = "# Index\n[a](a.md) [b](b.md) [c](../x/) [d](a.md#two-words-1) [e](a.md#three)\n\
                 [f](https://example.org/) `[g](g.md)` [h](#index)\n```\n[i](i.md)\n```\n[j](../j)";
    let tree = Tree::planted(&[
        ("docs/README.md", index),
        ("docs/a.md", "# A\n## Two `words`!\n## Two words"),
        ("x/y.rs", ""),
    ]);
    let wanted = ["b.md leads nowhere", "no heading #three", "../j leads nowhere"];
    crate::tree::assert_found(&check_links(&tree), &wanted);
}

#[test]
fn missing_and_second_titles_are_found() {
    let tree = Tree::planted(&[
        ("a.md", "# A\n```sh\n# a comment\n```\n# B"),
        ("b.md", "words\n\n## B"),
        ("c.md", "# C\n## D"),
    ]);
    crate::tree::assert_found(&check_titles(&tree), &["a.md:5", "b.md:1"]);
}
