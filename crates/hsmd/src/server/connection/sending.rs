//! The way out: replies become frames, frames become records, and what the peer has not taken is counted.

use std::io;

use casemate_protocol::messages::Reply;
use casemate_protocol::{Error, frame};
use prost::Message as _;

use super::{Connection, MEMORY_MS, Stage};

impl Connection {
    pub(super) fn write(&mut self, sequence: u64, message: &[u8]) {
        let mut frames = Vec::with_capacity(message.len() + frame::HEADER_BYTES);
        let reply_error = |error| Reply::error(error).encode_to_vec();
        let written = frame::write(&mut frames, sequence, message);
        let written =
            written.or_else(|error| frame::write(&mut frames, sequence, &reply_error(error)));
        if let Err(error) = written {
            tracing::error!(%error, "a reply cannot be framed");
            return;
        }
        let unsent = self.unsent.saturating_add(frames.len());
        if !self.unsent_held.resize(&self.memory, unsent) {
            // The answer must not be lost, and memory is short: the client tries again.
            frames.clear();
            let busy = reply_error(Error::Busy(MEMORY_MS));
            if frame::write(&mut frames, sequence, &busy).is_err() {
                return;
            }
        }
        self.unsent = self.unsent.saturating_add(frames.len());
        if let Err(error) = io::Write::write_all(&mut self.session.writer(), &frames) {
            tracing::debug!(%error, "a reply could not be written");
        }
    }

    /// Sends what waits; returns whether the connection goes on.
    pub(crate) fn flush(&mut self) -> bool {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.stream) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        self.unsent = 0;
        // Nothing is always there to hold.
        self.unsent_held.resize(&self.memory, 0);
        !matches!(self.stage, Stage::Closing)
    }

    /// Ends it properly, as far as it goes without waiting.
    pub(crate) fn say_goodbye(&mut self) {
        self.session.send_close_notify();
        self.flush();
    }
}
