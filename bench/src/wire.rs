//! What the scenarios ask on a bare connection ([`casemate_wire`]): for thousands of connections from one process, which the client
//! library rightly avoids, and for the empty call without PKCS#11.

use casemate_protocol::messages::{Answer, Ask, Empty};
use casemate_wire::Wire;

use crate::error::Error;

/// A connection after both hellos.
pub(crate) struct Connection(Wire);

/// What a log-in leaves to come back with.
pub(crate) struct Ticket {
    ticket: Vec<u8>,
    secret: Vec<u8>,
}

impl Connection {
    /// Connects, and exchanges hellos.
    ///
    /// # Errors
    /// [`Error::Wire`] with what went wrong.
    pub(crate) fn open(address: &str) -> Result<Self, Error> {
        let wire = Wire::open(address).map_err(failed)?;
        match &wire.hello.error {
            None => Ok(Self(wire)),
            Some(error) => Err(failed(format!("refused with code {}", error.code))),
        }
    }

    /// Sends the empty request and waits for its answer.
    ///
    /// # Errors
    /// [`Error::Wire`] with what went wrong.
    pub(crate) fn ping(&mut self) -> Result<(), Error> {
        match self.0.ask(Ask::Ping(Empty {})).map_err(failed)? {
            Answer::Done(_) => Ok(()),
            _ => Err(failed("a ping was not answered by Done")),
        }
    }

    /// Logs in by password and returns the ticket.
    ///
    /// # Errors
    /// [`Error::Wire`] with what went wrong.
    pub(crate) fn log_in(&mut self, user: &str, password: &str) -> Result<Ticket, Error> {
        ticket(self.0.log_in(user, password, 0).map_err(failed)?)
    }

    /// Logs in by ticket and returns the renewed one.
    ///
    /// # Errors
    /// [`Error::Wire`] with what went wrong.
    pub(crate) fn use_ticket(&mut self, old: &Ticket) -> Result<Ticket, Error> {
        let exporter = self.0.exporter().map_err(failed)?;
        ticket(self.0.use_ticket(&old.ticket, &old.secret, &exporter).map_err(failed)?)
    }
}

fn ticket(answer: Answer) -> Result<Ticket, Error> {
    match answer {
        Answer::LoggedIn(it) => Ok(Ticket { ticket: it.ticket, secret: it.secret }),
        Answer::Error(error) => Err(failed(format!("log-in refused, code {}", error.code))),
        _ => Err(failed("a log-in was answered by something else")),
    }
}

fn failed(cause: impl ToString) -> Error {
    Error::Wire(cause.to_string())
}
