//! Signatures and MACs that were begun, made or verified.

use bytes::Bytes;
use casemate_crypto::Wiped;
use casemate_crypto::digest::Hasher;
use casemate_protocol::messages::{Answer, Ask, Operation, Parameter, Part, Verify};
use casemate_protocol::{KeyType, Mechanism};

use super::digest::crypto_hash;
use super::{COLLECTED_BYTES_MAX, Usable, collect, take};
use crate::code::{Code, Result};
use crate::library::{Library, unexpected};

/// What becomes of the data.
enum Input {
    /// It is hashed here.
    Hash(Box<Hasher>),
    /// It is collected, and goes to the HSM at the end.
    Collected(Wiped),
    /// It goes to the HSM part by part, with the sealed state of the part before (CMAC).
    Chained { waiting: Wiped, state: Bytes },
}

/// Bytes of a CMAC's message that wait before they are sent as a part.
const CHAIN_BYTES: usize = 256 << 10;

/// A signature that was begun.
pub(crate) struct Signature {
    pub(crate) usable: Usable,
    input: Input,
    verifies: bool,
    /// Whether a part came: then only parts and the end may follow.
    pub(crate) in_parts: bool,
    /// The signature that `C_VerifySignatureInit` gave.
    pub(crate) expected: Option<Bytes>,
}

impl Signature {
    /// Begins to sign, or to verify.
    pub(crate) fn begin(usable: Usable, verifies: bool) -> Self {
        let mechanism = usable.row.mechanism;
        let input = match (mechanism.client_hash(), mechanism) {
            (Some(hash), _) => Input::Hash(Box::new(Hasher::new(crypto_hash(hash)))),
            (None, Mechanism::AesCmac | Mechanism::AesCmacGeneral) => {
                Input::Chained { waiting: Wiped::default(), state: Bytes::new() }
            }
            (None, _) => Input::Collected(Wiped::default()),
        };
        Self { usable, input, verifies, in_parts: false, expected: None }
    }

    /// Returns how long the signature will be.
    pub(crate) fn bytes(&self) -> usize {
        if let Some(Parameter::MacLength(length)) = self.usable.mechanism.parameter {
            return usize::try_from(length).unwrap_or(usize::MAX);
        }
        let facts = &self.usable.facts;
        match facts.key_type {
            KeyType::Rsa => facts.modulus_bytes,
            KeyType::Ec | KeyType::EcEdwards | KeyType::EcMontgomery => {
                facts.curve.map_or(0, |curve| curve.field_bytes().saturating_mul(2))
            }
            // FIPS 204, table 2.
            KeyType::MlDsa => match facts.parameter_set {
                1 => 2_420,
                2 => 3_309,
                _ => 4_627,
            },
            KeyType::Aes => 16,
            KeyType::GenericSecret
            | KeyType::HmacSha1
            | KeyType::HmacSha256
            | KeyType::HmacSha384
            | KeyType::HmacSha512
            | KeyType::HmacSha224
            | KeyType::Hkdf
            | KeyType::MlKem => {
                self.usable.row.hash.map_or(0, casemate_protocol::Hash::output_bytes)
            }
        }
    }

    /// Takes more of the message.
    ///
    /// # Errors
    /// The code of the cause.
    pub(crate) fn update(&mut self, library: &Library, data: &[u8]) -> Result<()> {
        match &mut self.input {
            Input::Hash(hasher) => hasher.update(data),
            Input::Collected(collected) => collect(collected, data)?,
            Input::Chained { waiting, .. } => {
                waiting.extend_from_slice(data);
                if waiting.len() >= CHAIN_BYTES {
                    self.send_part(library)?;
                }
            }
        }
        Ok(())
    }

    /// Sends what waits of a CMAC's message, all but what the end must have.
    fn send_part(&mut self, library: &Library) -> Result<()> {
        let Input::Chained { waiting, state } = &mut self.input else { return Ok(()) };
        let whole = waiting.len().saturating_sub(1) & !15;
        let rest = waiting.split_off(whole);
        let part = if state.is_empty() { Part::First } else { Part::Middle };
        let data = take(waiting);
        **waiting = rest;
        let operation = Operation {
            key: Some(self.usable.key.clone()),
            mechanism: Some(self.usable.mechanism.clone()),
            data,
            part: part as u32,
            state: state.clone(),
            ..Operation::default()
        };
        let ask = if self.verifies {
            Ask::Verify(Verify { operation: Some(operation), signature: Bytes::new() })
        } else {
            Ask::Sign(operation)
        };
        let Answer::Data(answer) = library.call(ask)? else { return unexpected() };
        if let Input::Chained { state, .. } = &mut self.input {
            *state = answer.state;
        }
        Ok(())
    }

    fn operation(self, last: &[u8]) -> Result<Operation> {
        let (data, state) = match self.input {
            Input::Hash(mut hasher) => {
                hasher.update(last);
                (Bytes::copy_from_slice(hasher.finish().as_ref()), Bytes::new())
            }
            Input::Collected(collected) if collected.is_empty() => {
                if last.len() > COLLECTED_BYTES_MAX {
                    return Err(Code::DATA_LEN_RANGE);
                }
                (Bytes::copy_from_slice(last), Bytes::new())
            }
            Input::Collected(mut collected) => {
                collect(&mut collected, last)?;
                (take(&mut collected), Bytes::new())
            }
            Input::Chained { mut waiting, state } => {
                if last.len() > COLLECTED_BYTES_MAX {
                    return Err(Code::DATA_LEN_RANGE);
                }
                waiting.extend_from_slice(last);
                (take(&mut waiting), state)
            }
        };
        let part = if state.is_empty() { Part::Whole } else { Part::Last };
        let password = self.usable.password();
        let (key, mechanism) = (Some(self.usable.key), Some(self.usable.mechanism));
        Ok(Operation { key, mechanism, data, part: part as u32, state, password })
    }

    /// Signs, with the last of the message.
    ///
    /// # Errors
    /// The code of the cause.
    pub(crate) fn sign(self, library: &Library, last: &[u8]) -> Result<Bytes> {
        self.usable.check_confirmed()?;
        let Answer::Data(data) = library.call(Ask::Sign(self.operation(last)?))? else {
            return unexpected();
        };
        Ok(data.data)
    }

    /// Verifies, with the last of the message.
    ///
    /// # Errors
    /// `CKR_SIGNATURE_INVALID`, or the code of another cause.
    pub(crate) fn verify(self, library: &Library, last: &[u8], signature: &[u8]) -> Result<()> {
        let signature = Bytes::copy_from_slice(signature);
        let operation = Some(self.operation(last)?);
        let Answer::Done(_) = library.call(Ask::Verify(Verify { operation, signature }))? else {
            return unexpected();
        };
        Ok(())
    }
}
