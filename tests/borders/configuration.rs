//! The files that operators and users write: `hsmd.toml` and `casemate.toml`.

use std::path::Path;
use std::process::Command;

use casemate_tests::{Build, Network, program};

use crate::daemon::ends;

#[test]
fn a_daemon_says_what_its_configuration_lacks() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let network = Network::take().unwrap();
    let listen = format!("listen = '127.{}.1.1:2223'\n", network.number());
    let data = format!("data_directory = '{}'\n", path.join("data").display());
    let both = format!("{data}{listen}");
    std::fs::create_dir(path.join("data")).unwrap();
    let wrong: [(&str, String, i32, &str); 14] = [
        ("empty", String::new(), 2, "data_directory"),
        ("no TOML", "\u{0}\u{1}".to_owned(), 2, "line 1"),
        ("an unknown key", format!("{both}color = 'red'\n"), 2, "line 3: unknown field `color`"),
        (
            "an unknown limit",
            format!("{both}[limits]\nspeed = 1\n"),
            2,
            "line 4: unknown field `speed`",
        ),
        ("a key twice", format!("{both}{listen}"), 2, "line 3"),
        ("no address", data.clone(), 2, "listen"),
        ("an address that is none", format!("{data}listen = 'here'\n"), 2, "line 2"),
        ("a number for a text", format!("{listen}data_directory = 5\n"), 2, "line 2"),
        (
            "a limit of nothing",
            format!("{both}[limits]\nconnections = 0\n"),
            2,
            "limits.connections",
        ),
        ("a limit below nothing", format!("{both}[limits]\nidle_seconds = -1\n"), 2, "line 4"),
        ("an unknown provider", format!("{both}[sealing]\nprovider = 'tpm9'\n"), 2, "tpm9"),
        (
            "an unknown user",
            format!("{both}user = 'no-such-user-here'\n[create]\n"),
            2,
            "no-such-user-here",
        ),
        ("nothing to start", both.clone(), 2, "[create]"),
        (
            "a passphrase that is not there",
            format!(
                "{both}[create]\n[sealing]\nprovider = 'passphrase'\nfile = '/nowhere/phrase'\n"
            ),
            2,
            "/nowhere/phrase",
        ),
    ];
    for (what, text, code, cause) in wrong {
        let (ended, said) = ends(path, &text);
        if what == "an unknown user" && !nix::unistd::geteuid().is_root() {
            continue;
        }
        assert_eq!(ended, Some(code), "{what}: {said}");
        assert!(said.contains(cause), "{what}: {said}");
        let last = said.lines().filter(|line| line.starts_with("casemate-hsmd: ")).count();
        assert_eq!(last, 1, "{what}: one line of cause: {said}");
    }
    for (what, named) in [("absent", path.join("absent.toml")), ("a directory", path.to_owned())] {
        let output = Command::new(program(Build::Plain, "casemate-hsmd"))
            .arg("--config")
            .arg(&named)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{what}: {said}");
        assert!(said.contains(&named.display().to_string()), "{what}: {said}");
    }
}

#[test]
fn a_daemon_says_what_its_machine_lacks() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let network = Network::take().unwrap();
    let address = format!("127.{}.1.1:2223", network.number());
    let configuration = |data: &Path, more: &str| {
        format!(
            "data_directory = '{}'\nlisten = '{address}'\n[create]\npassword_rounds = 1000\n{more}",
            data.display()
        )
    };
    let data = path.join("data");
    std::fs::create_dir(&data).unwrap();
    {
        let _taken = std::net::TcpListener::bind(&address).unwrap();
        let (code, said) = ends(path, &configuration(&data, ""));
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(&address) && said.contains("in use"), "{said}");
    }
    let file = path.join("file");
    std::fs::write(&file, "a file").unwrap();
    for (what, data) in [("a file", file.clone()), ("below a file", file.join("data"))] {
        let (code, said) = ends(path, &configuration(&data, ""));
        assert_eq!(code, Some(1), "{what}: {said}");
        assert!(said.contains(&data.display().to_string()), "{what}: {said}");
    }
    // /proc takes no directories, not even root's.
    let (code, said) = ends(path, &configuration(Path::new("/proc/casemate"), ""));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("/proc/casemate"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "a file");
}

