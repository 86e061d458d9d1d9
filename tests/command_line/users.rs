//! `casemate user …` and `casemate login`.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use casemate_tests::{Build, program};

use crate::shell::Shell;

#[test]
fn users_come_and_go() {
    let shell = Shell::start().admin();
    let second = "--username second --role crypto-user";
    let made = shell.json(&format!("user create {second} --password secondpassword"));
    assert_eq!(made, serde_json::json!({ "username": "second", "role": "crypto-user" }));
    let users = shell.json("user list");
    let user = users["users"].as_array().unwrap().iter().find(|user| user["username"] == "second");
    assert_eq!(user.unwrap()["locked"], "false");
    assert!(shell.run("user list").done().contains("second (crypto-user)"));
    let again = shell.run(&format!("user create {second} --password secondpassword"));
    again.refused("a user of that name exists");
    let changed = shell.run(&format!("user change-password {second} --password anotherpassword"));
    assert!(changed.done().contains("password changed: second"));
    let login = shell.run(&format!("login {second} --password anotherpassword"));
    assert!(login.done().contains("second may log in as crypto-user"));
    let old = shell.run(&format!("login {second} --password secondpassword"));
    old.refused("the user name or the password is wrong");
    shell.run(&format!("user delete {second}")).done();
    shell.run(&format!("user delete {second}")).refused("no user of that name and role");
}

#[test]
fn refusals_of_users_name_the_cause() {
    let shell = Shell::start().admin();
    shell.run("user delete --username admin --role admin").refused("the last admin");
    let short = shell.run("user create --username third --role crypto-user --password short");
    short.refused("8 to 128 bytes");
    let name = shell.run("user create --username UPPER! --role crypto-user --password longenough");
    name.refused("a user name has 1 to 31 of a-z");
    let generate = shell.run("key generate-symmetric aes --label x --key-length-bytes 32");
    generate.refused("role may not do this");
    let app = |line: &str| shell.run_as("crypto-user", "app:letmein-app", line);
    app("user create --username third --role crypto-user --password longenough").refused("role");
    assert!(app("user list").done().contains("admin (admin)"));
    let own = "user change-password --username app --role crypto-user --password letmein-next";
    app(own).done();
    shell.run_as("crypto-user", "CU:app:letmein-next", "key list").done();
}

#[test]
fn who_logs_in_is_named_or_asked_for() {
    let shell = Shell::start();
    shell.run_as("nobody", "app:letmein-app", "key list").ended(2, "CASEMATE_ROLE is nobody");
    shell.run_as("crypto-user", "letmein-app", "key list").ended(2, "user:password");
    shell.run_as("admin", "app:letmein-app", "user list").refused("is wrong");
    let config = shell.cluster.config_path().display().to_string();
    let environment = [("CASEMATE_CONFIG", config.as_str())];
    let run = |line: &str| {
        let arguments: Vec<_> = line.split_whitespace().collect();
        crate::shell::casemate(shell.cluster.work(), &environment, &arguments)
    };
    run("key list").ended(2, "CASEMATE_ROLE is not set");
}

/// Waits until the terminal of the program below `script` shows no more what is typed.
fn wait_until_silent(script: u32) {
    let start = Instant::now();
    let silent = || {
        let children = std::fs::read_to_string(format!("/proc/{script}/task/{script}/children"));
        let child = children.ok()?.split_whitespace().next()?.to_owned();
        let terminal = std::fs::read_link(format!("/proc/{child}/fd/0")).ok()?;
        let stty = Command::new("stty").arg("-F").arg(terminal).arg("-a").output().ok()?;
        let words = String::from_utf8(stty.stdout).ok()?;
        words.split_whitespace().any(|word| word == "-echo").then_some(())
    };
    while silent().is_none() {
        assert!(start.elapsed() < Duration::from_secs(30), "the terminal goes silent");
    }
}

/// Runs `casemate` on a terminal, and types each line when it is asked for a password.
fn on_a_terminal(shell: &Shell, line: &str, typed: &[&str]) -> (Option<i32>, String) {
    let casemate = program(Build::Plain, "casemate");
    let command = format!("{} {line}", casemate.display());
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &command, "/dev/null"]);
    script.env("CASEMATE_CONFIG", shell.cluster.config_path());
    script.envs([("CASEMATE_ROLE", "admin"), ("CASEMATE_PIN", "admin:letmein-admin")]);
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut said = String::new();
    for answer in typed {
        let asked = said.matches("password:").count();
        while said.matches("password:").count() == asked {
            let mut byte = [0];
            assert_eq!(output.read(&mut byte).unwrap(), 1, "asks for a password: {said}");
            said.push(char::from(byte[0]));
        }
        wait_until_silent(child.id());
        writeln!(input, "{answer}").unwrap();
    }
    output.read_to_string(&mut said).unwrap();
    (child.wait().unwrap().code(), said)
}

#[test]
fn a_password_is_asked_for_and_not_shown() {
    let shell = Shell::start();
    let login = "login --username app --role crypto-user";
    let (code, said) = on_a_terminal(&shell, login, &["letmein-app"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Enter password:") && !said.contains("letmein-app"), "{said}");
    let create = "user create --username typed --role crypto-user";
    let (code, said) = on_a_terminal(&shell, create, &["letmein-one", "letmein-two"]);
    assert!(code == Some(1) && said.contains("the two passwords differ"), "{said}");
    let (code, said) = on_a_terminal(&shell, create, &["letmein-one", "letmein-one"]);
    assert!(code == Some(0) && said.contains("created: typed"), "{said}");
}

#[test]
fn who_waits_is_told_for_what() {
    let shell = Shell::start();
    shell.cluster.dev(&["kill", "1"]).unwrap();
    let config = shell.cluster.config_path();
    let mut text = std::fs::read_to_string(&config).unwrap();
    text.push_str("[client]\ndeadline_ms = 1500\n");
    std::fs::write(&config, text).unwrap();
    let (code, said) = on_a_terminal(&shell, "cluster status", &[]);
    assert!(code == Some(1) && said.contains("waiting for the cluster"), "{said}");
    // A program is not told.
    let said = shell.run("cluster status");
    assert!(said.code == Some(1) && !said.error.contains("waiting"), "{said:?}");
}
