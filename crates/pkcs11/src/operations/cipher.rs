//! Encryption and decryption that were begun.
//!
//! The modes of AES that chain (ECB, CBC, CTR) go to the HSM in whole blocks as they come, with the chaining value in the parameter;
//! what is less than a block waits here, and so does the last block of padded CBC on decryption. GCM, key wrap and RSA are
//! collected, and go in one piece: nothing is shown that was not authenticated.

use bytes::Bytes;
use casemate_crypto::Wiped;
use casemate_protocol::Mechanism;
use casemate_protocol::messages::{Answer, Ask, Operation, Parameter, Part};
use cryptoki_sys as ck;

use super::{COLLECTED_BYTES_MAX, Usable, collect, take};
use crate::code::{Code, Result};
use crate::library::{Library, unexpected};

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Encrypt,
    Decrypt,
}

/// How a mode goes on from block to block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chain {
    /// It does not: the whole is collected.
    Collected,
    /// Each block for itself (ECB).
    Blocks,
    /// By the last block of ciphertext.
    Cbc { padded: bool },
    /// By a counter.
    Counter,
}

/// An encryption or decryption that was begun.
pub(crate) struct Cipher {
    pub(crate) usable: Usable,
    direction: Direction,
    chain: Chain,
    waiting: Wiped,
    /// Whether a part came: then only parts and the end may follow.
    pub(crate) in_parts: bool,
    /// Whether the counter has come to its end: a further block would repeat the key stream.
    exhausted: bool,
    /// A result that did not fit into the caller's buffer.
    pub(crate) ready: Option<Wiped>,
}

const BLOCK: usize = 16;
/// Bytes that are sent in one request of a chain.
const PIECE_BYTES: usize = 8 << 20;

impl Cipher {
    /// Begins.
    pub(crate) fn begin(usable: Usable, direction: Direction) -> Self {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "a mechanism that is not known to chain is collected"
        )]
        let chain = match usable.row.mechanism {
            Mechanism::AesEcb => Chain::Blocks,
            Mechanism::AesCbc => Chain::Cbc { padded: false },
            Mechanism::AesCbcPad => Chain::Cbc { padded: true },
            Mechanism::AesCtr => Chain::Counter,
            _ => Chain::Collected,
        };
        let waiting = Wiped::default();
        Self { usable, direction, chain, waiting, in_parts: false, exhausted: false, ready: None }
    }

    /// Returns how many bytes a whole message gives: exactly when it is encrypted, at most when it is decrypted.
    pub(crate) fn whole_bytes(&self, data: usize) -> usize {
        let blocks = |unit: usize| data.checked_div(unit).unwrap_or(0).saturating_mul(unit);
        let encrypts = self.direction == Direction::Encrypt;
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "what is no mode of AES here is one of RSA, whose output is at most a modulus"
        )]
        match self.usable.row.mechanism {
            Mechanism::AesEcb | Mechanism::AesCbc | Mechanism::AesCtr => data,
            Mechanism::AesCbcPad if encrypts => blocks(BLOCK).saturating_add(BLOCK),
            Mechanism::AesGcm if encrypts => data.saturating_add(self.tag_bytes()),
            Mechanism::AesGcm => data.saturating_sub(self.tag_bytes()),
            Mechanism::AesKeyWrap if encrypts => data.saturating_add(8),
            Mechanism::AesKeyWrapPad | Mechanism::AesKeyWrapKwp if encrypts => {
                data.div_ceil(8).saturating_mul(8).saturating_add(8)
            }
            Mechanism::AesKeyWrap | Mechanism::AesKeyWrapPad | Mechanism::AesKeyWrapKwp => {
                data.saturating_sub(8)
            }
            Mechanism::AesCbcPad => data,
            _ => self.usable.facts.modulus_bytes,
        }
    }

    /// Whether [`Self::whole_bytes`] is exact.
    pub(crate) fn is_exact(&self) -> bool {
        self.direction == Direction::Encrypt
    }

    fn tag_bytes(&self) -> usize {
        match &self.usable.mechanism.parameter {
            Some(Parameter::Gcm(gcm)) => usize::try_from(gcm.tag_bits / 8).unwrap_or(0),
            Some(_) | None => 0,
        }
    }

    /// Works on a whole message.
    ///
    /// # Errors
    /// The code of the cause.
    pub(crate) fn whole(&mut self, library: &Library, data: Bytes) -> Result<Wiped> {
        self.usable.check_confirmed()?;
        if data.len() <= COLLECTED_BYTES_MAX {
            return self.send(library, data, Part::Whole);
        }
        if self.chain == Chain::Collected {
            return Err(Code::DATA_LEN_RANGE);
        }
        let mut output = self.part(library, &data)?;
        output.extend_from_slice(&self.last(library)?);
        Ok(output)
    }

    /// Returns how many bytes a part gives, exactly.
    pub(crate) fn part_bytes(&self, data: usize) -> usize {
        if self.chain == Chain::Collected {
            return 0;
        }
        let all = self.waiting.len().saturating_add(data);
        let held =
            self.chain == Chain::Cbc { padded: true } && self.direction == Direction::Decrypt;
        let all = if held { all.saturating_sub(1) } else { all };
        all & !(BLOCK - 1)
    }

    /// Works on a part.
    ///
    /// # Errors
    /// The code of the cause.
    pub(crate) fn part(&mut self, library: &Library, data: &[u8]) -> Result<Wiped> {
        self.usable.check_confirmed()?;
        self.in_parts = true;
        let mut output = Wiped::from(Vec::new());
        if self.chain == Chain::Collected {
            collect(&mut self.waiting, data)?;
            return Ok(output);
        }
        // In pieces, so that a large part of the caller's is no larger message than the wire allows.
        for piece in data.chunks(PIECE_BYTES) {
            let whole = self.part_bytes(piece.len());
            self.waiting.extend_from_slice(piece);
            let rest = self.waiting.split_off(whole);
            let ready = take(&mut self.waiting);
            *self.waiting = rest;
            if !ready.is_empty() {
                output.extend_from_slice(&self.send(library, ready, Part::Middle)?);
            }
        }
        Ok(output)
    }

    /// Returns how many bytes the end gives: exactly when it encrypts, at most when it decrypts.
    pub(crate) fn last_bytes(&self) -> usize {
        match self.chain {
            Chain::Collected => self.whole_bytes(self.waiting.len()),
            Chain::Blocks | Chain::Cbc { padded: false } => 0,
            Chain::Cbc { padded: true } => BLOCK,
            Chain::Counter => self.waiting.len(),
        }
    }

    /// Ends.
    ///
    /// # Errors
    /// `CKR_DATA_LEN_RANGE` if a block is not whole, or the code of another cause.
    pub(crate) fn last(&mut self, library: &Library) -> Result<Wiped> {
        self.usable.check_confirmed()?;
        let data = take(&mut self.waiting);
        match self.chain {
            Chain::Blocks | Chain::Cbc { padded: false } if data.is_empty() => Ok(Wiped::default()),
            Chain::Blocks | Chain::Cbc { padded: false } => Err(match self.direction {
                Direction::Encrypt => Code::DATA_LEN_RANGE,
                Direction::Decrypt => Code(ck::CKR_ENCRYPTED_DATA_LEN_RANGE),
            }),
            Chain::Counter if data.is_empty() => Ok(Wiped::default()),
            Chain::Counter | Chain::Cbc { padded: true } => self.send(library, data, Part::Last),
            Chain::Collected => self.send(library, data, Part::Whole),
        }
    }

    fn send(&mut self, library: &Library, data: Bytes, part: Part) -> Result<Wiped> {
        if self.exhausted && !data.is_empty() {
            return Err(Code::DATA_LEN_RANGE);
        }
        let operation = Operation {
            key: Some(self.usable.key.clone()),
            mechanism: Some(self.usable.mechanism.clone()),
            data: data.clone(),
            part: part as u32,
            state: Bytes::new(),
            password: self.usable.password(),
        };
        let answer = match self.direction {
            Direction::Encrypt => library.call(Ask::Encrypt(operation))?,
            Direction::Decrypt => library.call(Ask::Decrypt(operation))?,
        };
        let Answer::Data(answer) = answer else { return unexpected() };
        if part == Part::Middle {
            let ciphertext = match self.direction {
                Direction::Encrypt => &answer.data,
                Direction::Decrypt => &data,
            };
            self.exhausted |= !advance(self.usable.mechanism.parameter.as_mut(), ciphertext);
        }
        // One copy into memory that is wiped; the message's own is freed by the caller of the wire.
        Ok(Wiped::from(answer.data.to_vec()))
    }
}

