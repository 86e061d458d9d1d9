//! The files that are ours: everything that git knows or would add.

use std::fmt;
use std::path::Path;
use std::process::Command;

/// One file; `text` is empty for what is not text.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// What a rule found.
#[derive(Debug)]
pub(crate) struct Fault {
    path: String,
    line: usize,
    what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

impl File {
    /// A fault on a line, counted from 1; 0 means the whole file.
    pub(crate) fn fault(&self, line: usize, what: impl Into<String>) -> Fault {
        Fault { path: self.path.clone(), line, what: what.into() }
    }

    /// The lines, counted from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// The file's own name.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// The folder, without a slash at its end; empty for the root.
    pub(crate) fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    pub(crate) fn is_page(&self) -> bool {
        self.path.ends_with(".md")
    }

    /// Whether a person starts it: a text with an interpreter line.
    pub(crate) fn is_script(&self) -> bool {
        self.text.starts_with("#!") && !self.is_rust()
    }

    /// Whether it is a test, or holds tests only.
    pub(crate) fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || self.path.ends_with("/tests.rs")
    }
}

/// All files.
#[derive(Debug)]
pub(crate) struct Tree(pub(crate) Vec<File>);

impl Tree {
    /// Reads our own tree.
    pub(crate) fn ours() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let listed = Command::new("git").args(arguments).current_dir(&root).output();
        let listed = listed.expect("git lists the files");
        assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
        let paths = String::from_utf8(listed.stdout).expect("paths are UTF-8");
        let read = |path: &str| {
            let bytes = std::fs::read(root.join(path)).ok()?;
            let text = String::from_utf8(bytes).unwrap_or_default();
            Some(File { path: path.to_owned(), text })
        };
        let tree = Self(paths.split_terminator('\0').filter_map(read).collect());
        assert!(tree.0.len() > 100, "only {} files were found", tree.0.len());
        tree
    }

    /// Makes a tree to plant faults in.
    pub(crate) fn planted(files: &[(&str, &str)]) -> Self {
        let file =
            |&(path, text): &(&str, &str)| File { path: path.to_owned(), text: text.to_owned() };
        Self(files.iter().map(file).collect())
    }

    pub(crate) fn find(&self, path: &str) -> Option<&File> {
        self.0.iter().find(|file| file.path == path)
    }
}

/// Fails with one line for each fault.
#[track_caller]
pub(crate) fn assert_none(faults: &[Fault]) {
    let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", lines.len(), lines.join("\n"));
}

/// Fails unless the rule found exactly these faults, each named by a part of its line.
#[track_caller]
pub(crate) fn assert_found(faults: &[Fault], wanted: &[&str]) {
    let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), wanted.len(), "{lines:#?}");
    for (line, wanted) in lines.iter().zip(wanted) {
        assert!(line.contains(wanted), "`{wanted}` is not in `{line}`");
    }
}

/// Whether a text has the word at a place where no letter, digit or underscore touches it.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    let touches =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    text.match_indices(word).any(|(start, _)| {
        let bytes = text.as_bytes();
        let before = start.checked_sub(1).and_then(|before| bytes.get(before));
        !touches(before) && !touches(bytes.get(start + word.len()))
    })
}

/// The code of a line of Rust: without its comment and the inside of its strings.
pub(crate) fn code(line: &str) -> String {
    let mut code = String::new();
    let mut inside = false;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if inside => {
                letters.next();
            }
            '"' => inside = !inside,
            '/' if !inside && letters.peek() == Some(&'/') => break,
            _ if inside => {}
            _ => code.push(letter),
        }
    }
    code
}

#[test]
fn code_is_told_from_comments_and_strings() {
    let line = format!("let a = \"{0} // \\\" x\"; // {0}", "word");
    assert_eq!(code(&line), "let a = ; ");
    assert!(has_word("a word here", "word") && !has_word("word_code", "word"));
}
