//! Damage of a real data directory: refused by name, with the exit code that scripts rely on, or without any effect.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use casemate_tests::Build;

use crate::daemon::{PATIENCE, Prepared, SNAPSHOT_EVERY};
use crate::keys::{self, Seen};

const DAMAGED: i32 = 3;
const IN_USE: i32 = 4;
const NEWER: i32 = 5;

type Files = BTreeMap<String, Vec<u8>>;

fn read_all(directory: &Path) -> Files {
    let files = std::fs::read_dir(directory).unwrap().map(Result::unwrap);
    let files = files.filter(|file| file.file_name() != "lock");
    files
        .map(|file| (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap()))
        .collect()
}

fn write_all(directory: &Path, files: &Files) {
    for name in read_all(directory).keys() {
        std::fs::remove_file(directory.join(name)).unwrap();
    }
    for (name, bytes) in files {
        std::fs::write(directory.join(name), bytes).unwrap();
    }
}

/// A stopped cluster with a snapshot, two segments and keys, its files now and at earlier times, and what it shows.
struct Grown {
    prepared: Prepared,
    files: Files,
    older: Vec<Files>,
    keys: Vec<Seen>,
}

impl Grown {
    fn new() -> Self {
        let prepared = Prepared::new();
        let mut older = vec![read_all(&prepared.data())];
        for _ in 0..4 {
            let mut daemon = prepared.start(Build::Plain, &[]);
            let user = prepared.user(PATIENCE);
            let object = keys::make(&user, "changing").unwrap();
            for number in 0..SNAPSHOT_EVERY {
                keys::label(&user, object, &format!("label-{number}")).unwrap();
            }
            keys::make_pair(&user, "pair").unwrap();
            daemon.stop();
            older.push(read_all(&prepared.data()));
        }
        let files = older.pop().unwrap();
        let count = |prefix: &str| files.keys().filter(|name| name.starts_with(prefix)).count();
        assert!(count("log-") == 2 && count("snapshot-") == 1, "{:?}", files.keys());
        let mut grown = Self { prepared, files, older, keys: Vec::new() };
        grown.keys = grown.shown();
        grown
    }

    /// Starts a daemon that must start, and returns what it shows.
    fn shown(&self) -> Vec<Seen> {
        let mut daemon = self.prepared.start(Build::Plain, &[]);
        let seen = keys::all(&self.prepared.user(PATIENCE)).unwrap();
        daemon.stop();
        seen
    }

    /// Puts the files into place with one changed; the daemon must refuse them, naming what is said.
    fn refused(&self, code: i32, what: &str, named: &[&str], change: impl FnOnce(&mut Files)) {
        let mut files = self.files.clone();
        change(&mut files);
        write_all(&self.prepared.data(), &files);
        let (found, said) = self.prepared.refusal();
        assert_eq!(found, code, "{what}: {said}");
        for name in named {
            assert!(said.contains(name), "{what}: {name} is not named: {said}");
        }
        assert!(read_all(&self.prepared.data()) == files, "{what}: something was changed");
    }

    /// The same where it must start with everything there.
    fn harmless(&self, what: &str, change: impl FnOnce(&mut Files)) -> String {
        let mut files = self.files.clone();
        change(&mut files);
        write_all(&self.prepared.data(), &files);
        let log = self.prepared.cluster.log().len();
        assert_eq!(self.shown(), self.keys, "{what}");
        self.prepared.cluster.log()[log..].to_owned()
    }
}

/// The places where the records of a file begin and end (`crates/cluster/src/record.rs`).
fn records(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut records = Vec::new();
    let mut at = 28;
    while at < bytes.len() {
        let length = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        let end = at + 37 + usize::try_from(length).unwrap();
        records.push(at..end);
        at = end;
    }
    records
}

