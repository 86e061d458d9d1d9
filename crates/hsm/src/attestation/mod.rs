//! What a machine must run for its HSM to be let in by itself, and whether a TPM says that it does.
//!
//! The admins name good machines by the registers (PCRs) of their TPMs, and the authority that certifies attestation keys. A module
//! that asks to join is given a nonce and the numbers of the registers; it answers with its TPM's quote over them, bound to the module's
//! keys and the nonce. Each HSM checks the quote again when the admission is applied, so a member that was taken over lets no other
//! machine in. The nonce alone, which says that the quote is of now, is the word of the member that drew it.

mod quote;

use casemate_crypto::digest;
use casemate_protocol::canonical::{CanonicalError, Reader, Writer};
use casemate_protocol::messages::{Evidence, JoinRequest, Measurements, Register, Registers};
use casemate_protocol::{Error, statements};

use crate::entropy::Time;
use crate::lifecycle::certificates;
use quote::Quote;

/// Registers of a TPM.
const REGISTERS: u32 = 24;
/// Kinds of machines that may be good at one time.
const GOOD_MAX: usize = 16;
/// Bytes of what a TPM signs: far more than any does.
const QUOTED_BYTES_MAX: usize = 2_048;
/// Bytes of an ECDSA signature, DER, over a curve of at most 521 bits.
const SIGNATURE_BYTES_MAX: usize = 144;
const CERTIFICATE_BYTES_MAX: usize = 8_192;
/// Bytes of a nonce.
pub(crate) const NONCE_BYTES: usize = 32;

/// Whether evidence is as long as any TPM's may be: it is kept, and replicated.
pub(crate) fn is_bounded(evidence: &Evidence) -> bool {
    evidence.nonce.len() == NONCE_BYTES
        && evidence.quoted.len() <= QUOTED_BYTES_MAX
        && evidence.signature.len() <= SIGNATURE_BYTES_MAX
        && evidence.certificate.len() <= CERTIFICATE_BYTES_MAX
}

/// Which machines are good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoodMachines {
    /// The certificate of the authority for attestation keys, DER.
    authority: Vec<u8>,
    /// The numbers of the registers that count, ascending.
    registers: Vec<u8>,
    /// What they hold, for each kind of machine.
    good: Vec<Vec<[u8; 32]>>,
}

impl GoodMachines {
    /// Reads what an admin asks for.
    ///
    /// # Errors
    /// [`Error::SettingInvalid`] if it makes no sense, or the authority is none.
    pub(crate) fn new(asked: &Measurements, now: Time) -> Result<Self, Error> {
        certificates::check_authority(&asked.authority, now)?;
        Self::read(asked).ok_or(Error::SettingInvalid)
    }

    fn read(asked: &Measurements) -> Option<Self> {
        let numbers = |machine: &Registers| -> Option<Vec<u8>> {
            let known = |register: &Register| {
                u8::try_from(register.index).ok().filter(|_| register.index < REGISTERS)
            };
            machine.registers.iter().map(known).collect()
        };
        let registers = numbers(asked.good.first()?)?;
        let ascending = registers.is_sorted_by(|one, next| one < next);
        if registers.is_empty() || !ascending || asked.good.len() > GOOD_MAX {
            return None;
        }
        let values = |machine: &Registers| -> Option<Vec<[u8; 32]>> {
            // A machine without one of the registers could hold anything there.
            numbers(machine).filter(|found| *found == registers)?;
            let value = |register: &Register| register.value.as_slice().try_into().ok();
            machine.registers.iter().map(value).collect()
        };
        let good = asked.good.iter().map(values).collect::<Option<_>>()?;
        Some(Self { authority: asked.authority.clone(), registers, good })
    }

    /// Returns the numbers of the registers that a quote is to cover.
    pub(crate) fn registers(&self) -> Vec<u32> {
        self.registers.iter().copied().map(u32::from).collect()
    }

    /// Checks that the evidence of a module is of a good machine, and of this module.
    ///
    /// # Errors
    /// [`Error::EvidenceRefused`].
    pub(crate) fn check(&self, request: &JoinRequest, now: Time) -> Result<(), Error> {
        let evidence = request.evidence.as_ref().ok_or(Error::EvidenceRefused)?;
        if self.is_shown_by(evidence, request, now) { Ok(()) } else { Err(Error::EvidenceRefused) }
    }

    fn is_shown_by(&self, evidence: &Evidence, request: &JoinRequest, now: Time) -> bool {
        let signed = certificates::check_signature_under(
            &self.authority,
            &evidence.certificate,
            (&evidence.quoted, &evidence.signature),
            now,
        );
        let Some(quote) = Quote::read(&evidence.quoted).filter(|_| signed.is_ok()) else {
            return false;
        };
        let bound = digest::sha256(&[&statements::attestation(request, &evidence.nonce)]);
        let is_good = |values: &Vec<[u8; 32]>| {
            let all: Vec<&[u8]> = values.iter().map(<[u8; 32]>::as_slice).collect();
            quote.registers_sha256 == digest::sha256(&all)
        };
        quote.bound_to == bound
            && quote.registers == self.registers
            && self.good.iter().any(is_good)
    }

    /// Writes them.
    pub(crate) fn encode(&self, writer: &mut Writer) {
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        writer.bytes(&self.authority).bytes(&self.registers).u32(count(self.good.len()));
        for value in self.good.iter().flatten() {
            writer.fixed(value);
        }
    }

    /// Reads what [`GoodMachines::encode`] wrote.
    ///
    /// # Errors
    /// [`CanonicalError`].
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        let (authority, registers) = (reader.bytes()?.to_vec(), reader.bytes()?.to_vec());
        let machine = |reader: &mut Reader<'_>| {
            registers.iter().map(|_register| reader.fixed()).collect::<Result<Vec<_>, _>>()
        };
        let good = (0..reader.u32()?).map(|_| machine(reader)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { authority, registers, good })
    }
}
