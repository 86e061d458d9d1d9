//! Attributes between C and the wire.
//!
//! `CK_ULONG` and `CK_BBOOL` have the caller's size and order; on the wire a number is 8 bytes, big-endian, whatever the machine
//! ([`casemate_protocol::attributes::ValueForm`]). Values of attributes that Casemate does not know go through as
//! they are: the HSM says which it is that it does not know.

use casemate_protocol::attributes::ValueForm;
use casemate_protocol::messages::AttributeAnswer;
use casemate_protocol::{Attribute, AttributeType, Error, Template, limits};
use cryptoki_sys as ck;
use prost::Message as _;

use crate::abi;
use crate::code::{Code, Result};

/// Attributes in a template of a caller; a longer one is a wrong length, not a template.
const ENTRIES_MAX: ck::CK_ULONG = 4_096;
const ULONG_BYTES: usize = size_of::<ck::CK_ULONG>();
// Numbers go through as they are; a platform with a shorter `CK_ULONG` needs them extended.
const _: () = assert!(ULONG_BYTES == 8);

fn form(number: u64) -> ValueForm {
    AttributeType::from_number(number).map_or(ValueForm::Bytes, |known| known.row().form)
}

/// Reads a template.
///
/// # Errors
/// `CKR_ARGUMENTS_BAD` for a NULL or impossible template, `CKR_ATTRIBUTE_VALUE_INVALID` for such a value.
///
/// # Safety
/// The caller's promise ([`crate::abi`]), for the attributes and for the values that they point at.
pub(crate) unsafe fn read(
    pointer: *const ck::CK_ATTRIBUTE,
    count: ck::CK_ULONG,
) -> Result<Template> {
    if count > ENTRIES_MAX {
        return Err(Code::ARGUMENTS_BAD);
    }
    // SAFETY: the caller's promise.
    let entries = unsafe { abi::slice(pointer, count) }?;
    let mut attributes = Vec::with_capacity(entries.len());
    for entry in entries {
        // SAFETY: the caller's promise.
        let value = unsafe { read_value(entry) }?;
        attributes.push(Attribute { number: entry.type_, value });
    }
    Ok(Template { attributes })
}

unsafe fn read_value(entry: &ck::CK_ATTRIBUTE) -> Result<Vec<u8>> {
    let invalid = Code::ATTRIBUTE_VALUE_INVALID;
    if entry.ulValueLen > limits::OBJECT_BYTES_MAX as ck::CK_ULONG {
        return Err(invalid);
    }
    let form = form(entry.type_);
    if form == ValueForm::Template {
        let inner = entry.pValue.cast::<ck::CK_ATTRIBUTE>();
        let size = size_of::<ck::CK_ATTRIBUTE>() as ck::CK_ULONG;
        let count = entry.ulValueLen.checked_div(size).unwrap_or(0);
        if count.saturating_mul(size) != entry.ulValueLen {
            return Err(invalid);
        }
        // SAFETY: the caller's promise; a template holds templates one deep, which the wire's check sees to.
        return unsafe { read_inner(inner, count) }.map(|inner| inner.encode_to_vec());
    }
    let bytes = entry.pValue.cast::<u8>().cast_const();
    // SAFETY: the caller's promise.
    let bytes = unsafe { abi::slice(bytes, entry.ulValueLen) }
        .map_err(|code| code.instead_of(Code::ARGUMENTS_BAD, invalid.0))?;
    match form {
        ValueForm::Number if bytes.len() == ULONG_BYTES => Ok(numbers_to_wire(bytes)),
        ValueForm::Mechanisms if bytes.len() % ULONG_BYTES == 0 => Ok(numbers_to_wire(bytes)),
        ValueForm::Number | ValueForm::Mechanisms => Err(invalid),
        ValueForm::Flag
        | ValueForm::Bytes
        | ValueForm::Text
        | ValueForm::Date
        | ValueForm::BigInteger
        | ValueForm::Template => Ok(bytes.to_vec()),
    }
}

/// Reads a template inside a template, whose own values are no templates.
unsafe fn read_inner(pointer: *const ck::CK_ATTRIBUTE, count: ck::CK_ULONG) -> Result<Template> {
    let invalid = Code::ATTRIBUTE_VALUE_INVALID;
    // SAFETY: the caller's promise.
    let entries = unsafe { abi::slice(pointer, count) }
        .map_err(|code| code.instead_of(Code::ARGUMENTS_BAD, invalid.0))?;
    let mut attributes = Vec::with_capacity(entries.len());
    for entry in entries {
        if form(entry.type_) == ValueForm::Template {
            return Err(invalid);
        }
        // SAFETY: the caller's promise.
        let value = unsafe { read_value(entry) }?;
        attributes.push(Attribute { number: entry.type_, value });
    }
    Ok(Template { attributes })
}

