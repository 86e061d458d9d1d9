//! Every command that a document shows is run, in the order of its page, against real programs.
//!
//! A page is one shell in a directory of its own that looks like the checkout; whatever it exports stays for the blocks behind. A
//! block is fenced as `sh`, or as `console` with `$ ` before its commands and what they print behind them: that is compared, `…`
//! standing for anything. The pages of `docs/use/<program>.md` are the scripts of `tests/clients/<program>/run`, which counts the
//! blocks that it ran.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "what a test cannot do fails it")]

mod blocks;
mod page;

use std::path::{Path, PathBuf};

use blocks::{Block, read_blocks};
use page::run_page;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every page below a folder, and those of the root itself.
fn pages() -> Vec<PathBuf> {
    fn walk(folder: &Path, pages: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, pages);
            } else if path.extension().is_some_and(|kind| kind == "md") {
                pages.push(path);
            }
        }
    }
    let mut pages = Vec::new();
    let top = std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    pages.extend(top.filter(|path| path.extension().is_some_and(|kind| kind == "md")));
    walk(&root().join("docs"), &mut pages);
    pages.sort();
    pages
}

/// The program whose test runs a page, for a page that is such a script.
fn program_of(page: &Path) -> Option<String> {
    let name = page.file_stem()?.to_str()?;
    (page.parent()?.ends_with("docs/use") && name != "README").then(|| name.to_owned())
}

fn name(page: &Path) -> String {
    page.strip_prefix(root()).unwrap_or(page).display().to_string()
}

fn blocks_of(page: &Path) -> Vec<Block> {
    let text = std::fs::read_to_string(page).unwrap();
    read_blocks(&text).map_err(|fault| format!("{}: {fault}", name(page))).unwrap()
}

#[test]
fn every_block_is_run() {
    let mut pages: Vec<_> = pages().into_iter().filter(|page| program_of(page).is_none()).collect();
    // While one writes a page: `CASEMATE_PAGE=docs/start cargo test …` runs those alone.
    let wanted = std::env::var("CASEMATE_PAGE").ok();
    pages.retain(|page| wanted.as_ref().is_none_or(|wanted| name(page).contains(wanted)));
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let mut running = Vec::new();
        for page in &pages {
            let (page, blocks) = (name(page), blocks_of(page));
            running.push(scope.spawn(move || (page, blocks.len(), run_page(&root(), &blocks))));
        }
        running.into_iter().map(|page| page.join().unwrap()).collect()
    });
    let (mut found, mut ran, mut faults) = (0, 0, Vec::new());
    for (page, blocks, outcome) in outcomes {
        found += blocks;
        ran += outcome.ran;
        if blocks > 0 {
            println!("{page}: {blocks} blocks found, {} run", outcome.ran);
        }
        faults.extend(outcome.fault.map(|fault| format!("{page}: {fault}")));
    }
    println!("{found} blocks found, {ran} run");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(found, ran);
    assert!(
        found >= 10 || wanted.is_some(),
        "only {found} blocks were found: does this test still read them?"
    );
}

#[test]
fn every_page_about_a_program_has_a_test_that_runs_it() {
    let mut found = 0;
    for page in pages() {
        let Some(program) = program_of(&page) else { continue };
        let text = std::fs::read_to_string(&page).unwrap();
        let blocks = blocks_of(&page).len();
        assert!(blocks > 0, "{} shows no command", name(&page));
        assert!(!text.contains("```console"), "{}: its test runs blocks of `sh` only", name(&page));
        let test = root().join(format!("tests/clients/{program}/run"));
        let script = std::fs::read_to_string(&test).expect("a page about a program has a test");
        let ends = script.lines().any(|line| line == "done_page");
        assert!(ends, "{} compares the blocks that it ran with those of the page", test.display());
        let steps = script.lines().filter(|line| line.trim_start().starts_with("step ")).count();
        assert_eq!(steps, blocks, "{}: steps of its test, and blocks", name(&page));
        println!("{}: {blocks} blocks, run by tests/clients/{program}/run", name(&page));
        found += blocks;
    }
    println!("{found} blocks in pages about programs");
    assert!(found > 50);
}

#[test]
fn a_block_that_fails_is_found() {
    let run = |text: &str| run_page(&root(), &read_blocks(text).unwrap());
    let good = run(
        "```sh\nword=kept\n```\n```console\n$ echo \"$word\"\nkept\n$ echo one two; echo three\none …\n…ee\n```",
    );
    assert_eq!((good.ran, good.fault), (2, None));
    let fails = run("```sh\ntrue\n```\n```sh\ntrue\nfalse\n```\n```sh\ntrue\n```");
    assert_eq!(fails.ran, 1);
    assert!(fails.fault.unwrap().contains("line 6: `false` failed"));
    let differs = run("```console\n$ echo one\ntwo\n```");
    assert!(differs.fault.unwrap().contains("line 2: `echo one` did not print `two`"));
    let command = run("```sh\ncasemate-nowhere --version\n```").fault.unwrap();
    assert!(command.contains("not found"), "{command}");
}
