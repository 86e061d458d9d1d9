//! What a TPM signs when it is asked for a quote: `TPMS_ATTEST` (TPM 2.0 Library, Part 2, 10.12).

use casemate_protocol::tpm::{ATTEST_QUOTE, GENERATED, Reader, SHA256};

/// Bytes of clock, counters and firmware version between `extraData` and what was quoted.
const CLOCK_AND_FIRMWARE_BYTES: usize = 17 + 8;

/// What a quote says.
pub(super) struct Quote {
    /// `extraData`: what it is bound to.
    pub(super) bound_to: [u8; 32],
    /// The numbers of the registers that it covers, ascending, of the SHA-256 bank.
    pub(super) registers: Vec<u8>,
    /// SHA-256 over what they hold, in order.
    pub(super) registers_sha256: [u8; 32],
}

/// The numbers of the bits that are set: bit 0 of byte 0 is register 0.
fn bits(bytes: &[u8]) -> Vec<u8> {
    let is_set = |bit: &u8| {
        let byte = bytes.get(usize::from(bit / 8));
        byte.is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
    };
    (0..=u8::MAX).filter(is_set).collect()
}

impl Quote {
    /// Reads one; none if it is anything else, or of another bank of registers.
    pub(super) fn read(quoted: &[u8]) -> Option<Self> {
        let rest = &mut Reader::new(quoted);
        (rest.u32()? == GENERATED && rest.u16()? == ATTEST_QUOTE).then_some(())?;
        let _signer = rest.sized()?;
        let bound_to = rest.sized()?.try_into().ok()?;
        rest.take(CLOCK_AND_FIRMWARE_BYTES)?;
        // One bank, so that the digest is over nothing else.
        (rest.u32()? == 1 && rest.u16()? == SHA256).then_some(())?;
        let length = usize::from(rest.u8()?);
        let registers = bits(rest.take(length)?);
        let registers_sha256 = rest.sized()?.try_into().ok()?;
        rest.is_empty().then_some(Self { bound_to, registers, registers_sha256 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A quote of registers 0, 7 and 16.
    fn quoted() -> Vec<u8> {
        let mut out = GENERATED.to_be_bytes().to_vec();
        out.extend(ATTEST_QUOTE.to_be_bytes());
        out.extend([0, 2, 9, 9]);
        out.extend([0, 32]);
        out.extend([1; 32]);
        out.extend([0; CLOCK_AND_FIRMWARE_BYTES]);
        out.extend([0, 0, 0, 1, 0, 0x0b, 3, 0b1000_0001, 0, 1]);
        out.extend([0, 32]);
        out.extend([2; 32]);
        out
    }

    #[test]
    fn a_quote_is_read() {
        let quote = Quote::read(&quoted()).unwrap();
        assert_eq!(quote.registers, [0, 7, 16]);
        assert_eq!((quote.bound_to, quote.registers_sha256), ([1; 32], [2; 32]));
    }

    #[test]
    fn one_that_is_cut_or_extended_is_none() {
        let whole = quoted();
        for length in 0..whole.len() {
            assert!(Quote::read(&whole[..length]).is_none(), "{length}");
        }
        assert!(Quote::read(&[&whole[..], &[0]].concat()).is_none());
    }

    #[test]
    fn what_no_tpm_made_or_is_no_quote_or_of_another_bank_is_none() {
        // The magic number, the kind, the count of banks, the algorithm of the bank.
        let bank = 4 + 2 + 4 + 34 + CLOCK_AND_FIRMWARE_BYTES;
        for place in [0, 3, 4, 5, bank + 3, bank + 4, bank + 5] {
            let mut other = quoted();
            other[place] ^= 1;
            assert!(Quote::read(&other).is_none(), "{place}");
        }
    }
}
