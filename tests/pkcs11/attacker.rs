//! Who attacks: holds handles and bytes, and does with them whatever the dice say.

use std::collections::BTreeMap;

use casemate_module::{Attribute, Code, Handle, Mechanism, Parameter, Session, ck};

use crate::secrets::{MASK, P256, Planted};

/// Dice that fall the same way for the same seed (SplitMix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(sides).unwrap()).unwrap()
    }

    fn pick<T: Clone>(&mut self, among: &[T]) -> T {
        among[self.roll(among.len())].clone()
    }
}

/// How many of each the attacker keeps at hand; the oldest go first, planted keys never.
const HELD_MAX: usize = 40;

pub(crate) struct Attacker<'a> {
    session: &'a mut Session,
    dice: Dice,
    keys: Vec<Handle>,
    bytes: Vec<Vec<u8>>,
    /// What must not be seen, and what may be.
    secrets: &'a [Planted],
    open: &'a [Planted],
    pub(crate) done: BTreeMap<&'static str, usize>,
    /// By which functions an open value was seen: the search would have seen a secret there, too.
    pub(crate) seen: BTreeMap<&'static str, usize>,
    last: &'static str,
}

const FLAGS: [ck::CK_ATTRIBUTE_TYPE; 11] = [
    ck::CKA_SENSITIVE,
    ck::CKA_EXTRACTABLE,
    ck::CKA_WRAP,
    ck::CKA_UNWRAP,
    ck::CKA_ENCRYPT,
    ck::CKA_DECRYPT,
    ck::CKA_SIGN,
    ck::CKA_DERIVE,
    ck::CKA_WRAP_WITH_TRUSTED,
    ck::CKA_TRUSTED,
    ck::CKA_ALWAYS_SENSITIVE,
];

