//! A page as one run of a shell.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use casemate_tests::{Build, Network, program};

use crate::blocks::{Block, matches};

/// What came of a page.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Blocks of which every command was run and did what it must.
    pub(crate) ran: usize,
    pub(crate) fault: Option<String>,
}

/// Where the output of a command goes.
fn output(directory: &Path, block: usize, command: usize) -> PathBuf {
    directory.join(format!("{block}.{command}"))
}

/// The page as a script: each command in the same shell, its output in a file, and a mark when it has succeeded.
fn script(blocks: &[Block], marks: &Path) -> String {
    let mut script = String::from(
        "set -e\ntrap 'kill $(jobs -p) 2>/dev/null || true; casemate dev wipe >/dev/null 2>&1 || true' EXIT\n",
    );
    for (number, block) in blocks.iter().enumerate() {
        for (place, command) in block.commands.iter().enumerate() {
            let file = output(marks, number, place).display().to_string();
            let text = &command.text;
            script.push_str(&format!("{{\n{text}\n}} >{file} 2>&1 </dev/null\n: >{file}.done\n"));
        }
    }
    script
}

/// A directory that looks like the checkout, but in which nothing that a page makes stays.
fn workplace(root: &Path) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_owned();
        if ![".git", ".casemate"].iter().any(|left| name == *left) {
            std::os::unix::fs::symlink(&path, directory.path().join(name)).unwrap();
        }
    }
    directory
}

/// Runs the blocks of a page.
pub(crate) fn run_page(root: &Path, blocks: &[Block]) -> Outcome {
    if blocks.is_empty() {
        return Outcome { ran: 0, fault: None };
    }
    let (place, marks) = (workplace(root), tempfile::tempdir().unwrap());
    let network = Network::take().unwrap();
    let programs = program(Build::Plain, "casemate").parent().unwrap().to_owned();
    let path = std::env::var("PATH").unwrap_or_default();
    let home = place.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let cargo =
        std::env::var_os("CARGO_HOME").or_else(|| Some(home_of_user()?.join(".cargo").into()));
    let rustup =
        std::env::var_os("RUSTUP_HOME").or_else(|| Some(home_of_user()?.join(".rustup").into()));
    let mut command = Command::new("bash");
    command.arg("-c").arg(script(blocks, marks.path())).current_dir(place.path());
    for name in ["CASEMATE_CONFIG", "CASEMATE_ROLE", "CASEMATE_PIN", "MODULE", "PIN"] {
        command.env_remove(name);
    }
    command.env("PATH", format!("{}:{path}", programs.display())).env("HOME", home);
    command.envs(cargo.map(|path| ("CARGO_HOME", path)));
    command.envs(rustup.map(|path| ("RUSTUP_HOME", path)));
    command.env("CASEMATE_NETWORK", network.number().to_string());
    // What is installed and packaged is this build.
    command.env("CASEMATE_BIN", &programs);
    // What the pages leave to the reader: where to install, and the address of the HSM.
    command.env("DESTDIR", place.path().join("installed"));
    command.env("ADDRESS", format!("127.{}.1.1:2223", network.number()));
    command.env("EXPORTER", format!("127.{}.0.1:9817", network.number()));
    let said = command.stdin(Stdio::null()).output().unwrap();
    let mut ran = 0;
    for (number, block) in blocks.iter().enumerate() {
        for (place, command) in block.commands.iter().enumerate() {
            let file = output(marks.path(), number, place);
            let printed = std::fs::read(&file).unwrap_or_default();
            let printed = String::from_utf8_lossy(&printed).into_owned();
            let shown = format!("line {}: `{}`", command.line, command.text);
            if !file.with_added_extension("done").exists() {
                let errors = String::from_utf8_lossy(&said.stderr);
                let fault = format!("{shown} failed:\n{printed}{errors}");
                return Outcome { ran, fault: Some(fault) };
            }
            let mut lines = printed.lines();
            for expected in &command.output {
                if !lines.any(|line| matches(expected, line)) {
                    let fault =
                        format!("{shown} did not print `{expected}` there, but:\n{printed}");
                    return Outcome { ran, fault: Some(fault) };
                }
            }
        }
        ran += 1;
    }
    Outcome { ran, fault: None }
}

fn home_of_user() -> Option<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from)
}

#[test]
fn what_a_page_starts_ends_with_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let kept = tempfile::tempdir().unwrap();
    let file = kept.path().join("pid");
    let page = format!("```sh\ncasemate dev up\ncp .casemate/hsm-1/pid {}\n```", file.display());
    let outcome = run_page(root, &crate::blocks::read_blocks(&page).unwrap());
    assert_eq!(outcome.fault, None);
    let pid = std::fs::read_to_string(file).unwrap();
    // A process that nobody has waited for yet has no command line.
    let runs = std::fs::read(Path::new("/proc").join(pid.trim()).join("cmdline"));
    assert!(runs.unwrap_or_default().is_empty(), "the daemon {pid} still runs");
}
