//! The keys that are at hand where there is a cluster: one of each family, with every right, which no input destroys or changes.
//!
//! Without them hardly an input would come as far as to use a key.

use std::ptr;

use cryptoki_sys as ck;

use crate::calls::{Caller, call};

/// A template of flags and values, and the memory that it points at.
#[derive(Default)]
struct Template {
    values: Vec<(ck::CK_ATTRIBUTE_TYPE, Vec<u8>)>,
}

impl Template {
    /// A key of the session that stays as it is, with these rights.
    fn with(rights: &[ck::CK_ATTRIBUTE_TYPE]) -> Self {
        let flag = |kind: &ck::CK_ATTRIBUTE_TYPE, value| (*kind, vec![value]);
        let stays = [ck::CKA_MODIFIABLE, ck::CKA_DESTROYABLE, ck::CKA_TOKEN];
        let stays = stays.iter().map(|kind| flag(kind, ck::CK_FALSE));
        Self { values: rights.iter().map(|kind| flag(kind, ck::CK_TRUE)).chain(stays).collect() }
    }

    fn number(mut self, kind: ck::CK_ATTRIBUTE_TYPE, value: ck::CK_ULONG) -> Self {
        self.values.push((kind, value.to_ne_bytes().to_vec()));
        self
    }

    fn bytes(mut self, kind: ck::CK_ATTRIBUTE_TYPE, value: &[u8]) -> Self {
        self.values.push((kind, value.to_vec()));
        self
    }

    fn entries(&mut self) -> Vec<ck::CK_ATTRIBUTE> {
        let entry = |(kind, value): &mut (ck::CK_ATTRIBUTE_TYPE, Vec<u8>)| ck::CK_ATTRIBUTE {
            type_: *kind,
            pValue: value.as_mut_ptr().cast(),
            ulValueLen: value.len() as ck::CK_ULONG,
        };
        self.values.iter_mut().map(entry).collect()
    }
}

const P256: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
/// `CKP_ML_KEM_768`
const ML_KEM_768: ck::CK_ULONG = 2;

impl Caller<'_> {
    pub(crate) fn make_keys(&self, session: ck::CK_SESSION_HANDLE) -> Vec<ck::CK_OBJECT_HANDLE> {
        let both = [ck::CKA_ENCRYPT, ck::CKA_DECRYPT, ck::CKA_WRAP, ck::CKA_UNWRAP];
        let secret = [&both[..], &[ck::CKA_SIGN, ck::CKA_VERIFY, ck::CKA_DERIVE]].concat();
        let secret = [&secret[..], &[ck::CKA_EXTRACTABLE]].concat();
        let derives = [ck::CKA_SIGN, ck::CKA_VERIFY, ck::CKA_DERIVE, ck::CKA_EXTRACTABLE];
        let (opens, encrypts) =
            ([ck::CKA_DECRYPT, ck::CKA_UNWRAP, ck::CKA_SIGN], [ck::CKA_ENCRYPT, ck::CKA_WRAP]);
        let make = |kind, template: Template| self.make_key(session, kind, template);
        let pair = |kind, public, private| self.make_pair(session, kind, public, private);
        let mut all = vec![
            make(ck::CKM_AES_KEY_GEN, Template::with(&secret).number(ck::CKA_VALUE_LEN, 32)),
            make(
                ck::CKM_GENERIC_SECRET_KEY_GEN,
                Template::with(&derives).number(ck::CKA_VALUE_LEN, 32),
            ),
        ];
        all.extend(pair(
            ck::CKM_EC_KEY_PAIR_GEN,
            Template::with(&[ck::CKA_VERIFY]).bytes(ck::CKA_EC_PARAMS, P256),
            Template::with(&[ck::CKA_SIGN, ck::CKA_DERIVE]),
        ));
        all.extend(pair(
            ck::CKM_RSA_PKCS_KEY_PAIR_GEN,
            Template::with(&encrypts).number(ck::CKA_MODULUS_BITS, 2048),
            Template::with(&opens),
        ));
        all.extend(pair(
            ck::CKM_ML_KEM_KEY_PAIR_GEN,
            Template::with(&[]).number(ck::CKA_PARAMETER_SET, ML_KEM_768),
            Template::with(&[]),
        ));
        all
    }

    fn make_key(
        &self,
        session: ck::CK_SESSION_HANDLE,
        kind: ck::CK_MECHANISM_TYPE,
        mut template: Template,
    ) -> ck::CK_OBJECT_HANDLE {
        let mut mechanism = plain(kind);
        let mut entries = template.entries();
        let (at, count) = (entries.as_mut_ptr(), entries.len() as ck::CK_ULONG);
        let mut key = 0;
        let code = call!(self, C_GenerateKey(session, &raw mut mechanism, at, count, &raw mut key));
        assert_eq!(code, ck::CKR_OK, "C_GenerateKey");
        key
    }

    fn make_pair(
        &self,
        session: ck::CK_SESSION_HANDLE,
        kind: ck::CK_MECHANISM_TYPE,
        mut public: Template,
        mut private: Template,
    ) -> [ck::CK_OBJECT_HANDLE; 2] {
        let mut mechanism = plain(kind);
        let (mut public, mut private) = (public.entries(), private.entries());
        let (mut first, mut second) = (0, 0);
        let code = call!(
            self,
            C_GenerateKeyPair(
                session,
                &raw mut mechanism,
                public.as_mut_ptr(),
                public.len() as ck::CK_ULONG,
                private.as_mut_ptr(),
                private.len() as ck::CK_ULONG,
                &raw mut first,
                &raw mut second
            )
        );
        assert_eq!(code, ck::CKR_OK, "C_GenerateKeyPair");
        [first, second]
    }
}

const fn plain(kind: ck::CK_MECHANISM_TYPE) -> ck::CK_MECHANISM {
    ck::CK_MECHANISM { mechanism: kind, pParameter: ptr::null_mut(), ulParameterLen: 0 }
}