fn numbers_to_wire(bytes: &[u8]) -> Vec<u8> {
    let number = |chunk: &[u8]| {
        let mut native = [0; ULONG_BYTES];
        native.copy_from_slice(chunk);
        ck::CK_ULONG::from_ne_bytes(native).to_be_bytes()
    };
    bytes.chunks_exact(ULONG_BYTES).flat_map(number).collect()
}

fn numbers_from_wire(bytes: &[u8]) -> Vec<u8> {
    let number = |chunk: &[u8]| {
        let mut wire = [0; 8];
        wire.copy_from_slice(chunk);
        ck::CK_ULONG::from_be_bytes(wire).to_ne_bytes()
    };
    bytes.chunks_exact(8).flat_map(number).collect()
}

/// A place that a caller gave for the value of an attribute.
pub(crate) struct Wanted<'a>(&'a mut [ck::CK_ATTRIBUTE]);

impl<'a> Wanted<'a> {
    /// Takes the caller's template.
    ///
    /// # Errors
    /// `CKR_ARGUMENTS_BAD`.
    ///
    /// # Safety
    /// The caller's promise, for the attributes and for the buffers that they point at.
    pub(crate) unsafe fn new(pointer: *mut ck::CK_ATTRIBUTE, count: ck::CK_ULONG) -> Result<Self> {
        if count > ENTRIES_MAX {
            return Err(Code::ARGUMENTS_BAD);
        }
        // SAFETY: the caller's promise.
        unsafe { abi::slice_mut(pointer, count) }.map(Self)
    }

    /// Returns the numbers that are asked for.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.0.iter().map(|entry| entry.type_).collect()
    }

    /// Writes answers, which are in the order of the numbers.
    ///
    /// # Errors
    /// Of all faults one, after every attribute was worked on (PKCS#11 3.2 §5.7.5).
    pub(crate) fn write(self, answers: &[AttributeAnswer]) -> Result<()> {
        let mut outcome = Ok(());
        for (entry, answer) in self.0.iter_mut().zip(answers) {
            let written = match answer.error {
                Some(error) => Err(Code::from(Error::from(error))),
                // SAFETY: `new`'s caller promised it for every buffer of the template.
                None => unsafe { write_value(entry, &answer.value) },
            };
            if let Err(code) = written {
                entry.ulValueLen = ck::CK_UNAVAILABLE_INFORMATION;
                outcome = outcome.and(Err(code));
            }
        }
        outcome
    }
}

unsafe fn write_value(entry: &mut ck::CK_ATTRIBUTE, wire: &[u8]) -> Result<()> {
    match form(entry.type_) {
        ValueForm::Template => {
            let template = Template::decode(wire);
            let template = template.map_err(|_error: prost::DecodeError| Code::DEVICE_ERROR)?;
            // SAFETY: the caller's promise.
            unsafe { write_template(entry, &template) }
        }
        ValueForm::Number | ValueForm::Mechanisms => {
            // SAFETY: the caller's promise.
            unsafe { write_bytes(entry, &numbers_from_wire(wire)) }
        }
        ValueForm::Flag
        | ValueForm::Bytes
        | ValueForm::Text
        | ValueForm::Date
        | ValueForm::BigInteger => {
            // SAFETY: the caller's promise.
            unsafe { write_bytes(entry, wire) }
        }
    }
}

unsafe fn write_bytes(entry: &mut ck::CK_ATTRIBUTE, bytes: &[u8]) -> Result<()> {
    if !entry.pValue.is_null() {
        if entry.ulValueLen < bytes.len() as ck::CK_ULONG {
            return Err(Code::BUFFER_TOO_SMALL);
        }
        // SAFETY: the buffer is not null and has room, as the caller promised; `bytes` is memory of our own.
        unsafe { entry.pValue.cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }
    entry.ulValueLen = bytes.len() as ck::CK_ULONG;
    Ok(())
}

/// A template is an array of attributes, whose own buffers the caller gives in a second round.
unsafe fn write_template(entry: &mut ck::CK_ATTRIBUTE, template: &Template) -> Result<()> {
    let size = size_of::<ck::CK_ATTRIBUTE>();
    let bytes = template.attributes.len().saturating_mul(size) as ck::CK_ULONG;
    if !entry.pValue.is_null() {
        if entry.ulValueLen < bytes {
            return Err(Code::BUFFER_TOO_SMALL);
        }
        let count = template.attributes.len() as ck::CK_ULONG;
        // SAFETY: the buffer has room for so many attributes, as the caller promised.
        let inner = unsafe { abi::slice_mut(entry.pValue.cast::<ck::CK_ATTRIBUTE>(), count) }?;
        for (place, attribute) in inner.iter_mut().zip(&template.attributes) {
            place.type_ = attribute.number;
            // SAFETY: the caller's promise.
            unsafe { write_value(place, &attribute.value) }?;
        }
    }
    entry.ulValueLen = bytes;
    Ok(())
}
