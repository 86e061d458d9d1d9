//! SoftHSM2 in another process, reached by p11-kit's remoting: what one gets today without
//! Casemate when keys must be outside the application.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::softhsm::{PIN, library, make_token};
use super::{Name, Part, System, first_existing, scratch, subject};
use crate::error::Error;
use crate::process::Pids;
use crate::worker::Worker;

/// How long the server may take to open its socket.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts the server and a worker that reaches it.
pub(super) fn start() -> Result<System, Error> {
    let directory = scratch()?;
    let configuration = make_token(directory.path())?;
    let socket = directory.path().join("socket");
    let child = Command::new("p11-kit")
        .args(["server", "--foreground", "--name"])
        .arg(&socket)
        .arg("--provider")
        .arg(library()?)
        .arg("pkcs11:token=bench")
        .env("SOFTHSM2_CONF", &configuration)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|cause| failed(cause.to_string()))?;
    let mut server = Server(child);
    let pids = Pids(vec![i32::try_from(server.0.id()).unwrap_or(i32::MAX)]);
    let start = Instant::now();
    while !socket.exists() {
        if let Ok(Some(status)) = server.0.try_wait() {
            return Err(failed(format!("the server ended: {status}")));
        }
        if start.elapsed() > PATIENCE {
            return Err(failed(format!("no socket after {} s", PATIENCE.as_secs())));
        }
        thread::sleep(Duration::from_millis(10));
    }
    let client = first_existing(
        "p11-kit's client module",
        &[
            "/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so",
            "/usr/lib/aarch64-linux-gnu/pkcs11/p11-kit-client.so",
            "/usr/lib64/pkcs11/p11-kit-client.so",
            "/usr/lib/pkcs11/p11-kit-client.so",
        ],
    )?;
    let environment = [("P11_KIT_SERVER_ADDRESS", format!("unix:path={}", socket.display()))];
    let worker = Worker::start(Name::P11kit.text(), &subject(client, PIN), &environment)?;
    let parts: Vec<Box<dyn Part>> = vec![Box::new(server), Box::new(directory)];
    Ok(System { name: Name::P11kit, worker, server: pids, _parts: parts })
}

/// The server's process, ended with its owner.
struct Server(Child);

impl Part for Server {}

impl Drop for Server {
    fn drop(&mut self) {
        // An error means that it ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn failed(cause: String) -> Error {
    Error::Program { program: "p11-kit server".to_owned(), cause }
}
