//! The calls that take two templates, two keys, or messages each with a parameter of its own.

use std::ptr;

use cryptoki_sys as ck;

use crate::calls::{Caller, call};
use crate::input::Room;

impl Caller<'_> {
    pub(crate) fn pair(&mut self) {
        let session = self.session();
        self.with_template(|caller, public, public_count| {
            caller.with_template(|caller, private, private_count| {
                caller.with_mechanism(|caller, mechanism| {
                    let mut made = [0; 2];
                    let [first, second] = &mut made;
                    let code = call!(
                        caller,
                        C_GenerateKeyPair(
                            session,
                            mechanism,
                            public,
                            public_count,
                            private,
                            private_count,
                            &raw mut *first,
                            &raw mut *second
                        )
                    );
                    if code == ck::CKR_OK {
                        caller.hold(made);
                    }
                });
            });
        });
    }

    pub(crate) fn wrap(&mut self) {
        let (session, wrapping, key) = (self.session(), self.object(), self.object());
        let mut room = Room::new(&mut self.input);
        self.with_mechanism(|caller, mechanism| {
            let (out, said) = (room.pointer(), &raw mut room.length);
            let code = call!(caller, C_WrapKey(session, mechanism, wrapping, key, out, said));
            room.check("C_WrapKey", code);
        });
    }

    pub(crate) fn kem(&mut self) {
        let (session, key, which) = (self.session(), self.object(), self.input.byte());
        let mut ciphertext = self.input.readable();
        let mut room = Room::new(&mut self.input);
        self.with_template(|caller, entries, count| {
            caller.with_mechanism(|caller, mechanism| {
                let mut made = 0;
                let made_at = &raw mut made;
                let code = if which % 2 == 0 {
                    let (out, said) = (room.pointer(), &raw mut room.length);
                    let code = call!(
                        caller,
                        C_EncapsulateKey(
                            session, mechanism, key, entries, count, out, said, made_at
                        )
                    );
                    room.check("C_EncapsulateKey", code);
                    code
                } else {
                    let (from, length) = (ciphertext.pointer(), ciphertext.length);
                    call!(
                        caller,
                        C_DecapsulateKey(
                            session, mechanism, key, entries, count, from, length, made_at
                        )
                    )
                };
                if code == ck::CKR_OK {
                    caller.hold([made]);
                }
            });
        });
    }

    pub(crate) fn change(&mut self) {
        let (session, object, which) = (self.session(), self.object(), self.input.byte());
        self.with_template(|caller, entries, count| {
            let mut made = 0;
            let code = match which % 5 {
                0 => call!(caller, C_SetAttributeValue(session, object, entries, count)),
                1 => call!(caller, C_CopyObject(session, object, entries, count, &raw mut made)),
                2 => call!(caller, C_GetObjectSize(session, object, &raw mut made)),
                3 => call!(caller, C_DigestKey(session, object)),
                _ => call!(caller, C_DestroyObject(session, object)),
            };
            if code == ck::CKR_OK && which % 5 == 1 {
                caller.hold([made]);
            }
        });
    }

    pub(crate) fn verify(&mut self) {
        let (session, key, which) = (self.session(), self.object(), self.input.byte());
        let (mut data, mut signature) = (self.input.readable(), self.input.readable());
        let (from, length) = (data.pointer(), data.length);
        let (by, by_length) = (signature.pointer(), signature.length);
        self.with_mechanism(|caller, mechanism| {
            let _code = match which % 7 {
                0 => call!(caller, C_Verify(session, from, length, by, by_length)),
                1 => call!(caller, C_VerifyFinal(session, by, by_length)),
                2 => call!(caller, C_VerifySignatureInit(session, mechanism, key, by, by_length)),
                3 => call!(caller, C_VerifySignature(session, from, length)),
                4 => call!(caller, C_VerifySignatureUpdate(session, from, length)),
                5 => call!(caller, C_VerifySignatureFinal(session)),
                _ => call!(caller, C_SessionCancel(session, length)),
            };
        });
    }

    /// A message of AES-GCM: its IV and its tag lie where the parameter says, and are written to.
    pub(crate) fn message(&mut self) {
        let (session, which) = (self.session(), self.input.byte());
        let (mut aad, mut data) = (self.input.readable(), self.input.readable());
        let (mut iv, mut tag) = (Room::new(&mut self.input), Room::new(&mut self.input));
        let (fixed_bits, generator) = (self.input.number(), self.input.number());
        let tag_bits = (tag.length * 8).min(self.input.number());
        let mut parameter = ck::CK_GCM_MESSAGE_PARAMS {
            pIv: iv.pointer(),
            ulIvLen: iv.length,
            ulIvFixedBits: fixed_bits,
            ivGenerator: generator,
            pTag: tag.pointer(),
            ulTagBits: tag_bits,
        };
        let size = match which {
            250.. => self.input.number() % (size_of_val(&parameter) as ck::CK_ULONG),
            _ => size_of_val(&parameter) as ck::CK_ULONG,
        };
        let at = (&raw mut parameter).cast();
        let mut room = Room::new(&mut self.input);
        let (out, said) = (room.pointer(), &raw mut room.length);
        let (more, more_length) = (aad.pointer(), aad.length);
        let (from, length) = (data.pointer(), data.length);
        let code = match which % 4 {
            0 | 1 => call!(
                self,
                C_EncryptMessage(session, at, size, more, more_length, from, length, out, said)
            ),
            2 => call!(
                self,
                C_DecryptMessage(session, at, size, more, more_length, from, length, out, said)
            ),
            _ => call!(self, C_MessageDecryptInit(session, ptr::null_mut(), length)),
        };
        room.check("C_EncryptMessage or C_DecryptMessage", code);
        iv.check("the IV of a message", code);
        tag.check("the tag of a message", code);
    }
}
