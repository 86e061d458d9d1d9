//! A session, and what applications do in one.

use cryptoki_sys as ck;

use crate::call::{check, function, output, ulong};
use crate::code::Code;
use crate::parameter::Mechanism;
use crate::template::{Attribute, entries};

/// An object, as the module names it.
pub type Handle = ck::CK_OBJECT_HANDLE;

/// A session; one thread uses it at a time, which `&mut self` asserts. It is closed when dropped.
#[derive(Debug)]
pub struct Session {
    list: &'static ck::CK_FUNCTION_LIST_3_2,
    handle: ck::CK_SESSION_HANDLE,
}

/// Pointer and length of bytes that the module only reads.
macro_rules! bytes {
    ($bytes:expr) => {
        ($bytes.as_ptr().cast_mut(), ulong($bytes.len()))
    };
}

impl Session {
    pub(crate) const fn new(
        list: &'static ck::CK_FUNCTION_LIST_3_2,
        handle: ck::CK_SESSION_HANDLE,
    ) -> Self {
        Self { list, handle }
    }

    /// `C_Login` as the user.
    ///
    /// # Errors
    /// What the module answered.
    pub fn log_in(&mut self, pin: &str) -> Result<(), Code> {
        let log_in = function!(self.list, C_Login);
        let (pin, length) = bytes!(pin.as_bytes());
        // SAFETY: the PIN is readable for its length.
        check(unsafe { log_in(self.handle, ck::CKU_USER, pin, length) })
    }

