//! Templates in C's form.

use std::ffi::c_void;
use std::ptr;

use cryptoki_sys as ck;

use crate::call::ulong;

/// One attribute of a template.
#[derive(Clone, Debug)]
pub enum Attribute<'a> {
    /// A `CK_BBOOL`.
    Flag(ck::CK_ATTRIBUTE_TYPE, bool),
    /// A `CK_ULONG`.
    Number(ck::CK_ATTRIBUTE_TYPE, ck::CK_ULONG),
    /// A byte array or a string.
    Bytes(ck::CK_ATTRIBUTE_TYPE, &'a [u8]),
}

static TRUE: ck::CK_BBOOL = ck::CK_TRUE;
static FALSE: ck::CK_BBOOL = ck::CK_FALSE;

/// The entries of a template; they point into the attributes, which must outlive them.
pub(crate) fn entries(attributes: &[Attribute<'_>]) -> Vec<ck::CK_ATTRIBUTE> {
    attributes.iter().map(entry).collect()
}

fn entry(attribute: &Attribute<'_>) -> ck::CK_ATTRIBUTE {
    let (type_, value, length): (_, *const c_void, _) = match attribute {
        Attribute::Flag(type_, true) => (*type_, (&raw const TRUE).cast(), 1),
        Attribute::Flag(type_, false) => (*type_, (&raw const FALSE).cast(), 1),
        Attribute::Number(type_, value) => {
            (*type_, ptr::from_ref(value).cast(), size_of::<ck::CK_ULONG>())
        }
        Attribute::Bytes(type_, value) => (*type_, value.as_ptr().cast(), value.len()),
    };
    // The structure has no const, but what a template brings is only read.
    ck::CK_ATTRIBUTE { type_, pValue: value.cast_mut(), ulValueLen: ulong(length) }
}
