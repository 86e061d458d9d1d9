//! Index tokens: what a client has seen, in a form that it can hand to any HSM and cannot forge.
//!
//! Token = incarnation ‖ index ‖ first 8 bytes of the log's head ‖ 8 bytes of HMAC-SHA-256. A bad MAC or
//! a foreign incarnation is ignored and renewed; an index ahead of this HSM makes the request wait.
//! It is computed once per applied index, so it costs the hot path nothing.

use casemate_crypto::{Hash, constant_time_eq, hmac};
use casemate_protocol::canonical::Writer;
use casemate_protocol::identity::{Incarnation, LogIndex};

use crate::sealing::Keyring;

const TOKEN_BYTES: usize = 40;
const MAC_BYTES: usize = 8;

fn mac(keyring: &Keyring, front: &[u8]) -> [u8; MAC_BYTES] {
    let message = Writer::new("casemate/index/v1").bytes(front).finish();
    let tag = hmac::sign(Hash::Sha256, keyring.index_key().expose(), &[&message]);
    let mut cut = [0; MAC_BYTES];
    cut.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    cut
}

/// Makes the token of a state.
pub(crate) fn make(
    keyring: &Keyring,
    incarnation: Incarnation,
    index: LogIndex,
    head: &[u8; 32],
) -> Vec<u8> {
    let [h0, h1, h2, h3, h4, h5, h6, h7, ..] = *head;
    let mut token = Vec::with_capacity(TOKEN_BYTES);
    token.extend_from_slice(incarnation.as_bytes());
    token.extend_from_slice(&index.0.to_be_bytes());
    token.extend_from_slice(&[h0, h1, h2, h3, h4, h5, h6, h7]);
    let mac = mac(keyring, &token);
    token.extend_from_slice(&mac);
    token
}

/// Reads the index of a token that this cluster made in this incarnation; `None` for any other bytes.
pub(crate) fn read(keyring: &Keyring, incarnation: Incarnation, token: &[u8]) -> Option<LogIndex> {
    let (front, tag) = token.split_at_checked(TOKEN_BYTES.saturating_sub(MAC_BYTES))?;
    let (found, rest) = front.split_first_chunk::<16>()?;
    let (index, _) = rest.split_first_chunk::<8>()?;
    let ours = found == incarnation.as_bytes() && constant_time_eq(&mac(keyring, front), tag);
    ours.then(|| LogIndex(u64::from_be_bytes(*index)))
}
