//! SoftHSM2 in the application's process, on a token of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Name, System, first_existing, run, scratch, subject};
use crate::error::Error;
use crate::process::Pids;
use crate::worker::Worker;

/// The user's PIN on tokens made here.
pub(super) const PIN: &str = "1234";

/// Starts a worker with SoftHSM2 inside.
pub(super) fn start() -> Result<System, Error> {
    let directory = scratch()?;
    let configuration = make_token(directory.path())?;
    let environment = [("SOFTHSM2_CONF", configuration.display().to_string())];
    let worker = Worker::start(Name::Softhsm.text(), &subject(library()?, PIN), &environment)?;
    let parts: Vec<Box<dyn super::Part>> = vec![Box::new(directory)];
    Ok(System { name: Name::Softhsm, worker, server: Pids::default(), _parts: parts })
}

/// Makes a token in `directory` and returns the configuration file that names it.
pub(super) fn make_token(directory: &Path) -> Result<PathBuf, Error> {
    let tokens = directory.join("tokens");
    fs::create_dir_all(&tokens).map_err(Error::io("SoftHSM2's token directory"))?;
    let configuration = directory.join("softhsm2.conf");
    let text = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
        tokens.display()
    );
    fs::write(&configuration, text).map_err(Error::io("SoftHSM2's configuration"))?;
    run(Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", "bench", "--so-pin", PIN, "--pin", PIN])
        .env("SOFTHSM2_CONF", &configuration))?;
    Ok(configuration)
}

/// Finds SoftHSM2's library.
pub(super) fn library() -> Result<PathBuf, Error> {
    first_existing(
        "SoftHSM2",
        &[
            "/usr/lib/softhsm/libsofthsm2.so",
            "/usr/lib64/softhsm/libsofthsm2.so",
            "/usr/lib64/pkcs11/libsofthsm2.so",
            "/usr/local/lib/softhsm/libsofthsm2.so",
        ],
    )
}
