//! A relay between client and daemon that writes down every byte, in both directions.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// The relay; it goes on until the process ends.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    written: Arc<Mutex<Vec<u8>>>,
}

fn pump(mut from: TcpStream, mut to: TcpStream, written: &Mutex<Vec<u8>>) -> io::Result<()> {
    let mut buffer = [0; 16 << 10];
    loop {
        let length = from.read(&mut buffer)?;
        if length == 0 {
            return to.shutdown(std::net::Shutdown::Write);
        }
        written.lock().unwrap().extend_from_slice(&buffer[..length]);
        to.write_all(&buffer[..length])?;
    }
}

impl Relay {
    /// Starts a relay to an address.
    pub(crate) fn start(to: String) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let written = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&written);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(&to) else { continue };
                let clones = (client.try_clone(), server.try_clone());
                let (Ok(from_client), Ok(to_server)) = clones else { continue };
                let (up, down) = (Arc::clone(&shared), Arc::clone(&shared));
                // A direction that breaks off ends; the other one is told by its own socket.
                thread::spawn(move || pump(from_client, to_server, &up).is_ok());
                thread::spawn(move || pump(server, client, &down).is_ok());
            }
        });
        Ok(Self { address, written })
    }

    /// Returns everything that went by.
    pub(crate) fn written(&self) -> Vec<u8> {
        self.written.lock().unwrap().clone()
    }
}
