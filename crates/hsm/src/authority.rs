//! What goes with a change from the request to its command: on whose behalf it is made, and for which request.

use casemate_protocol::Error;
use casemate_protocol::identity::CommandId;
use casemate_protocol::messages::Reply;
use prost::Message as _;

use crate::command::{Author, Change, Command, Request};
use crate::entropy::{Time, draw};
use crate::outcome::{Answered, Outcome, Proposal};
use crate::permissions::{Action, Asker, permits};
use crate::reader::Reader;
use crate::sealing::Keyring;

/// What seals a command on behalf of the one who asked: goes with a job to a pool.
pub(crate) struct Authority {
    pub(crate) reader: Reader,
    pub(crate) author: Option<Author>,
    pub(crate) request: Option<Request>,
    pub(crate) now: Time,
}

impl Authority {
    /// Checks the table once more and makes the proposal.
    pub(crate) fn propose(self, action: Action, change: Change) -> Outcome {
        self.propose_with(action, change, Answered::new)
    }

    /// The same, with a last word on the reply.
    pub(crate) fn propose_with(
        self,
        action: Action,
        change: Change,
        finish: impl FnOnce(Reply) -> Answered + Send + 'static,
    ) -> Outcome {
        let asker = Asker::from(self.author.map(|author| author.role));
        if let Err(error) = permits(asker, action) {
            return Outcome::error(error);
        }
        let keyring = self.reader.keyring();
        Outcome::Propose(self.seal(change, &keyring, finish))
    }

    pub(crate) fn seal(
        self,
        change: Change,
        keyring: &Keyring,
        finish: impl FnOnce(Reply) -> Answered + Send + 'static,
    ) -> Proposal {
        let command = Command {
            id: CommandId::from_bytes(draw(self.reader.entropy())),
            proposer: self.reader.this().id,
            time: self.now,
            author: self.author,
            request: self.request,
            change,
        };
        let finish = move |applied: Result<&[u8], Error>| {
            let reply = applied.and_then(|bytes| {
                Reply::decode(bytes).map_err(|_error: prost::DecodeError| Error::Internal)
            });
            finish(reply.unwrap_or_else(Reply::error))
        };
        Proposal { entry: command.seal(keyring), persist: None, finish: Box::new(finish) }
    }
}
