//! `shim.c`, built, and its control: fsync that fails, and a clock that is moved, in a daemon that is otherwise the customer's.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A shim for one daemon at a time.
pub(crate) struct Shim {
    library: PathBuf,
    control_path: PathBuf,
    control: File,
}

impl Shim {
    /// Builds the library into a directory.
    pub(crate) fn build(directory: &Path) -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("faults/shim.c");
        let library = directory.join("shim.so");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"]);
        let built = compiler.arg(&library).arg(source).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let control_path = directory.join("shim.control");
        let mut options = OpenOptions::new();
        let control = options.create(true).truncate(true).write(true).open(&control_path).unwrap();
        control.write_all_at(&[0; 16], 0).unwrap();
        Self { library, control_path, control }
    }

    /// Returns the environment that loads it.
    pub(crate) fn environment(&self) -> [(&str, &str); 2] {
        let control = self.control_path.to_str().unwrap();
        [("LD_PRELOAD", self.library.to_str().unwrap()), ("CASEMATE_SHIM", control)]
    }

    /// Makes every fsync fail, or work again.
    pub(crate) fn fail_syncs(&self, failing: bool) {
        self.control.write_all_at(&[u8::from(failing)], 0).unwrap();
    }

    /// Moves the clock so many seconds ahead of the real one, or behind it.
    pub(crate) fn move_clock(&self, seconds: i64) {
        self.control.write_all_at(&seconds.to_ne_bytes(), 8).unwrap();
    }
}
