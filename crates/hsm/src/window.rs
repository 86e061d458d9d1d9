//! The window of retries: a write that comes again is applied once and gets its first reply.
//!
//! A write is known by (user, client instance, sequence) and the digest of its body: another body under
//! the same id is an error, and another user sees nothing. The window is bounded in time and per
//! client, is part of the replicated state, and forgets deterministically; what is older than it
//! remembers is refused, never applied again.

use std::sync::Arc;

use casemate_protocol::Error;
use casemate_protocol::canonical::{CanonicalError, Reader, Writer};
use casemate_protocol::identity::{ClientInstance, UserId};
use immutable_chunkmap::map::MapM;
use immutable_chunkmap::set::SetM;

use crate::entropy::Time;
use crate::limits;

/// Whose request, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RequestId {
    pub(crate) user: UserId,
    pub(crate) client: ClientInstance,
    pub(crate) sequence: u64,
}

struct Remembered {
    time: Time,
    digest: [u8; 32],
    reply: Vec<u8>,
}

/// What is known of one client: how many replies are kept, and up to where they were forgotten.
#[derive(Clone, Copy, Default)]
struct Client {
    kept: usize,
    forgotten: u64,
    last: Time,
}

/// The replies that may be asked for again. Cloning costs nothing.
#[derive(Clone, Default)]
pub(crate) struct Window {
    replies: MapM<RequestId, Arc<Remembered>>,
    by_time: MapM<(Time, RequestId), ()>,
    clients: MapM<(UserId, ClientInstance), Client>,
    /// Clients of which no reply is kept, in order of their last write.
    idle: SetM<(Time, (UserId, ClientInstance))>,
}

impl Window {
    /// Looks up a request before it is applied: its first reply if it came before, `None` if it is new.
    ///
    /// # Errors
    /// [`Error::RequestIdReused`] for another body, [`Error::RequestTooOld`] beyond the window.
    pub(crate) fn look_up(
        &self,
        id: &RequestId,
        digest: &[u8; 32],
    ) -> Result<Option<&[u8]>, Error> {
        if let Some(known) = self.replies.get(id) {
            return if known.digest == *digest {
                Ok(Some(&known.reply))
            } else {
                Err(Error::RequestIdReused)
            };
        }
        let client = self.clients.get(&(id.user, id.client)).copied().unwrap_or_default();
        if id.sequence <= client.forgotten { Err(Error::RequestTooOld) } else { Ok(None) }
    }

    /// Remembers a reply.
    pub(crate) fn remember(&mut self, id: RequestId, digest: [u8; 32], reply: Vec<u8>, time: Time) {
        let key = (id.user, id.client);
        let mut client = self.clients.get(&key).copied().unwrap_or_default();
        self.idle.remove_cow(&(client.last, key));
        client.kept = client.kept.saturating_add(1);
        client.last = time;
        self.clients.insert_cow(key, client);
        self.by_time.insert_cow((time, id), ());
        self.replies.insert_cow(id, Arc::new(Remembered { time, digest, reply }));
        if client.kept > limits::RETRY_WINDOW_REPLIES {
            let first = RequestId { sequence: 0, ..id };
            let oldest = self.replies.range(first..=id).next().map(|(id, known)| (known.time, *id));
            if let Some((time, oldest)) = oldest {
                self.forget(time, oldest);
            }
        }
    }

    /// Forgets what is older than the window; a few at a time, so that no command waits long.
    pub(crate) fn forget_before(&mut self, now: Time) {
        for _ in 0..8 {
            let oldest = self.by_time.into_iter().next().map(|((time, id), ())| (*time, *id));
            match oldest {
                Some((time, id)) if now.ms_since(time) > limits::RETRY_WINDOW_MS => {
                    self.forget(time, id);
                }
                _ => break,
            }
        }
        for _ in 0..8 {
            let Some((last, key)) = self.idle.into_iter().next().copied() else { break };
            if now.ms_since(last) <= limits::RETRY_CLIENT_MS {
                break;
            }
            self.idle.remove_cow(&(last, key));
            self.clients.remove_cow(&key);
        }
    }

    fn forget(&mut self, time: Time, id: RequestId) {
        self.replies.remove_cow(&id);
        self.by_time.remove_cow(&(time, id));
        let key = (id.user, id.client);
        let mut client = self.clients.get(&key).copied().unwrap_or_default();
        client.kept = client.kept.saturating_sub(1);
        client.forgotten = client.forgotten.max(id.sequence);
        if client.kept == 0 {
            self.idle.insert_cow((client.last, key));
        }
        self.clients.insert_cow(key, client);
    }

    /// Writes the window for a snapshot.
    pub(crate) fn encode(&self, writer: &mut Writer) {
        writer.u64(u64::try_from(self.replies.len()).unwrap_or(u64::MAX));
        for (id, known) in &self.replies {
            encode_id(id, writer);
            writer.u64(known.time.0).fixed(&known.digest).bytes(&known.reply);
        }
        writer.u64(u64::try_from(self.clients.len()).unwrap_or(u64::MAX));
        for ((user, client), known) in &self.clients {
            writer.fixed(user.as_bytes()).fixed(client.as_bytes());
            writer.u64(known.forgotten).u64(known.last.0);
        }
    }

