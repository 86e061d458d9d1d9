//! Encryption of messages, each with its own IV (PKCS#11 3.2 §5.10): AES-GCM, whose IV the module can make.

use bytes::Bytes;
use casemate_crypto::Wiped;
use casemate_protocol::messages::{Answer, Ask, Gcm, MechanismUse, Operation, Parameter};
use cryptoki_sys as ck;

use super::{COLLECTED_BYTES_MAX, Usable};
use crate::code::{Code, Result};
use crate::library::{Library, unexpected};

/// An encryption or decryption of messages that was begun.
pub(crate) struct Message {
    pub(crate) usable: Usable,
}

/// What came of one message.
pub(crate) struct Sealed {
    pub(crate) iv: Bytes,
    pub(crate) ciphertext: Bytes,
    pub(crate) tag: Bytes,
}

/// Bytes of an IV that the module makes (SP 800-38D §8.2.2).
pub(crate) const MADE_IV_BYTES: usize = 12;

impl Message {
    fn operation(&self, gcm: Gcm, data: Bytes) -> Result<Operation> {
        if data.len() > COLLECTED_BYTES_MAX {
            return Err(Code::DATA_LEN_RANGE);
        }
        let mechanism = self.usable.row.mechanism.number();
        let mechanism = MechanismUse { mechanism, parameter: Some(Parameter::Gcm(gcm)) };
        let key = Some(self.usable.key.clone());
        Ok(Operation { key, mechanism: Some(mechanism), data, ..Operation::default() })
    }

    /// Encrypts a message. With an empty IV the module makes one.
    ///
    /// # Errors
    /// The code of the cause.
    pub(crate) fn encrypt(&self, library: &Library, gcm: Gcm, plaintext: Bytes) -> Result<Sealed> {
        let length = plaintext.len();
        let given = Bytes::from(gcm.iv.clone());
        let operation = self.operation(gcm, plaintext)?;
        let Answer::Data(mut answer) = library.call(Ask::Encrypt(operation))? else {
            return unexpected();
        };
        if answer.data.len() < length {
            return unexpected();
        }
        let tag = answer.data.split_off(length);
        let iv = if given.is_empty() { answer.iv } else { given };
        Ok(Sealed { iv, ciphertext: answer.data, tag })
    }

    /// Decrypts a message with its tag behind it.
    ///
    /// # Errors
    /// `CKR_AEAD_DECRYPT_FAILED` if it is not authentic, or the code of another cause.
    pub(crate) fn decrypt(&self, library: &Library, gcm: Gcm, ciphertext: Bytes) -> Result<Wiped> {
        let operation = self.operation(gcm, ciphertext)?;
        let failed = ck::CKR_AEAD_DECRYPT_FAILED;
        let answer = library
            .call(Ask::Decrypt(operation))
            .map_err(|code| code.instead_of(Code(ck::CKR_ENCRYPTED_DATA_INVALID), failed))?;
        let Answer::Data(answer) = answer else { return unexpected() };
        Ok(Wiped::from(answer.data.to_vec()))
    }
}