    /// `C_CreateObject`
    ///
    /// # Errors
    /// What the module answered.
    pub fn create(&mut self, template: &[Attribute<'_>]) -> Result<Handle, Code> {
        let create = function!(self.list, C_CreateObject);
        let (mut entries, mut object) = (entries(template), 0);
        let count = ulong(entries.len());
        // SAFETY: the template and the handle live over the call.
        check(unsafe { create(self.handle, entries.as_mut_ptr(), count, &raw mut object) })?;
        Ok(object)
    }

    /// `C_CopyObject`
    ///
    /// # Errors
    /// What the module answered.
    pub fn copy(&mut self, object: Handle, template: &[Attribute<'_>]) -> Result<Handle, Code> {
        let copy = function!(self.list, C_CopyObject);
        let (mut entries, mut made) = (entries(template), 0);
        let count = ulong(entries.len());
        // SAFETY: the template and the handle live over the call.
        check(unsafe { copy(self.handle, object, entries.as_mut_ptr(), count, &raw mut made) })?;
        Ok(made)
    }

    /// `C_DestroyObject`
    ///
    /// # Errors
    /// What the module answered.
    pub fn destroy(&mut self, object: Handle) -> Result<(), Code> {
        let destroy = function!(self.list, C_DestroyObject);
        // SAFETY: two numbers.
        check(unsafe { destroy(self.handle, object) })
    }

    /// `C_GetAttributeValue` of one attribute, which may have up to 64 KiB.
    ///
    /// # Errors
    /// What the module answered.
    pub fn get(
        &mut self,
        object: Handle,
        attribute: ck::CK_ATTRIBUTE_TYPE,
    ) -> Result<Vec<u8>, Code> {
        let get = function!(self.list, C_GetAttributeValue);
        let mut value = vec![0; 1 << 16];
        let mut entry = ck::CK_ATTRIBUTE {
            type_: attribute,
            pValue: value.as_mut_ptr().cast(),
            ulValueLen: ulong(value.len()),
        };
        // SAFETY: the entry has room for as many bytes as it says.
        check(unsafe { get(self.handle, object, &raw mut entry, 1) })?;
        value.truncate(usize::try_from(entry.ulValueLen).unwrap_or(0));
        Ok(value)
    }

    /// `C_SetAttributeValue`
    ///
    /// # Errors
    /// What the module answered.
    pub fn set(&mut self, object: Handle, template: &[Attribute<'_>]) -> Result<(), Code> {
        let set = function!(self.list, C_SetAttributeValue);
        let mut entries = entries(template);
        let count = ulong(entries.len());
        // SAFETY: the template lives over the call.
        check(unsafe { set(self.handle, object, entries.as_mut_ptr(), count) })
    }

    /// `C_GenerateKey`
    ///
    /// # Errors
    /// What the module answered.
    pub fn generate(
        &mut self,
        mechanism: Mechanism<'_>,
        template: &[Attribute<'_>],
    ) -> Result<Handle, Code> {
        let generate = function!(self.list, C_GenerateKey);
        let (mut entries, mut key) = (entries(template), 0);
        let (template, count) = (entries.as_mut_ptr(), ulong(entries.len()));
        // SAFETY: mechanism, template and handle live over the call.
        let code = mechanism
            .with(|it| unsafe { generate(self.handle, it, template, count, &raw mut key) });
        check(code).map(|()| key)
    }

    /// `C_GenerateKeyPair`: the public and the private key.
    ///
    /// # Errors
    /// What the module answered.
    pub fn generate_pair(
        &mut self,
        mechanism: Mechanism<'_>,
        public: &[Attribute<'_>],
        private: &[Attribute<'_>],
    ) -> Result<(Handle, Handle), Code> {
        let generate = function!(self.list, C_GenerateKeyPair);
        let (mut public, mut private) = (entries(public), entries(private));
        let (mut first, mut second) = (0, 0);
        // SAFETY: mechanism, templates and handles live over the call.
        let code = mechanism.with(|it| unsafe {
            generate(
                self.handle,
                it,
                public.as_mut_ptr(),
                ulong(public.len()),
                private.as_mut_ptr(),
                ulong(private.len()),
                &raw mut first,
                &raw mut second,
            )
        });
        check(code).map(|()| (first, second))
    }

    /// `C_SignInit` and `C_Sign`
    ///
    /// # Errors
    /// What the module answered.
    pub fn sign(
        &mut self,
        mechanism: Mechanism<'_>,
        key: Handle,
        data: &[u8],
    ) -> Result<Vec<u8>, Code> {
        let (begin, sign) = (function!(self.list, C_SignInit), function!(self.list, C_Sign));
        // SAFETY: the mechanism lives over the call.
        check(mechanism.with(|it| unsafe { begin(self.handle, it, key) }))?;
        let (data, length) = bytes!(data);
        // SAFETY: data and room are as long as is said.
        output(0, |out, room| unsafe { sign(self.handle, data, length, out, room) })
    }

    /// `C_VerifyInit` and `C_Verify`
    ///
    /// # Errors
    /// What the module answered.
    pub fn verify(
        &mut self,
        mechanism: Mechanism<'_>,
        key: Handle,
        data: &[u8],
        signature: &[u8],
    ) -> Result<(), Code> {
        let (begin, verify) = (function!(self.list, C_VerifyInit), function!(self.list, C_Verify));
        // SAFETY: the mechanism lives over the call.
        check(mechanism.with(|it| unsafe { begin(self.handle, it, key) }))?;
        let ((data, length), (signature, its_length)) = (bytes!(data), bytes!(signature));
        // SAFETY: data and signature are as long as is said.
        check(unsafe { verify(self.handle, data, length, signature, its_length) })
    }

    /// `C_EncryptInit` and `C_Encrypt`
    ///
    /// # Errors
    /// What the module answered.
    pub fn encrypt(
        &mut self,
        mechanism: Mechanism<'_>,
        key: Handle,
        data: &[u8],
    ) -> Result<Vec<u8>, Code> {
        let begin = function!(self.list, C_EncryptInit);
        let encrypt = function!(self.list, C_Encrypt);
        // SAFETY: the mechanism lives over the call.
        check(mechanism.with(|it| unsafe { begin(self.handle, it, key) }))?;
        let (from, length) = bytes!(data);
        // SAFETY: data and room are as long as is said.
        output(data.len(), |out, room| unsafe { encrypt(self.handle, from, length, out, room) })
    }

    /// `C_DecryptInit` and `C_Decrypt`
    ///
    /// # Errors
    /// What the module answered.
    pub fn decrypt(
        &mut self,
        mechanism: Mechanism<'_>,
        key: Handle,
        data: &[u8],
    ) -> Result<Vec<u8>, Code> {
        let begin = function!(self.list, C_DecryptInit);
        let decrypt = function!(self.list, C_Decrypt);
        // SAFETY: the mechanism lives over the call.
        check(mechanism.with(|it| unsafe { begin(self.handle, it, key) }))?;
        let (from, length) = bytes!(data);
        // SAFETY: data and room are as long as is said.
        output(data.len(), |out, room| unsafe { decrypt(self.handle, from, length, out, room) })
    }

    /// `C_WrapKey`
    ///
    /// # Errors
    /// What the module answered.
    pub fn wrap(
        &mut self,
        mechanism: Mechanism<'_>,
        wrapping: Handle,
        key: Handle,
    ) -> Result<Vec<u8>, Code> {
        let wrap = function!(self.list, C_WrapKey);
        mechanism.with(|it| {
            // SAFETY: the mechanism lives over the call, and the room is as long as is said.
            output(0, |out, room| unsafe { wrap(self.handle, it, wrapping, key, out, room) })
        })
    }

    /// `C_UnwrapKey`
    ///
    /// # Errors
    /// What the module answered.
    pub fn unwrap(
        &mut self,
        mechanism: Mechanism<'_>,
        unwrapping: Handle,
        wrapped: &[u8],
        template: &[Attribute<'_>],
    ) -> Result<Handle, Code> {
        let unwrap = function!(self.list, C_UnwrapKey);
        let (mut entries, mut key) = (entries(template), 0);
        let (template, count) = (entries.as_mut_ptr(), ulong(entries.len()));
        let (wrapped, length) = bytes!(wrapped);
        // SAFETY: all of it lives over the call and is as long as is said.
        let code = mechanism.with(|it| unsafe {
            unwrap(self.handle, it, unwrapping, wrapped, length, template, count, &raw mut key)
        });
        check(code).map(|()| key)
    }

    /// `C_DeriveKey`
    ///
    /// # Errors
    /// What the module answered.
    pub fn derive(
        &mut self,
        mechanism: Mechanism<'_>,
        base: Handle,
        template: &[Attribute<'_>],
    ) -> Result<Handle, Code> {
        let derive = function!(self.list, C_DeriveKey);
        let (mut entries, mut key) = (entries(template), 0);
        let (template, count) = (entries.as_mut_ptr(), ulong(entries.len()));
        // SAFETY: mechanism, template and handle live over the call.
        let code = mechanism
            .with(|it| unsafe { derive(self.handle, it, base, template, count, &raw mut key) });
        check(code).map(|()| key)
    }

    /// `C_EncapsulateKey`: the ciphertext and the secret key.
    ///
    /// # Errors
    /// What the module answered.
    pub fn encapsulate(
        &mut self,
        mechanism: Mechanism<'_>,
        public: Handle,
        template: &[Attribute<'_>],
    ) -> Result<(Vec<u8>, Handle), Code> {
        let encapsulate = function!(self.list, C_EncapsulateKey);
        let (mut entries, mut key) = (entries(template), 0);
        let (template, count) = (entries.as_mut_ptr(), ulong(entries.len()));
        let ciphertext = mechanism.with(|it| {
            // SAFETY: all of it lives over the call, and the room is as long as is said.
            output(0, |out, room| unsafe {
                encapsulate(self.handle, it, public, template, count, out, room, &raw mut key)
            })
        })?;
        Ok((ciphertext, key))
    }

    /// `C_DecapsulateKey`
    ///
    /// # Errors
    /// What the module answered.
    pub fn decapsulate(
        &mut self,
        mechanism: Mechanism<'_>,
        private: Handle,
        ciphertext: &[u8],
        template: &[Attribute<'_>],
    ) -> Result<Handle, Code> {
        let decapsulate = function!(self.list, C_DecapsulateKey);
        let (mut entries, mut key) = (entries(template), 0);
        let (template, count) = (entries.as_mut_ptr(), ulong(entries.len()));
        let (from, length) = bytes!(ciphertext);
        // SAFETY: all of it lives over the call and is as long as is said.
        let code = mechanism.with(|it| unsafe {
            decapsulate(self.handle, it, private, template, count, from, length, &raw mut key)
        });
        check(code).map(|()| key)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(close) = self.list.C_CloseSession {
            // SAFETY: a number. A refusal here would be of no use to anybody.
            let _code: ck::CK_RV = unsafe { close(self.handle) };
        }
    }
}
