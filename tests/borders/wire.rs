//! A client without manners: [`casemate_wire`], with answers as the tests want them.

use std::io;
use std::net::TcpStream;
use std::ops::{Deref, DerefMut};

use casemate_protocol::messages::{Answer, Ask, ClientHello, LoggedIn, Reply, ServerHello};
use casemate_protocol::{Error, Role};
use prost::Message as _;

pub(crate) use casemate_wire::{PATIENCE, message};

/// A connection of the test's own.
pub(crate) struct Wire(casemate_wire::Wire);

impl Deref for Wire {
    type Target = casemate_wire::Wire;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Wire {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

/// Connects without TLS.
pub(crate) fn tcp(address: &str) -> TcpStream {
    casemate_wire::tcp(address).unwrap()
}

/// Returns everything that the other side still sends until it closes; fails if it does not close in time.
pub(crate) fn read_to_end(stream: &mut impl io::Read) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return all,
            Ok(length) => all.extend_from_slice(&buffer[..length]),
            Err(error) if is_close(&error) => return all,
            Err(error) => panic!("it was not closed: {error}"),
        }
    }
}

fn is_close(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

pub(crate) fn hello_of(hello: &ServerHello) -> ClientHello {
    ClientHello {
        protocol_min: 1,
        protocol_max: 1,
        cluster: hello.cluster.clone(),
        software: "borders".to_owned(),
    }
}

fn logged_in(answer: Answer) -> Result<LoggedIn, Error> {
    match answer {
        Answer::LoggedIn(logged_in) => Ok(logged_in),
        Answer::Error(error) => Err(error.into()),
        _ => panic!("another answer"),
    }
}

impl Wire {
    /// Makes a TLS connection and says nothing on it.
    pub(crate) fn tls(address: &str) -> Self {
        Self(casemate_wire::Wire::tls(address).unwrap())
    }

    /// Makes a connection and greets, without naming a cluster.
    pub(crate) fn open(address: &str) -> Self {
        Self::try_open(address).unwrap()
    }

    pub(crate) fn try_open(address: &str) -> io::Result<Self> {
        casemate_wire::Wire::open(address).map(Self)
    }

    /// Receives a reply and the number of its request.
    pub(crate) fn reply(&mut self) -> (u64, Answer) {
        self.0.reply().unwrap()
    }

    /// Asks, and returns the answer.
    pub(crate) fn ask(&mut self, ask: Ask) -> Answer {
        self.0.ask(ask).unwrap()
    }

    pub(crate) fn ask_as(&mut self, sequence: u64, ask: Ask) -> Answer {
        self.0.ask_as(sequence, ask).unwrap()
    }

    /// Asks what must fail, and returns why it did.
    pub(crate) fn refusal(&mut self, what: &str, ask: Ask) -> Error {
        match self.ask(ask) {
            Answer::Error(error) => Error::from(error),
            _ => panic!("{what}: it was done"),
        }
    }

    /// Whether the other side closed the connection, and with which last error of a request.
    pub(crate) fn closed(&mut self) -> Option<Error> {
        let mut last = None;
        loop {
            match self.receive() {
                Ok((0, bytes)) if !self.is_greeted() => {
                    let hello = ServerHello::decode(bytes.as_slice()).unwrap();
                    last = hello.error.map(Error::from).or(last);
                }
                Ok((_, bytes)) => {
                    let reply = Reply::decode(bytes.as_slice()).unwrap();
                    if let Some(Answer::Error(error)) = reply.answer {
                        last = Some(error.into());
                    }
                }
                Err(error) if is_close(&error) => return last,
                Err(error) => panic!("it was not closed: {error}"),
            }
        }
    }

    pub(crate) fn try_log_in(
        &mut self,
        user: &str,
        password: &str,
        role: u32,
    ) -> Result<LoggedIn, Error> {
        logged_in(self.0.log_in(user, password, role).unwrap())
    }

    /// Makes a connection and logs the crypto user `app` in.
    pub(crate) fn user(address: &str) -> Self {
        let mut wire = Self::open(address);
        wire.log_in("app", casemate_tests::USER_PASSWORD, Role::CryptoUser);
        wire
    }

    pub(crate) fn admin(address: &str) -> Self {
        let mut wire = Self::open(address);
        wire.log_in("admin", casemate_tests::ADMIN_PASSWORD, Role::Admin);
        wire
    }

    pub(crate) fn log_in(&mut self, user: &str, password: &str, role: Role) -> LoggedIn {
        self.try_log_in(user, password, role.number()).unwrap()
    }

    pub(crate) fn exporter(&self) -> [u8; 32] {
        self.0.exporter().unwrap()
    }

    /// Uses a ticket as its holder does, bound to the connection with this exporter.
    pub(crate) fn use_ticket(
        &mut self,
        ticket: &[u8],
        secret: &[u8],
        exporter: &[u8; 32],
    ) -> Result<LoggedIn, Error> {
        logged_in(self.0.use_ticket(ticket, secret, exporter).unwrap())
    }
}