#[test]
fn a_flip_in_every_record_is_refused_by_file_and_byte() {
    let grown = Grown::new();
    let (mut refused, mut turn) = (0, 0);
    for (file, bytes) in grown.files.iter().filter(|(file, _)| file.contains('-')) {
        let found = records(bytes);
        // The header, then one byte of each record: a different field of it each time.
        let mut places: Vec<(usize, usize)> = [3, 14, 22].map(|place| (place, 0)).to_vec();
        for record in found {
            turn += 1;
            // Of the older segment every fourth record: each refusal is a start of the daemon.
            if file.ends_with('1') && turn % 4 != 0 {
                continue;
            }
            let fields = [0, 4, 9, 18, 25, 33, 40, record.len() - 1];
            let field = fields[turn % fields.len()].min(record.len() - 1);
            places.push((record.start + field, record.start));
        }
        for (place, offset) in places {
            let what = format!("{file}, byte {place}");
            let named = if offset == 0 { String::new() } else { format!("byte {offset}") };
            grown.refused(DAMAGED, &what, &[file, &named], |files| {
                files.get_mut(file).unwrap()[place] ^= 0x10;
            });
            refused += 1;
        }
    }
    let secrets = grown.files["module.sealed"].len();
    for place in (0..secrets).step_by(7).chain([secrets - 1]) {
        grown.refused(DAMAGED, "module.sealed", &["module.sealed is damaged"], |files| {
            files.get_mut("module.sealed").unwrap()[place] ^= 0x10;
        });
        refused += 1;
    }
    for place in [0, 9] {
        grown.refused(if place == 9 { NEWER } else { DAMAGED }, "mark", &["mark"], |files| {
            files.get_mut("mark").unwrap()[place] ^= 0x10;
        });
        refused += 1;
    }
    // One of the two slots may be wrong.
    for place in [20, 70] {
        grown.harmless("mark", |files| files.get_mut("mark").unwrap()[place] ^= 0x10);
    }
    println!("{refused} flips, each refused by its file and byte");
    assert!(refused > 100, "{refused}");
}

#[test]
fn missing_cut_and_foreign_files_are_refused() {
    let grown = Grown::new();
    for file in grown.files.keys() {
        let named = if file == "module.sealed" { "module.sealed" } else { "is missing" };
        grown.refused(DAMAGED, &format!("without {file}"), &[named], |files| {
            files.remove(file);
        });
    }
    grown.refused(DAMAGED, "without any log", &["no log"], |files| {
        files.retain(|file, _| file == "module.sealed");
    });
    for file in grown.files.keys() {
        for kept in [0, 5, 27, 1, 40] {
            let what = format!("{file} cut by {kept}");
            grown.refused(DAMAGED, &what, &[file], |files| {
                let bytes = files.get_mut(file).unwrap();
                let length = if kept % 2 == 0 { kept } else { bytes.len() - kept };
                bytes.truncate(length);
            });
        }
    }
    let other = Prepared::new();
    let foreign = read_all(&other.data())["module.sealed"].clone();
    grown.refused(DAMAGED, "another HSM's secrets", &["snapshot-"], |files| {
        files.insert("module.sealed".to_owned(), foreign.clone());
    });
    // Without a snapshot the log tells: it must not be passed over as a log of nothing.
    let young = grown.older[0].clone();
    write_all(&grown.prepared.data(), &young);
    std::fs::write(grown.prepared.data().join("module.sealed"), foreign).unwrap();
    let (code, said) = grown.prepared.refusal();
    assert_eq!(code, DAMAGED, "{said}");
    assert!(said.contains("log-0000000000000001, byte ") && said.contains("secrets"), "{said}");
}

