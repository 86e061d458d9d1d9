//! What the client has seen: the newest index of the cluster's log that any HSM told it.
//!
//! An HSM that is behind it waits, or says so, before it answers: whoever made a key through one HSM finds it through every other. The
//! token comes with a reply when it is new to the connection, and goes with a request only to an HSM that has not told it itself, so the
//! way of a short request is two looks at a number.
//!
//! A token is opaque but for its first bytes: incarnation (16) and index (8, big endian). Indexes of another incarnation say nothing of
//! this one: the newest token counts then.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::client::lock;

/// The newest token.
#[derive(Default)]
pub(crate) struct Seen {
    token: Mutex<Vec<u8>>,
    /// Its index, for a look without the lock.
    index: AtomicU64,
}

/// What one HSM has told, on one connection.
#[derive(Default)]
pub(crate) struct Told(AtomicU64);

const INCARNATION_BYTES: usize = 16;

fn parts(token: &[u8]) -> Option<(&[u8], u64)> {
    let (incarnation, rest) = token.split_at_checked(INCARNATION_BYTES)?;
    Some((incarnation, u64::from_be_bytes(*rest.first_chunk::<8>()?)))
}

impl Seen {
    /// Takes in the token of a reply.
    pub(crate) fn take(&self, token: &[u8], told: &Told) {
        let Some((incarnation, index)) = parts(token) else { return };
        told.0.store(index, Ordering::Relaxed);
        let mut newest = lock(&self.token);
        let older =
            parts(&newest).is_none_or(|(known, before)| known != incarnation || before < index);
        if older {
            token.clone_into(&mut newest);
            self.index.store(index, Ordering::Relaxed);
        }
    }

    /// Returns the token for a request to an HSM that has not told as much; else nothing.
    pub(crate) fn for_hsm(&self, told: &Told) -> Vec<u8> {
        if self.index.load(Ordering::Relaxed) > told.0.load(Ordering::Relaxed) {
            lock(&self.token).clone()
        } else {
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(incarnation: u8, index: u64) -> Vec<u8> {
        [&[incarnation; 16][..], &index.to_be_bytes(), &[9; 16]].concat()
    }

    #[test]
    fn the_newest_goes_to_whoever_has_not_told_it() {
        let (seen, first, second) = (Seen::default(), Told::default(), Told::default());
        assert!(seen.for_hsm(&first).is_empty());
        seen.take(&token(1, 5), &first);
        assert!(seen.for_hsm(&first).is_empty());
        assert_eq!(seen.for_hsm(&second), token(1, 5));
        // An HSM that is behind makes the newest no older.
        seen.take(&token(1, 3), &second);
        assert_eq!(seen.for_hsm(&second), token(1, 5));
        seen.take(&token(1, 6), &second);
        assert_eq!(seen.for_hsm(&first), token(1, 6));
        // Another incarnation begins anew.
        seen.take(&token(2, 1), &first);
        assert!(seen.for_hsm(&first).is_empty());
        // What is no token changes nothing.
        for nonsense in [&b""[..], &[1; 23]] {
            seen.take(nonsense, &second);
        }
        assert!(seen.for_hsm(&second).is_empty());
    }
}