#[test]
fn secrets_under_a_passphrase_open_by_that_passphrase_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let network = Network::take().unwrap();
    let data = path.join("data");
    std::fs::create_dir(&data).unwrap();
    let configuration = |sealing: &str| {
        format!(
            "data_directory = '{}'\nlisten = '127.{}.1.1:2223'\n[create]\npassword_rounds = 1000\n{sealing}",
            data.display(),
            network.number()
        )
    };
    let phrase = |name: &str, text: &str| {
        let file = path.join(name);
        std::fs::write(&file, text).unwrap();
        configuration(&format!("[sealing]\nprovider = 'passphrase'\nfile = '{}'\n", file.display()))
    };
    let right = phrase("right", "open sesame\n");
    let daemon = |text: &str| {
        let file = path.join("hsmd.toml");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(program(Build::Plain, "casemate-hsmd"));
        let errors = std::fs::File::create(path.join("log")).unwrap();
        let mut child = command.arg("--config").arg(file).stderr(errors).spawn().unwrap();
        let start = std::time::Instant::now();
        let log = || std::fs::read_to_string(path.join("log")).unwrap();
        while !log().contains("ready") {
            assert!(child.try_wait().unwrap().is_none(), "{}", log());
            assert!(start.elapsed() < crate::wire::PATIENCE, "{}", log());
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    };
    daemon(&right);
    let sealed = std::fs::read(data.join("module.sealed")).unwrap();
    for (what, text, cause) in [
        ("a wrong passphrase", phrase("wrong", "open barley"), "passphrase is wrong"),
        ("an empty passphrase", phrase("empty", "\n"), "empty"),
        ("another provider", configuration(""), "another provider"),
    ] {
        let (code, said) = ends(path, &text);
        assert_eq!(code, Some(2), "{what}: {said}");
        assert!(said.contains(cause), "{what}: {said}");
        assert_eq!(std::fs::read(data.join("module.sealed")).unwrap(), sealed, "{what}");
    }
    // Damaged, it is no other passphrase's.
    std::fs::write(data.join("module.sealed"), &sealed[..sealed.len() / 2]).unwrap();
    let (code, said) = ends(path, &right);
    assert_eq!(code, Some(3), "{said}");
    std::fs::write(data.join("module.sealed"), &sealed).unwrap();
    daemon(&right);
}

#[test]
fn a_client_says_what_its_configuration_lacks() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("casemate.toml");
    let run = |path: &Path| {
        let output = Command::new(program(Build::Plain, "casemate"))
            .args(["cluster", "status"])
            .env("CASEMATE_CONFIG", path)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(output.stdout.is_empty());
        assert!(said.starts_with("casemate: "), "{said}");
        assert_eq!(said.lines().filter(|line| !line.starts_with("hint: ")).count(), 1, "{said}");
        said
    };
    for (text, cause) in [
        ("", "missing field `cluster`"),
        ("\u{0}", "line 1"),
        ("[cluster]\naddresses = ['a:1']\nport = 3\n", "line 3: unknown field `port`"),
        ("[cluster]\naddresses = []\n", "names no HSM"),
        ("[cluster]\naddresses = 'a:1'\n", "line 2"),
        (
            "[cluster]\naddresses = ['a:1']\nid = 'cluster-aaaaaaaaaaaaaaaa'\nca = 'absent.crt'\n",
            "absent.crt",
        ),
        (
            "[cluster]\naddresses = ['a:1']\nid = 'cluster-aaaaaaaaaaaaaaaa'\nca = 'casemate.toml'\n",
            "no certificate",
        ),
        (
            "[cluster]\naddresses = ['a:1']\nid = 'x'\nca = 'casemate.toml'\n",
            "cluster-aaaaaaaaaaaaaaaa",
        ),
        ("[cluster]\n[client]\ndeadline_ms = -1\n", "line"),
    ] {
        std::fs::write(&file, text).unwrap();
        let said = run(&file);
        assert!(said.contains(cause), "{text:?}: {said}");
        assert!(said.contains("casemate.toml") || said.contains("absent.crt"), "{text:?}: {said}");
    }
    std::fs::write(&file, [0xff, 0xfe, 0x00]).unwrap();
    assert!(run(&file).contains("utf-8"));
    assert!(run(directory.path()).contains("directory"));
    assert!(run(&directory.path().join("absent.toml")).contains("absent.toml"));
    // A file without an end is not read to its end.
    assert!(run(Path::new("/dev/zero")).contains("/dev/zero"));
}
