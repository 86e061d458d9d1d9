//! Import formats: PKCS#8 and SubjectPublicKeyInfo, certificates and requests.

use casemate_crypto::{Hash, ec, ed25519, ml_dsa, rsa, verify_spki, x25519};
use casemate_protocol::Error;
use casemate_protocol::messages::{Activate, Answer, Ask, Initialize};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer as _;

use crate::one_hsm::OneHsm;

/// Keys in DER, or in PEM: what is read writes back to the same key; what is weak or contradicts itself is not read.
pub fn import(input: &[u8]) {
    der(input);
    if let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(input) {
        der(&pem.contents);
    }
}

fn der(input: &[u8]) {
    private(input);
    if let Ok(key) = ec::PublicKey::from_spki(input) {
        let spki = key.to_spki().unwrap();
        let again = ec::PublicKey::from_spki(&spki).unwrap();
        let point = key.point().unwrap();
        assert_eq!(point, again.point().unwrap());
        assert_eq!(point.first(), Some(&4));
        assert_eq!(point.len(), 1 + 2 * key.curve().field_bytes());
        assert!(key.verify(&[7; 32], &vec![0; 2 * key.curve().field_bytes()]).is_err());
    }
    if let Ok((modulus, exponent)) = rsa::PublicKey::numbers_from_spki(input)
        && let Ok(key) = rsa::PublicKey::new(&modulus, &exponent)
    {
        assert!((rsa::MODULUS_BITS_MIN..=rsa::MODULUS_BITS_MAX).contains(&key.modulus_bits()));
        assert!(modulus.last().is_some_and(|last| last % 2 == 1));
        assert!(exponent.last().is_some_and(|last| last % 2 == 1));
        let again = rsa::PublicKey::numbers_from_spki(&key.to_spki().unwrap()).unwrap();
        let trim = |number: &[u8]| {
            number.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<_>>()
        };
        assert_eq!((trim(&again.0), trim(&again.1)), (trim(&modulus), trim(&exponent)));
    }
    // No signature of zeros is one.
    assert!(verify_spki(input, Hash::Sha256, b"message", &[0; 64]).is_err());
}

fn private(input: &[u8]) {
    if let Ok(key) = ec::PrivateKey::from_pkcs8(input) {
        let pkcs8 = key.to_pkcs8().unwrap();
        let again = ec::PrivateKey::from_pkcs8(pkcs8.expose()).unwrap();
        assert_eq!(again.scalar().unwrap().expose(), key.scalar().unwrap().expose());
        let signature = key.sign(&[7; 32]).unwrap();
        key.public_key().unwrap().verify(&[7; 32], signature.as_ref()).unwrap();
    }
    if let Ok(key) = rsa::PrivateKey::from_pkcs8(input) {
        let again = rsa::PrivateKey::from_pkcs8(key.to_pkcs8().unwrap().expose()).unwrap();
        assert_eq!(again.components().unwrap().modulus, key.components().unwrap().modulus);
        let number = vec![1; key.public_key().modulus_bytes() - 1];
        let number = [&[0][..], &number].concat();
        let done = key.raw(&number).unwrap();
        assert_eq!(key.public_key().raw(done.expose()).unwrap(), number);
    }
    if let Ok(key) = ed25519::PrivateKey::from_pkcs8(input) {
        assert!(ed25519::PrivateKey::from_pkcs8(key.to_pkcs8().unwrap().expose()).is_ok());
    }
    if let Ok(key) = x25519::PrivateKey::from_pkcs8(input) {
        assert!(key.agree(&[0; 32]).is_err(), "all zeros are no public key");
        assert!(x25519::PrivateKey::from_pkcs8(key.to_pkcs8().unwrap().expose()).is_ok());
    }
    for set in [ml_dsa::ParameterSet::MlDsa44, ml_dsa::ParameterSet::MlDsa65] {
        drop(ml_dsa::PrivateKey::from_pkcs8(set, input).map(|key| key.expanded()));
    }
}

thread_local! {
    static CLUSTERS: std::cell::RefCell<(OneHsm, OneHsm)> =
        std::cell::RefCell::new((OneHsm::made(), OneHsm::initialized()));
}

/// What a customer hands in: a certificate with its anchor, a request, a certificate with the activation. The first byte cuts the
/// rest into two.
pub fn certificate(input: &[u8]) {
    let Some((&cut, rest)) = input.split_first() else { return };
    let (first, second) = rest.split_at(rest.len() * usize::from(cut) / 255);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(rest)
        && let Ok((_, request)) = X509CertificationRequest::from_der(&pem.contents)
    {
        let named = request.certification_request_info.subject.iter_common_name().next();
        drop((request.verify_signature(), named.map(|name| name.as_str().map(ToOwned::to_owned))));
    }
    CLUSTERS.with_borrow_mut(|(made, initialized)| {
        let request = Initialize { certificate: text(first), trust_anchor: text(second) };
        let error = refused(made.stranger(Ask::Initialize(request)));
        assert!(
            matches!(
                error,
                Error::CertificateInvalid | Error::TrustAnchorInvalid | Error::CertificateExpired
            ),
            "{error:?}"
        );
        // The right certificate does not make a wrong anchor right, nor the other way round.
        let (right, anchor) = made.customer();
        let request = Initialize { certificate: right, trust_anchor: text(rest) };
        refused(made.stranger(Ask::Initialize(request)));
        let request = Initialize { certificate: text(rest), trust_anchor: anchor };
        refused(made.stranger(Ask::Initialize(request)));
        let request = Activate {
            password: "correct horse".to_owned(),
            signature: first.to_vec(),
            certificate: text(second),
        };
        let error = refused(initialized.stranger(Ask::Activate(request)));
        assert!(matches!(error, Error::ActivationRefused | Error::CertificateExpired), "{error:?}");
    });
}

fn refused(answer: Answer) -> Error {
    match answer {
        Answer::Error(error) => error.into(),
        _ => panic!("it was done"),
    }
}
