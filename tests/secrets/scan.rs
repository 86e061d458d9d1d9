//! Looks for secrets in bytes: as they are, turned round, in hexadecimal and in base64, whole or any 16 bytes of one of these forms.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

/// Bytes of a window; shorter secrets are looked for whole.
const WINDOW: usize = 16;
const PREFIX: usize = 8;

/// Secrets in all their forms, indexed.
#[derive(Default)]
pub(crate) struct Scanner {
    /// Windows by their first bytes.
    windows: HashMap<[u8; PREFIX], Vec<Window>>,
    /// Which pairs of bytes begin a window, and which come next: a filter that lets few offsets through.
    begins: Vec<bool>,
    goes_on: Vec<bool>,
}

struct Window {
    bytes: Vec<u8>,
    of: String,
}

fn pair(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

fn hex(bytes: &[u8], digits: &[u8; 16]) -> Vec<u8> {
    bytes
        .iter()
        .flat_map(|byte| [digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]])
        .collect()
}

/// The characters of base64 that bytes have at one of the three places where they may begin.
fn base64(bytes: &[u8], place: usize, last: [u8; 2]) -> Vec<u8> {
    let mut letters: Vec<u8> = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').collect();
    letters.extend(last);
    let bits: Vec<bool> =
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect();
    // What stands before the secret takes this many bits of a character that both share.
    let skip = [0, 4, 2][place];
    let digits = bits.get(skip..).unwrap_or_default().chunks_exact(6);
    digits
        .map(|six| letters[six.iter().fold(0, |value, bit| value << 1 | usize::from(*bit))])
        .collect()
}

impl Scanner {
    /// Adds a secret.
    pub(crate) fn add(&mut self, name: &str, secret: &[u8]) {
        let turned: Vec<u8> = secret.iter().rev().copied().collect();
        self.add_form(&format!("{name}, as it is"), secret);
        self.add_form(&format!("{name}, turned round"), &turned);
        for bytes in [secret, &turned] {
            self.add_form(&format!("{name}, in hexadecimal"), &hex(bytes, b"0123456789abcdef"));
            self.add_form(&format!("{name}, in hexadecimal"), &hex(bytes, b"0123456789ABCDEF"));
        }
        for place in 0..3 {
            self.add_form(&format!("{name}, in base64"), &base64(secret, place, *b"+/"));
            self.add_form(&format!("{name}, in base64"), &base64(secret, place, *b"-_"));
        }
    }

    fn add_form(&mut self, of: &str, form: &[u8]) {
        assert!(form.len() >= PREFIX, "{of} is too short to be looked for");
        if self.begins.is_empty() {
            (self.begins, self.goes_on) = (vec![false; 1 << 16], vec![false; 1 << 16]);
        }
        for window in form.windows(WINDOW.min(form.len())) {
            // Nobody's secret: padding and the like.
            if window.iter().all(|byte| *byte == window[0]) {
                continue;
            }
            self.begins[pair(window)] = true;
            self.goes_on[pair(&window[2..])] = true;
            let prefix = window[..PREFIX].try_into().unwrap();
            let known = self.windows.entry(prefix).or_default();
            known.push(Window { bytes: window.to_vec(), of: of.to_owned() });
        }
    }

    /// Returns what was found, and where: nothing, it is to be hoped. At most one find of each form.
    pub(crate) fn scan(&self, place: &str, bytes: &[u8]) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for at in 0..bytes.len().saturating_sub(PREFIX - 1) {
            if !self.begins[pair(&bytes[at..])] || !self.goes_on[pair(&bytes[at + 2..])] {
                continue;
            }
            let prefix: [u8; PREFIX] = bytes[at..at + PREFIX].try_into().unwrap();
            for window in self.windows.get(&prefix).into_iter().flatten() {
                let what = format!("{place}: {}", window.of);
                if bytes[at..].starts_with(&window.bytes) && !found.contains(&what) {
                    found.push(what);
                }
            }
        }
        found
    }

    /// Scans every file under a folder; returns the finds and how many files there were.
    pub(crate) fn scan_folder(&self, folder: &Path) -> io::Result<(Vec<String>, Vec<PathBuf>)> {
        let (mut found, mut files, mut folders) = (Vec::new(), Vec::new(), vec![folder.to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.is_file() {
                    found.extend(self.scan(&path.display().to_string(), &std::fs::read(&path)?));
                    files.push(path);
                }
            }
        }
        Ok((found, files))
    }
}

#[test]
fn every_form_of_a_secret_is_found_in_noise() {
    let secret: Vec<u8> = (0..48_u8).map(|byte| byte.wrapping_mul(37) ^ 0x5a).collect();
    let mut scanner = Scanner::default();
    scanner.add("the secret", &secret);
    let noise = (0..25_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes());
    let noise: Vec<u8> = noise.collect();
    assert_eq!(scanner.scan("noise", &noise), Vec::<String>::new());
    let turned: Vec<u8> = secret.iter().rev().copied().collect();
    let part = &secret[9..9 + WINDOW];
    let forms = [
        ("as it is", secret.clone()),
        ("as it is", part.to_vec()),
        ("turned round", turned.clone()),
        ("in hexadecimal", hex(&secret, b"0123456789abcdef")),
        ("in hexadecimal", hex(part, b"0123456789ABCDEF")),
        ("in hexadecimal", hex(&turned, b"0123456789abcdef")),
    ];
    for (form, bytes) in &forms {
        for at in [0, 1, 777, noise.len()] {
            let mut place = noise.clone();
            place.splice(at..at, bytes.iter().copied());
            let found = scanner.scan("noise", &place);
            assert_eq!(found, [format!("noise: the secret, {form}")], "{at}");
        }
    }
}

#[test]
fn base64_of_another_program_is_found_at_every_place() {
    // printf 'xcasemate evidence' | base64, and with two, three and no letters before it.
    let mut scanner = Scanner::default();
    scanner.add("the words", b"casemate evidence of secrets");
    for text in [
        "Y2FzZW1hdGUgZXZpZGVuY2Ugb2Ygc2VjcmV0cw==",
        "eGNhc2VtYXRlIGV2aWRlbmNlIG9mIHNlY3JldHM=",
        "eHhjYXNlbWF0ZSBldmlkZW5jZSBvZiBzZWNyZXRz",
        "eHh4Y2FzZW1hdGUgZXZpZGVuY2Ugb2Ygc2VjcmV0cw==",
    ] {
        let found = scanner.scan("text", text.as_bytes());
        assert_eq!(found, ["text: the words, in base64"], "{text}");
    }
}