    /// Reads the window of a snapshot.
    ///
    /// # Errors
    /// [`CanonicalError`].
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        let mut window = Self::default();
        for _ in 0..reader.u64()? {
            let id = decode_id(reader)?;
            let time = Time(reader.u64()?);
            let digest = reader.fixed()?;
            window.remember(id, digest, reader.bytes()?.to_vec(), time);
        }
        for _ in 0..reader.u64()? {
            let user = UserId::from_bytes(reader.fixed()?);
            let client = ClientInstance::from_bytes(reader.fixed()?);
            let mut known = window.clients.get(&(user, client)).copied().unwrap_or_default();
            known.forgotten = reader.u64()?;
            known.last = Time(reader.u64()?);
            if known.kept == 0 {
                window.idle.insert_cow((known.last, (user, client)));
            }
            window.clients.insert_cow((user, client), known);
        }
        Ok(window)
    }
}

/// Writes a request's id.
pub(crate) fn encode_id(id: &RequestId, writer: &mut Writer) {
    writer.fixed(id.user.as_bytes()).fixed(id.client.as_bytes()).u64(id.sequence);
}

/// Reads a request's id.
///
/// # Errors
/// [`CanonicalError::Truncated`].
pub(crate) fn decode_id(reader: &mut Reader<'_>) -> Result<RequestId, CanonicalError> {
    let user = UserId::from_bytes(reader.fixed()?);
    let client = ClientInstance::from_bytes(reader.fixed()?);
    Ok(RequestId { user, client, sequence: reader.u64()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(sequence: u64) -> RequestId {
        let user = UserId::from_bytes([1; 16]);
        RequestId { user, client: ClientInstance::from_bytes([2; 16]), sequence }
    }

    #[test]
    fn a_request_that_comes_again_gets_its_first_reply() {
        let mut window = Window::default();
        assert_eq!(window.look_up(&id(1), &[1; 32]), Ok(None));
        window.remember(id(1), [1; 32], vec![9], Time(0));
        assert_eq!(window.look_up(&id(1), &[1; 32]), Ok(Some(&[9][..])));
        assert_eq!(window.look_up(&id(1), &[2; 32]), Err(Error::RequestIdReused));
        let other = RequestId { user: UserId::from_bytes([7; 16]), ..id(1) };
        assert_eq!(window.look_up(&other, &[1; 32]), Ok(None));
    }

    #[test]
    fn what_was_forgotten_is_refused_for_ever() {
        let mut window = Window::default();
        for sequence in 1..=limits::RETRY_WINDOW_REPLIES as u64 + 2 {
            window.remember(id(sequence), [0; 32], vec![], Time(sequence));
        }
        assert_eq!(window.look_up(&id(2), &[0; 32]), Err(Error::RequestTooOld));
        assert_eq!(window.look_up(&id(3), &[0; 32]), Ok(Some(&[][..])));
        window.forget_before(Time(limits::RETRY_WINDOW_MS + 4));
        assert_eq!(window.look_up(&id(3), &[0; 32]), Err(Error::RequestTooOld));
        assert_eq!(window.look_up(&id(4), &[0; 32]), Ok(Some(&[][..])));
    }

    #[test]
    fn clients_that_are_gone_leave_nothing_behind() {
        let mut window = Window::default();
        for client in 1..=5 {
            let id = RequestId { client: ClientInstance::from_bytes([client; 16]), ..id(1) };
            window.remember(id, [0; 32], vec![], Time(1));
        }
        window.forget_before(Time(limits::RETRY_WINDOW_MS + 2));
        assert_eq!((window.replies.len(), window.clients.len()), (0, 5));
        window.remember(id(9), [0; 32], vec![], Time(limits::RETRY_WINDOW_MS + 2));
        let mut writer = Writer::new("t");
        window.encode(&mut writer);
        let bytes = writer.finish();
        let mut read = Window::decode(&mut Reader::new(&bytes, "t").unwrap()).unwrap();
        for window in [&mut window, &mut read] {
            window.forget_before(Time(limits::RETRY_CLIENT_MS + 2));
            // The one that wrote again is remembered, with what of it was forgotten.
            assert_eq!((window.replies.len(), window.clients.len(), window.idle.len()), (0, 1, 1));
            assert_eq!(window.look_up(&id(1), &[0; 32]), Err(Error::RequestTooOld));
            window.forget_before(Time(limits::RETRY_CLIENT_MS * 3));
            assert_eq!((window.clients.len(), window.idle.len()), (0, 0));
        }
    }

    #[test]
    fn a_snapshot_holds_it() {
        let mut window = Window::default();
        window.remember(id(5), [1; 32], vec![1, 2], Time(7));
        window.remember(id(6), [1; 32], vec![3], Time(8));
        window.forget(Time(7), id(5));
        let mut writer = Writer::new("t");
        window.encode(&mut writer);
        let bytes = writer.finish();
        let mut reader = Reader::new(&bytes, "t").unwrap();
        let read = Window::decode(&mut reader).unwrap();
        reader.finish().unwrap();
        assert_eq!(read.look_up(&id(6), &[1; 32]), Ok(Some(&[3][..])));
        assert_eq!(read.look_up(&id(5), &[1; 32]), Err(Error::RequestTooOld));
    }
}
