//! AES-CMAC (SP 800-38B), also in parts whose state can leave and come back.
//!
//! The library's context cannot be exported, and nothing of a multi-part operation stays in an HSM: so the chain is
//! ours over the library's block cipher. The state between parts is secret (it lets one extend a message):
//! the module seals it.

use zeroize::Zeroize as _;

use super::{BLOCK_BYTES, Key};
use crate::Error;

/// The state between two parts.
#[derive(Clone, Default)]
pub struct CmacState {
    chain: [u8; BLOCK_BYTES],
    /// The last bytes, 0 to 16: the last block is treated in another way, so it waits.
    pending: Vec<u8>,
}

impl Drop for CmacState {
    fn drop(&mut self) {
        self.chain.zeroize();
        self.pending.zeroize();
    }
}

fn double(block: [u8; BLOCK_BYTES]) -> [u8; BLOCK_BYTES] {
    let value = u128::from_be_bytes(block);
    // Multiplication by x in GF(2^128), without a branch on the secret bit.
    let carry = (value >> 127) * 0x87;
    ((value << 1) ^ carry).to_be_bytes()
}

fn xor(a: [u8; BLOCK_BYTES], b: [u8; BLOCK_BYTES]) -> [u8; BLOCK_BYTES] {
    (u128::from_be_bytes(a) ^ u128::from_be_bytes(b)).to_be_bytes()
}

fn block(bytes: &[u8]) -> [u8; BLOCK_BYTES] {
    let mut block = [0; BLOCK_BYTES];
    block.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    block
}

impl CmacState {
    /// Adds a part.
    pub fn update(&mut self, key: &Key, mut part: &[u8]) {
        while !part.is_empty() {
            if self.pending.len() == BLOCK_BYTES {
                self.chain = key.encrypt_block(&xor(self.chain, block(&self.pending)));
                self.pending.clear();
            }
            let room = (BLOCK_BYTES - self.pending.len()).min(part.len());
            let (taken, rest) = part.split_at(room);
            self.pending.extend_from_slice(taken);
            part = rest;
        }
    }

    /// Returns the tag.
    #[must_use]
    pub fn finish(self, key: &Key) -> [u8; BLOCK_BYTES] {
        let k1 = double(key.encrypt_block(&[0; BLOCK_BYTES]));
        let last = if self.pending.len() == BLOCK_BYTES {
            xor(block(&self.pending), k1)
        } else {
            let mut padded = block(&self.pending);
            if let Some(byte) = padded.get_mut(self.pending.len()) {
                *byte = 0x80;
            }
            xor(padded, double(k1))
        };
        key.encrypt_block(&xor(self.chain, last))
    }

    /// Returns the state as bytes, to be sealed.
    #[must_use]
    pub fn export(&self) -> Vec<u8> {
        [&self.chain[..], &self.pending].concat()
    }

    /// Reads a state back.
    ///
    /// # Errors
    /// [`Error::DataLength`].
    pub fn import(bytes: &[u8]) -> Result<Self, Error> {
        let (chain, pending) = bytes.split_first_chunk().ok_or(Error::DataLength)?;
        if pending.len() > BLOCK_BYTES {
            return Err(Error::DataLength);
        }
        Ok(Self { chain: *chain, pending: pending.to_vec() })
    }
}

impl Key {
    /// Computes the CMAC of a message.
    #[must_use]
    pub fn cmac(&self, message: &[u8]) -> [u8; BLOCK_BYTES] {
        let mut state = CmacState::default();
        state.update(self, message);
        state.finish(self)
    }
}
