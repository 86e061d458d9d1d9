//! What both ends of an attestation know of TPM 2.0: numbers, and how its structures are read (TPM 2.0 Library, Part 2). All of
//! them are big-endian.

/// `TPM_GENERATED_VALUE`: a TPM's key for attestations signs nothing from outside that begins so.
pub const GENERATED: u32 = 0xff54_4347;
/// `TPM_ST_ATTEST_QUOTE`.
pub const ATTEST_QUOTE: u16 = 0x8018;
/// `TPM_ALG_SHA256`.
pub const SHA256: u16 = 0x000b;
/// `TPM_ALG_ECDSA`.
pub const ECDSA: u16 = 0x0018;

/// Reads structures off the front of bytes; nothing comes when they end too early.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads these.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes so many bytes.
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.0.split_at_checked(length)?;
        self.0 = left;
        Some(taken)
    }

    /// Takes a number of one byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// Takes a number of two bytes.
    pub fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    /// Takes a number of four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// Takes bytes behind their length, a `TPM2B`.
    pub fn sized(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.u16()?);
        self.take(length)
    }
}
