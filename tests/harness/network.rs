//! A loopback network of its own for each test: ports are fixed, so addresses must differ.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::DirBuilderExt as _;

use nix::unistd::getuid;

/// A network number that no other test of this user holds, until it is dropped.
#[derive(Debug)]
pub struct Network {
    number: u8,
    _lock: File,
}

impl Network {
    /// Takes a free network.
    ///
    /// # Errors
    /// If none is free, or the folder of the locks cannot be made.
    pub fn take() -> io::Result<Self> {
        let locks = std::env::temp_dir().join(format!("casemate-networks-{}", getuid()));
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&locks)?;
        // Each process begins elsewhere, so that they do not all knock at the same doors.
        let first = u8::try_from(std::process::id() % 241).unwrap_or(0);
        for offset in 0..241_u8 {
            let number = 10 + (u16::from(first) + u16::from(offset)) % 241;
            let number = u8::try_from(number).unwrap_or(10);
            let path = locks.join(number.to_string());
            let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => return Err(error),
            }
            if TcpListener::bind((Ipv4Addr::new(127, number, 1, 1), 2223)).is_ok() {
                return Ok(Self { number, _lock: lock });
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "no free loopback network"))
    }

    /// Returns M of 127.M.Z.1.
    #[must_use]
    pub const fn number(&self) -> u8 {
        self.number
    }
}