/// What an attacker asks for who wants to see.
const WEAK: [Attribute<'_>; 2] =
    [Attribute::Flag(ck::CKA_SENSITIVE, false), Attribute::Flag(ck::CKA_EXTRACTABLE, true)];

const CIPHERS: [Mechanism<'_>; 7] = [
    Mechanism(ck::CKM_AES_ECB, Parameter::None),
    Mechanism(ck::CKM_AES_CBC, Parameter::Bytes(&[0; 16])),
    Mechanism(ck::CKM_AES_CBC_PAD, Parameter::Bytes(&[0; 16])),
    Mechanism(ck::CKM_AES_GCM, Parameter::Gcm { iv: &[0; 12], aad: &[], tag_bits: 128 }),
    Mechanism(ck::CKM_AES_KEY_WRAP, Parameter::None),
    Mechanism(ck::CKM_AES_KEY_WRAP_PAD, Parameter::None),
    Mechanism(ck::CKM_AES_KEY_WRAP_KWP, Parameter::None),
];

impl<'a> Attacker<'a> {
    pub(crate) fn new(
        session: &'a mut Session,
        seed: u64,
        (secrets, open): (&'a [Planted], &'a [Planted]),
        trusted: Handle,
    ) -> Self {
        Self {
            session,
            dice: Dice(seed),
            keys: secrets.iter().chain(open).map(|it| it.key).chain([trusted]).collect(),
            bytes: vec![vec![0; 16], vec![MASK; 32], vec![1; 40]],
            secrets,
            open,
            done: BTreeMap::new(),
            seen: BTreeMap::new(),
            last: "",
        }
    }

    /// Does one thing; panics if what came of it must not be.
    pub(crate) fn step(&mut self) {
        let outcome = match self.dice.roll(11) {
            0 => self.named("C_GetAttributeValue", Self::get),
            1 => self.named("C_SetAttributeValue", Self::set),
            2 => self.named("C_CopyObject", Self::copy),
            3 => self.named("C_GenerateKey", Self::generate),
            4 => self.named("C_CreateObject", Self::create),
            5 | 6 => self.named("C_WrapKey", Self::wrap),
            7 => self.named("C_UnwrapKey", Self::unwrap),
            8 => self.named("C_Decrypt", Self::decrypt),
            9 => self.named("C_DeriveKey", Self::derive),
            _ => self.named("C_Encrypt or C_Sign", Self::encrypt_or_sign),
        };
        match outcome {
            Ok(()) => *self.done.entry(self.last).or_default() += 1,
            Err(code) => assert!(code.names_a_cause(), "{}: {code}", self.last),
        }
    }

    fn named(
        &mut self,
        name: &'static str,
        go: impl FnOnce(&mut Self) -> Result<(), Code>,
    ) -> Result<(), Code> {
        self.last = name;
        go(self)
    }

    fn key(&mut self) -> Handle {
        let keys = self.keys.len();
        // Half of the time one of the planted: they are what it is about.
        let planted = self.planted();
        let among = if self.dice.roll(2) == 0 { planted } else { keys };
        self.keys[self.dice.roll(among)]
    }

    /// How many keys are never let go: what is looked for, and the trusted one.
    fn planted(&self) -> usize {
        self.secrets.len() + self.open.len() + 1
    }

    fn hold_key(&mut self, key: Handle) {
        let planted = self.planted();
        if self.keys.len() >= HELD_MAX {
            self.keys.remove(planted);
        }
        self.keys.push(key);
    }

    /// Looks at what came out, and keeps it.
    fn hold_bytes(&mut self, bytes: Vec<u8>) {
        if let Some(secret) = self.secrets.iter().find(|secret| secret.is_seen_in(&bytes)) {
            panic!("{} gave {} away", self.last, secret.name);
        }
        if self.open.iter().any(|open| open.is_seen_in(&bytes)) {
            *self.seen.entry(self.last).or_default() += 1;
        }
        if self.bytes.len() >= HELD_MAX {
            self.bytes.remove(0);
        }
        self.bytes.push(bytes);
    }

    fn flags(&mut self) -> Vec<Attribute<'static>> {
        let count = self.dice.roll(4);
        (0..count)
            .map(|_| Attribute::Flag(self.dice.pick(&FLAGS), self.dice.roll(2) == 0))
            .collect()
    }

    /// The template of a new secret or private key of this session, with the dice's flags.
    fn template(&mut self) -> Vec<Attribute<'static>> {
        let key_type = self.dice.pick(&[ck::CKK_AES, ck::CKK_GENERIC_SECRET, ck::CKK_EC]);
        let private = key_type == ck::CKK_EC;
        let class = if private { ck::CKO_PRIVATE_KEY } else { ck::CKO_SECRET_KEY };
        let mut template = vec![
            Attribute::Number(ck::CKA_CLASS, class),
            Attribute::Number(ck::CKA_KEY_TYPE, key_type),
            Attribute::Flag(ck::CKA_TOKEN, false),
        ];
        if private {
            template.push(Attribute::Bytes(ck::CKA_EC_PARAMS, P256));
        }
        if self.dice.roll(2) == 0 {
            template.extend(WEAK);
        } else {
            template.extend(self.flags());
        }
        template
    }

    fn is(&mut self, key: Handle, flag: ck::CK_ATTRIBUTE_TYPE) -> bool {
        self.session.get(key, flag).is_ok_and(|value| value == [1])
    }

    fn get(&mut self) -> Result<(), Code> {
        let key = self.key();
        let attribute =
            self.dice.pick(&[ck::CKA_VALUE, ck::CKA_VALUE, ck::CKA_CHECK_VALUE, ck::CKA_SEED]);
        let value = self.session.get(key, attribute)?;
        if attribute == ck::CKA_VALUE {
            assert!(!self.is(key, ck::CKA_SENSITIVE) && self.is(key, ck::CKA_EXTRACTABLE));
        }
        self.hold_bytes(value);
        Ok(())
    }

    fn is_private(&mut self, key: Handle) -> bool {
        let class = self.session.get(key, ck::CKA_CLASS);
        class.is_ok_and(|class| class == ck::CKO_PRIVATE_KEY.to_ne_bytes())
    }

    fn rights(&mut self, key: Handle) -> (bool, bool) {
        (self.is(key, ck::CKA_SENSITIVE), self.is(key, ck::CKA_EXTRACTABLE))
    }

    fn set(&mut self) -> Result<(), Code> {
        let (key, flags) = (self.key(), self.flags());
        // The planted ones that show whether the search sees must go on showing.
        if self.open.iter().any(|open| open.key == key) {
            return Ok(());
        }
        let (sensitive, extractable) = self.rights(key);
        self.session.set(key, &flags)?;
        let after = self.rights(key);
        assert!((!sensitive || after.0) && (extractable || !after.1), "rights were raised");
        Ok(())
    }

    fn copy(&mut self) -> Result<(), Code> {
        let (key, flags) = (self.key(), self.flags());
        let (sensitive, extractable) = self.rights(key);
        let copy = self.session.copy(key, &flags)?;
        let after = self.rights(copy);
        assert!((!sensitive || after.0) && (extractable || !after.1), "a copy has more rights");
        self.hold_key(copy);
        Ok(())
    }

    fn generate(&mut self) -> Result<(), Code> {
        let mut template = self.flags();
        template.push(Attribute::Flag(ck::CKA_TOKEN, false));
        template.push(Attribute::Number(ck::CKA_VALUE_LEN, 32));
        let key =
            self.session.generate(Mechanism(ck::CKM_AES_KEY_GEN, Parameter::None), &template)?;
        self.hold_key(key);
        Ok(())
    }

    fn create(&mut self) -> Result<(), Code> {
        let value = self.dice.pick(&self.bytes.clone());
        let value = self.dice.pick(&[value, vec![3; 32]]);
        let mut template = self.template();
        template.push(Attribute::Bytes(ck::CKA_VALUE, &value));
        let key = self.session.create(&template)?;
        self.hold_key(key);
        Ok(())
    }

    fn wrap(&mut self) -> Result<(), Code> {
        let (mechanism, wrapping, key) = (self.dice.pick(&CIPHERS), self.key(), self.key());
        let wrapped = self.session.wrap(mechanism, wrapping, key)?;
        assert!(self.is(key, ck::CKA_EXTRACTABLE), "a key that may not leave was wrapped");
        if self.is(key, ck::CKA_WRAP_WITH_TRUSTED) {
            assert!(self.is(wrapping, ck::CKA_TRUSTED), "another than a trusted key wrapped it");
            *self.done.entry("C_WrapKey of what trusted keys may wrap").or_default() += 1;
        }
        self.hold_bytes(wrapped.clone());
        // At once by the same key: the dice would seldom find the pair.
        if let Ok(opened) = self.session.decrypt(mechanism, wrapping, &wrapped) {
            self.last = "C_WrapKey, then C_Decrypt";
            self.hold_bytes(opened);
        }
        let class = if self.is_private(key) { ck::CKO_PRIVATE_KEY } else { ck::CKO_SECRET_KEY };
        let key_type = if self.is_private(key) { ck::CKK_EC } else { ck::CKK_GENERIC_SECRET };
        let mut template = vec![
            Attribute::Number(ck::CKA_CLASS, class),
            Attribute::Number(ck::CKA_KEY_TYPE, key_type),
            Attribute::Flag(ck::CKA_TOKEN, false),
        ];
        template.extend(WEAK);
        if let Ok(unwrapped) = self.session.unwrap(mechanism, wrapping, &wrapped, &template) {
            self.hold_key(unwrapped);
            if let Ok(value) = self.session.get(unwrapped, ck::CKA_VALUE) {
                self.last = "C_WrapKey, then C_UnwrapKey";
                self.hold_bytes(value);
            }
        }
        Ok(())
    }

    fn unwrap(&mut self) -> Result<(), Code> {
        let (mechanism, key) = (self.dice.pick(&CIPHERS), self.key());
        let (bytes, template) = (self.dice.pick(&self.bytes.clone()), self.template());
        let key = self.session.unwrap(mechanism, key, &bytes, &template)?;
        self.hold_key(key);
        Ok(())
    }

    fn decrypt(&mut self) -> Result<(), Code> {
        let (mechanism, key) = (self.dice.pick(&CIPHERS), self.key());
        let bytes = self.dice.pick(&self.bytes.clone());
        let opened = self.session.decrypt(mechanism, key, &bytes)?;
        self.hold_bytes(opened);
        Ok(())
    }

    fn derive(&mut self) -> Result<(), Code> {
        let (base, other) = (self.key(), self.key());
        let data = self.dice.pick(&[vec![MASK; 32], vec![MASK; 64], vec![0; 32], vec![0; 1]]);
        let hkdf = Parameter::Hkdf { hash: ck::CKM_SHA256, salt: &data, info: &[] };
        let mechanism = self.dice.pick(&[
            Mechanism(ck::CKM_CONCATENATE_BASE_AND_DATA, Parameter::Data(&data)),
            Mechanism(ck::CKM_CONCATENATE_DATA_AND_BASE, Parameter::Data(&data)),
            Mechanism(ck::CKM_CONCATENATE_BASE_AND_KEY, Parameter::Number(other)),
            Mechanism(ck::CKM_XOR_BASE_AND_DATA, Parameter::Data(&data)),
            Mechanism(ck::CKM_HKDF_DERIVE, hkdf),
        ]);
        let key_type = self.dice.pick(&[ck::CKK_AES, ck::CKK_GENERIC_SECRET]);
        let mut template = vec![
            Attribute::Number(ck::CKA_CLASS, ck::CKO_SECRET_KEY),
            Attribute::Number(ck::CKA_KEY_TYPE, key_type),
            Attribute::Flag(ck::CKA_TOKEN, false),
        ];
        template.extend(if self.dice.roll(2) == 0 { WEAK.to_vec() } else { self.flags() });
        let length = self.dice.pick(&[None, None, Some(8), Some(16), Some(32)]);
        template.extend(length.map(|length| Attribute::Number(ck::CKA_VALUE_LEN, length)));
        let key = self.session.derive(mechanism, base, &template)?;
        if let Ok(value) = self.session.get(key, ck::CKA_VALUE) {
            self.last = "C_DeriveKey, then C_GetAttributeValue";
            self.hold_bytes(value);
        }
        self.hold_key(key);
        Ok(())
    }

    fn encrypt_or_sign(&mut self) -> Result<(), Code> {
        let (mechanism, key) = (self.dice.pick(&CIPHERS), self.key());
        let bytes = self.dice.pick(&self.bytes.clone());
        let out = if self.dice.roll(2) == 0 {
            self.session.encrypt(mechanism, key, &bytes)?
        } else {
            let mac = self.dice.pick(&[ck::CKM_AES_CMAC, ck::CKM_SHA256_HMAC]);
            self.session.sign(Mechanism(mac, Parameter::None), key, &bytes)?
        };
        // What the attacker put in comes out, if he encrypts what was open: that shows nothing.
        let open = self.open.iter().any(|open| open.is_seen_in(&out));
        if !open {
            self.hold_bytes(out);
        }
        Ok(())
    }
}
