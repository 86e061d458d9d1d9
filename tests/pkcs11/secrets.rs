//! Keys whose values the test knows, and what gives one away.

use casemate_client::{Client, Config};
use casemate_module::{Attribute, Handle, Mechanism, Parameter, Session, ck};
use casemate_protocol::messages::{Ask, ObjectAndTemplate, ObjectReference};
use casemate_protocol::{AttributeType, Role, Template};
use casemate_tests::ADMIN_PASSWORD;

/// Of a value, this many bytes in a row are no accident.
const WINDOW: usize = 6;

/// `CKA_EC_PARAMS` of P-256.
pub(crate) const P256: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";

/// What the attacker XORs with, so that the test can undo it.
pub(crate) const MASK: u8 = 0x5c;

/// A value that must not be seen, and the name of its key.
#[derive(Clone)]
pub(crate) struct Planted {
    pub(crate) name: &'static str,
    pub(crate) key: Handle,
    value: [u8; 32],
}

impl Planted {
    /// Whether some of the value is in `bytes`, as it is or masked.
    pub(crate) fn is_seen_in(&self, bytes: &[u8]) -> bool {
        bytes.windows(WINDOW).any(|seen| {
            self.value
                .windows(WINDOW)
                .any(|secret| secret == seen || secret.iter().zip(seen).all(|(a, b)| a ^ b == MASK))
        })
    }
}

/// What is said of a planted key beside its value.
pub(crate) fn plant(
    session: &mut Session,
    name: &'static str,
    key_type: ck::CK_KEY_TYPE,
    value: [u8; 32],
    flags: &[(ck::CK_ATTRIBUTE_TYPE, bool)],
) -> Planted {
    let private = key_type == ck::CKK_EC;
    let class = if private { ck::CKO_PRIVATE_KEY } else { ck::CKO_SECRET_KEY };
    let mut template = vec![
        Attribute::Number(ck::CKA_CLASS, class),
        Attribute::Number(ck::CKA_KEY_TYPE, key_type),
        Attribute::Flag(ck::CKA_TOKEN, false),
        Attribute::Bytes(ck::CKA_VALUE, &value),
        Attribute::Flag(ck::CKA_DERIVE, true),
    ];
    if private {
        template.push(Attribute::Bytes(ck::CKA_EC_PARAMS, P256));
    }
    if key_type == ck::CKK_AES {
        template.push(Attribute::Flag(ck::CKA_WRAP, true));
        template.push(Attribute::Flag(ck::CKA_UNWRAP, true));
    }
    template.extend(flags.iter().map(|(flag, value)| Attribute::Flag(*flag, *value)));
    Planted { name, key: session.create(&template).unwrap(), value }
}

/// Makes a wrapping key and has an admin trust it.
pub(crate) fn trusted(session: &mut Session) -> Handle {
    let on = [ck::CKA_TOKEN, ck::CKA_WRAP, ck::CKA_UNWRAP].map(|flag| Attribute::Flag(flag, true));
    let off = [ck::CKA_ENCRYPT, ck::CKA_DECRYPT].map(|flag| Attribute::Flag(flag, false));
    let length = [Attribute::Number(ck::CKA_VALUE_LEN, 32)];
    let template: Vec<_> = on.into_iter().chain(off).chain(length).collect();
    let key = session.generate(Mechanism(ck::CKM_AES_KEY_GEN, Parameter::None), &template).unwrap();
    let admin = Client::new(Config::find().unwrap());
    admin.log_in("admin", ADMIN_PASSWORD, Some(Role::Admin)).unwrap();
    // A token object's handle is its number in the cluster.
    let object = Some(ObjectReference { number: key, ..ObjectReference::default() });
    let trusted = casemate_protocol::Attribute::flag(AttributeType::Trusted, true);
    let template = Some(Template::default().with(trusted));
    admin.call(Ask::SetAttributes(ObjectAndTemplate { object, template })).unwrap();
    key
}
