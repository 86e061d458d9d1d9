//! What the fuzzer's bytes mean: numbers, lengths and buffers.

use std::ptr;

use cryptoki_sys as ck;

/// Bytes that are read from the front; behind the end there are zeros.
pub(crate) struct Input<'a>(&'a [u8]);

/// No buffer is longer: nothing is found by filling memory.
const BUFFER_BYTES_MAX: usize = 2048;

impl<'a> Input<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number: small, one of the edges, or any of sixteen bits.
    pub(crate) fn number(&mut self) -> ck::CK_ULONG {
        match self.byte() {
            255 => ck::CK_ULONG::MAX,
            254 => ck::CK_ULONG::MAX / 2,
            253 => 1 << 32,
            252 => (ck::CK_ULONG::from(self.byte()) << 8) | ck::CK_ULONG::from(self.byte()),
            small => ck::CK_ULONG::from(small),
        }
    }

    /// A buffer to be read: as many bytes as it says, from the input as far as there are.
    pub(crate) fn bytes(&mut self) -> Vec<u8> {
        let length = usize::try_from(self.number()).unwrap_or(usize::MAX).min(BUFFER_BYTES_MAX);
        let (mut bytes, here) = (vec![0; length], length.min(self.0.len()));
        let (taken, rest) = self.0.split_at(here);
        bytes[..here].copy_from_slice(taken);
        self.0 = rest;
        bytes
    }

    /// An argument to be read: a buffer of the length that is told, or NULL with any length.
    pub(crate) fn readable(&mut self) -> Readable {
        if self.byte() == 7 {
            return Readable { bytes: None, length: self.number() };
        }
        let bytes = self.bytes();
        let length = ck::CK_ULONG::try_from(bytes.len()).unwrap_or(0);
        Readable { bytes: Some(bytes), length }
    }
}

pub(crate) struct Readable {
    bytes: Option<Vec<u8>>,
    pub(crate) length: ck::CK_ULONG,
}

impl Readable {
    pub(crate) fn pointer(&mut self) -> *mut u8 {
        self.bytes.as_mut().map_or(ptr::null_mut(), Vec::as_mut_ptr)
    }
}

/// What lies behind a room and must stay as it is.
const GUARD: [u8; 32] = [0xa5; 32];

/// Room for an output, or NULL, with guards behind it.
pub(crate) struct Room {
    memory: Option<Vec<u8>>,
    given: usize,
    pub(crate) length: ck::CK_ULONG,
}

impl Room {
    pub(crate) fn new(input: &mut Input<'_>) -> Self {
        let null = input.byte() == 7;
        let given = usize::try_from(input.number()).unwrap_or(usize::MAX).min(BUFFER_BYTES_MAX);
        let memory = (!null).then(|| [&vec![0; given][..], &GUARD].concat());
        Self { memory, given, length: ck::CK_ULONG::try_from(given).unwrap_or(0) }
    }

    pub(crate) fn pointer(&mut self) -> *mut u8 {
        self.memory.as_mut().map_or(ptr::null_mut(), Vec::as_mut_ptr)
    }

    pub(crate) fn check(&self, name: &str, code: ck::CK_RV) {
        let Some(memory) = &self.memory else { return };
        assert_eq!(memory[self.given..], GUARD, "{name} wrote beyond its room");
        let said = usize::try_from(self.length).unwrap_or(usize::MAX);
        assert!(code != ck::CKR_OK || said <= self.given, "{name} says that it wrote {said} bytes");
    }
}
