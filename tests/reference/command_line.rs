//! The help of every command of `casemate`.

use std::fmt::Write as _;
use std::process::Command;

use casemate_tests::{Build, program};

fn help(path: &[String]) -> String {
    let mut command = Command::new(program(Build::Plain, "casemate"));
    command.env_remove("COLUMNS").env_remove("CASEMATE_NETWORK");
    let output = command.args(path).arg("--help").output().unwrap();
    assert!(output.status.success(), "{path:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn inner(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| !line.is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(ToOwned::to_owned).collect()
}

fn walk(path: &[String], page: &mut String) {
    let text = help(path);
    let trimmed: Vec<_> = text.lines().map(str::trim_end).collect();
    let title = ["casemate".to_owned()].iter().chain(path).cloned().collect::<Vec<_>>().join(" ");
    write!(page, "\n## {title}\n\n```text\n{}\n```\n", trimmed.join("\n").trim_end()).unwrap();
    for name in inner(&text) {
        let path: Vec<_> = path.iter().cloned().chain([name]).collect();
        walk(&path, page);
    }
}

#[test]
fn commands_are_those_of_the_program() {
    let mut page = String::from(
        "# Command line\n\nThe help of every command. Exit codes are in [their own page](../operate/exit-codes.md); `casemate man --directory DIR`\nwrites the same as manual pages, `casemate completions SHELL` a completion script.\n",
    );
    walk(&[], &mut page);
    crate::check("command-line.md", &page);
}