#[test]
fn old_copies_of_one_file_and_swapped_records_are_refused_or_harmless() {
    let grown = Grown::new();
    let mut tried = 0;
    for older in &grown.older {
        for (file, bytes) in older {
            match grown.files.get(file) {
                Some(now) if now == bytes => {}
                // A mark that is older promises less, and the log holds more.
                Some(_) if file == "mark" => {
                    let mut files = grown.files.clone();
                    files.insert(file.clone(), bytes.clone());
                    write_all(&grown.prepared.data(), &files);
                    let mut daemon = grown.prepared.spawn(Build::Plain, &[]);
                    while daemon.ended().is_none() && !daemon.log().contains("ready") {
                        std::thread::sleep(Duration::from_millis(2));
                    }
                    if daemon.ended().is_none() {
                        daemon.stop();
                        assert_eq!(grown.shown(), grown.keys);
                    }
                }
                Some(_) => grown.refused(DAMAGED, &format!("an old {file}"), &[], |files| {
                    files.insert(file.clone(), bytes.clone());
                }),
                // A snapshot or a segment that is superseded, beside the new ones.
                None if file.starts_with("snapshot-") => {
                    grown.harmless(&format!("an old {file}"), |files| {
                        files.insert(file.clone(), bytes.clone());
                    });
                }
                None => {}
            }
            tried += 1;
        }
    }
    assert!(tried > 8, "{tried}");
    // An old snapshot under the name of the new one.
    let newest = grown.files.keys().find(|file| file.starts_with("snapshot-")).unwrap();
    let old = grown.older.iter().rev().flatten();
    let (_, old) =
        old.clone().find(|(file, _)| file.starts_with("snapshot-") && *file != newest).unwrap();
    grown.refused(DAMAGED, "an old snapshot under a new name", &[newest], |files| {
        files.insert(newest.clone(), old.clone());
    });
    let segment = grown.files.keys().rfind(|file| file.starts_with("log-")).unwrap();
    let bytes = &grown.files[segment];
    let found = records(bytes);
    for pair in found.windows(2).step_by(5) {
        grown.refused(DAMAGED, "swapped records", &[segment], |files| {
            let swapped = [
                &bytes[..pair[0].start],
                &bytes[pair[1].clone()],
                &bytes[pair[0].clone()],
                &bytes[pair[1].end..],
            ];
            files.insert(segment.clone(), swapped.concat());
        });
    }
}

#[test]
fn a_torn_end_is_repaired_and_said() {
    let grown = Grown::new();
    let segment = grown.files.keys().rfind(|file| file.starts_with("log-")).unwrap();
    let record = records(&grown.files[segment]).pop().unwrap();
    let torn = grown.files[segment][record].to_vec();
    for length in [1, 4, 20, 37, torn.len() - 1] {
        let said = grown.harmless("a torn end", |files| {
            files.get_mut(segment).unwrap().extend_from_slice(&torn[..length]);
        });
        assert!(said.contains("cut off a torn end"), "{said}");
    }
    let said = grown.harmless("files that were begun", |files| {
        files.insert("snapshot-unfinished".to_owned(), b"CSMT".to_vec());
        files.insert("module.unfinished".to_owned(), b"CSMT".to_vec());
        files.insert("log-00000000000000ff".to_owned(), b"CSMT".to_vec());
    });
    assert!(said.contains("begun and never used"), "{said}");
}

#[test]
fn newer_data_and_a_second_daemon_are_refused_by_their_own_codes() {
    let grown = Grown::new();
    for file in grown.files.keys().filter(|file| *file != "module.sealed") {
        grown.refused(NEWER, &format!("{file} of a newer version"), &[file, "format 2"], |files| {
            files.get_mut(file).unwrap()[11] = 2;
        });
    }
    write_all(&grown.prepared.data(), &grown.files);
    let mut first = grown.prepared.start(Build::Plain, &[]);
    let (code, said) = grown.prepared.refusal();
    assert_eq!(code, IN_USE, "{said}");
    assert!(said.contains("in use by another daemon"), "{said}");
    assert_eq!(keys::all(&grown.prepared.user(PATIENCE)).unwrap(), grown.keys);
    first.stop();
}
