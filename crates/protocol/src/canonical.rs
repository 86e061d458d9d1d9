//! The one canonical encoder: length-prefixed fields, big-endian numbers.
//!
//! Headers of sealed things, signed statements and digests are over these bytes, so two
//! different lists of fields must never give the same bytes: each variable field carries its length
//! (32 bits), and each fixed one its fixed width. There is one way to write a value, and the reader
//! refuses what is left over.

/// Writes fields in order.
#[derive(Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Starts with a domain, for example `casemate/activation/v1`.
    #[must_use]
    pub fn new(domain: &str) -> Self {
        let mut writer = Self(Vec::with_capacity(256));
        writer.bytes(domain.as_bytes());
        writer
    }

    /// Writes a variable field: 32 bits of length, then the bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        // No field comes near 4 GiB (`limits`); a longer one would be cut by its length and not read back.
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    /// Writes a fixed field, whose length both sides know.
    pub fn fixed<const N: usize>(&mut self, bytes: &[u8; N]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Writes 8 bytes, big-endian.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.fixed(&value.to_be_bytes())
    }

    /// Writes 4 bytes, big-endian.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.fixed(&value.to_be_bytes())
    }

    /// Writes one byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.fixed(&[value])
    }

    /// Returns what was written.
    #[must_use]
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

/// Why bytes are not a canonical encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// A field goes beyond the end.
    #[error("the encoding ends in the middle of a field")]
    Truncated,
    /// Bytes are left after the last field.
    #[error("the encoding goes on after its last field")]
    Trailing,
    /// It begins with another domain or version.
    #[error("the encoding has another purpose or version")]
    Domain,
    /// A field has a value that its type does not have.
    #[error("a field has a value that does not exist")]
    Value,
}

/// Reads fields in the order in which they were written.
#[derive(Clone)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Starts to read, and checks the domain.
    ///
    /// # Errors
    /// [`CanonicalError::Domain`] if another one is there.
    pub fn new(bytes: &'a [u8], domain: &str) -> Result<Self, CanonicalError> {
        let mut reader = Self(bytes);
        if reader.bytes()? == domain.as_bytes() { Ok(reader) } else { Err(CanonicalError::Domain) }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], CanonicalError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(CanonicalError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Reads a variable field.
    ///
    /// # Errors
    /// [`CanonicalError::Truncated`].
    pub fn bytes(&mut self) -> Result<&'a [u8], CanonicalError> {
        let length = usize::try_from(self.u32()?)
            .map_err(|_error: std::num::TryFromIntError| CanonicalError::Truncated)?;
        self.take(length)
    }

    /// Reads a fixed field.
    ///
    /// # Errors
    /// [`CanonicalError::Truncated`].
    pub fn fixed<const N: usize>(&mut self) -> Result<[u8; N], CanonicalError> {
        self.take(N)?
            .try_into()
            .map_err(|_error: std::array::TryFromSliceError| CanonicalError::Truncated)
    }

    /// Reads 8 bytes.
    ///
    /// # Errors
    /// [`CanonicalError::Truncated`].
    pub fn u64(&mut self) -> Result<u64, CanonicalError> {
        self.fixed().map(u64::from_be_bytes)
    }

    /// Reads 4 bytes.
    ///
    /// # Errors
    /// [`CanonicalError::Truncated`].
    pub fn u32(&mut self) -> Result<u32, CanonicalError> {
        self.fixed().map(u32::from_be_bytes)
    }

    /// Reads one byte.
    ///
    /// # Errors
    /// [`CanonicalError::Truncated`].
    pub fn u8(&mut self) -> Result<u8, CanonicalError> {
        self.fixed().map(|[byte]| byte)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`CanonicalError::Trailing`] if something is left.
    pub const fn finish(self) -> Result<(), CanonicalError> {
        if self.0.is_empty() { Ok(()) } else { Err(CanonicalError::Trailing) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn what_is_written_is_read(first: Vec<u8>, second: Vec<u8>, number: u64, byte: u8) {
            let written = Writer::new("d").bytes(&first).u64(number).bytes(&second).u8(byte).finish();
            let mut reader = Reader::new(&written, "d").unwrap();
            prop_assert_eq!(reader.bytes().unwrap(), &first[..]);
            prop_assert_eq!(reader.u64().unwrap(), number);
            prop_assert_eq!(reader.bytes().unwrap(), &second[..]);
            prop_assert_eq!(reader.u8().unwrap(), byte);
            prop_assert_eq!(reader.finish(), Ok(()));
        }

        #[test]
        fn different_splits_give_different_bytes(a: Vec<u8>, b: Vec<u8>, c in any::<Vec<u8>>()) {
            let one = Writer::new("d").bytes(&a).bytes(&b).finish();
            let joined = [&a[..], &c[..]].concat();
            let other = Writer::new("d").bytes(&joined).bytes(&b).finish();
            prop_assert!(c.is_empty() || one != other);
        }
    }

    #[test]
    fn damage_is_named() {
        let written = Writer::new("d").u64(7).finish();
        assert!(matches!(Reader::new(&written, "e"), Err(CanonicalError::Domain)));
        let mut reader = Reader::new(&written[..12], "d").unwrap();
        assert_eq!(reader.u64(), Err(CanonicalError::Truncated));
        assert_eq!(Reader::new(&written, "d").unwrap().finish(), Err(CanonicalError::Trailing));
    }
}
