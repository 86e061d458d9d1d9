//! What holds for every command: help, exit codes, JSON, completion, manual pages.

use std::path::Path;

use crate::shell::{Shell, casemate};

fn run(line: &str) -> crate::shell::Said {
    let directory = tempfile::tempdir().unwrap();
    let arguments: Vec<_> = line.split_whitespace().collect();
    casemate(directory.path(), &[], &arguments)
}

#[test]
fn wrong_usage_is_told_from_failure() {
    run("key").ended(2, "Usage");
    run("no-such-command").ended(2, "unrecognized");
    run("cluster status --colour").ended(2, "--colour");
    let said = run("cluster status");
    assert_eq!(said.code, Some(1));
    let mut lines = said.error.lines();
    assert!(lines.next().unwrap().starts_with("casemate: no configuration: set CASEMATE_CONFIG"));
    assert!(lines.next().unwrap().starts_with("hint: `casemate dev up`"));
    assert_eq!(lines.next(), None);
}

#[test]
fn an_error_is_json_for_programs() {
    let said = run("--json cluster status");
    assert_eq!(said.code, Some(1));
    assert!(said.out.starts_with("{\"error_code\":1,\"data\":\""), "{}", said.out);
    let value: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(value["error_code"], 1);
    assert!(value["data"].as_str().unwrap().contains("no configuration"));
}

#[test]
fn another_cluster_than_is_meant_is_refused() {
    let shell = Shell::start();
    let id = shell.json("cluster status")["cluster-id"].as_str().unwrap().to_owned();
    shell.run(&format!("--cluster-id {id} key list")).done();
    shell.run(&format!("key list --cluster-id {id}")).done();
    let other = shell.run("key list --cluster-id cluster-aaaaaaaaaaaaaaaa");
    other.refused(&format!("the configuration is of {id}, not of cluster-aaaaaaaaaaaaaaaa"));
}

#[test]
fn shells_complete_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&format!("completions {shell}")).done();
        for word in ["generate-asymmetric-pair", "change-password", "verify-csr", "wipe"] {
            assert!(script.contains(word), "{shell} completes {word}");
        }
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("man").display().to_string();
    casemate(directory.path(), &[], &["man", "--directory", &pages]).done();
    let has = |name: &str| {
        let text = std::fs::read_to_string(Path::new(&pages).join(name)).expect(name);
        assert!(text.contains(".SH SYNOPSIS") || text.contains("SYNOPSIS"), "{name}");
        text
    };
    assert!(has("casemate.1").contains("casemate"));
    for name in ["dev-up", "cluster-activate", "login", "user-create", "key-import-pem", "key-list"]
    {
        has(&format!("casemate-{name}.1"));
    }
    assert!(has("casemate-crypto-sign.1").contains("key\\-filter"));
    assert!(run("man").done().contains("casemate"));
}

#[test]
fn help_explains_every_argument() {
    fn walk(path: &mut Vec<String>, commands: &mut usize) {
        let mut line = path.clone();
        line.push("--help".to_owned());
        let text = run(&line.join(" ")).done();
        *commands += 1;
        let mut section = "";
        let mut inner = Vec::new();
        let lines: Vec<_> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            if !line.starts_with(' ') {
                section = line.trim_end_matches(':');
            } else if section == "Commands" {
                let name = line.split_whitespace().next().unwrap_or("help");
                let named = line.starts_with("  ") && !line.starts_with("   ");
                if named && name != "help" {
                    inner.push(name.to_owned());
                    assert!(
                        line.split_whitespace().count() > 1,
                        "{path:?}: {name} is not explained"
                    );
                }
            } else if line.trim_start().starts_with("--") || line.trim_start().starts_with('<') {
                let explained = line.trim().split("  ").count() > 1
                    || lines.get(number + 1).is_some_and(|next| next.starts_with("          "));
                assert!(explained, "{path:?}: `{}` is not explained", line.trim());
            }
        }
        for name in inner {
            path.push(name);
            walk(path, commands);
            path.pop();
        }
    }
    let mut commands = 0;
    walk(&mut Vec::new(), &mut commands);
    assert!(commands > 30, "only {commands} commands were found");
}