/// Moves the chaining value on over a part of ciphertext in whole blocks. Returns whether more may follow: a counter that would begin
/// anew has come to its end.
fn advance(parameter: Option<&mut Parameter>, ciphertext: &[u8]) -> bool {
    match parameter {
        Some(Parameter::Iv(iv)) => {
            if let Some(last) = ciphertext.last_chunk::<BLOCK>() {
                *iv = last.to_vec();
            }
        }
        Some(Parameter::Counter(counter)) => {
            if let Ok(block) = <[u8; BLOCK]>::try_from(counter.block.as_slice()) {
                let blocks = ciphertext.len().checked_div(BLOCK).unwrap_or(0) as u128;
                let value = u128::from_be_bytes(block);
                // Only so many low bits count (PKCS#11 3.2 §6.13.3); the HSM refuses a counter that wraps within a part, by the same rule.
                let mask = match u32::try_from(counter.bits) {
                    Ok(bits) if bits < 128 => (1_u128 << bits).wrapping_sub(1),
                    Ok(_) | Err(_) => u128::MAX,
                };
                let left = mask.wrapping_sub(value & mask);
                let next = (value & !mask) | (value.wrapping_add(blocks) & mask);
                counter.block = next.to_be_bytes().to_vec();
                return blocks <= left;
            }
        }
        Some(_) | None => {}
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use casemate_protocol::messages::Counter;

    #[test]
    fn chaining_values_move_on() {
        let mut iv = Parameter::Iv(vec![0; 16]);
        let ciphertext: Vec<u8> = (0..32).collect();
        assert!(advance(Some(&mut iv), &ciphertext));
        assert!(iv == Parameter::Iv((16..32).collect()));

        let block = |value: u128| value.to_be_bytes().to_vec();
        let counted = |bits, from, blocks| {
            let mut counter = Parameter::Counter(Counter { bits, block: block(from) });
            let goes_on = advance(Some(&mut counter), &vec![0; blocks * BLOCK]);
            (counter, goes_on)
        };
        let expected = |bits, value, goes_on| {
            (Parameter::Counter(Counter { bits, block: block(value) }), goes_on)
        };
        assert!(counted(128, 41, 1) == expected(128, 42, true));
        assert!(counted(128, u128::MAX - 1, 1) == expected(128, u128::MAX, true));
        // At its end the counter would begin anew, and the key stream with it: no block may follow.
        assert!(counted(128, u128::MAX, 1) == expected(128, 0, false));
        assert!(counted(8, (7 << 8) | 0xfe, 1) == expected(8, (7 << 8) | 0xff, true));
        assert!(counted(8, (7 << 8) | 0xff, 1) == expected(8, 7 << 8, false));
        assert!(!counted(8, 0, 256).1);
    }
}
