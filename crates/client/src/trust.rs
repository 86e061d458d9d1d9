//! Whether the other side is the cluster that is meant: two steps, each with its own cause.
//!
//! 1. The cluster certificate: signed by the customer's CA, names the cluster, has the pinned key, holds now.
//! 2. The leaf of the HSM: signed by the cluster's key, holds now.
//!
//! It is not a path of RFC 5280: the cluster certificate is no CA by X.509, and may be of version 1. So another server
//! certificate of the same CA is refused, which a chain alone would not do.

use std::sync::{Arc, Mutex, PoisonError};

use casemate_crypto::digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::time::ASN1Time;

use crate::config::Trust;

/// Checks the other side's certificates, and remembers why it refused.
#[derive(Debug)]
pub(crate) struct Verifier {
    trust: Option<Trust>,
    provider: Arc<CryptoProvider>,
    refused: Mutex<Option<String>>,
}

impl Verifier {
    pub(crate) fn new(trust: Option<Trust>, provider: Arc<CryptoProvider>) -> Self {
        Self { trust, provider, refused: Mutex::new(None) }
    }

    /// Returns why the last handshake was refused.
    pub(crate) fn refused(&self) -> Option<String> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn parse<'a>(der: &'a [u8], what: &str) -> Result<X509Certificate<'a>, String> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(format!("{what} has something behind its end")),
        Err(error) => Err(format!("{what} cannot be read: {error}")),
    }
}

fn check_time(certificate: &X509Certificate<'_>, now: UnixTime, what: &str) -> Result<(), String> {
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let now = ASN1Time::from_timestamp(seconds).map_err(|error| error.to_string())?;
    let validity = certificate.validity();
    if validity.is_valid_at(now) {
        return Ok(());
    }
    Err(format!(
        "{what} holds from {} to {}, and now it is {now}",
        validity.not_before, validity.not_after
    ))
}

/// Checks the chain that the other side presents.
///
/// # Errors
/// What differs, in words.
pub fn check(
    trust: &Trust,
    leaf: &[u8],
    others: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<(), String> {
    let anchor = parse(&trust.ca, "the CA certificate of the configuration")?;
    let leaf = parse(leaf, "its certificate")?;
    let [cluster] = others else {
        return Err("it presents no cluster certificate: is the cluster initialised?".to_owned());
    };
    let cluster = parse(cluster, "its cluster certificate")?;
    let by_anchor = cluster.issuer() == anchor.subject()
        && cluster.verify_signature(Some(anchor.public_key())).is_ok();
    if !by_anchor {
        return Err(
            "its cluster certificate is not signed by the CA of the configuration".to_owned()
        );
    }
    let wanted = trust.cluster.to_string();
    let named: Vec<&str> =
        cluster.subject().iter_common_name().filter_map(|name| name.as_str().ok()).collect();
    if !named.contains(&wanted.as_str()) {
        return Err(format!("its certificate is for {}, not for {wanted}", named.join(", ")));
    }
    let found = digest::sha256(&[cluster.public_key().raw]);
    if trust.key_sha256.is_some_and(|pinned| pinned != found) {
        return Err("its cluster key is another than the pinned one".to_owned());
    }
    check_time(&cluster, now, "its cluster certificate")?;
    if leaf.verify_signature(Some(cluster.public_key())).is_err() {
        return Err("its certificate is not signed by the cluster's key".to_owned());
    }
    check_time(&leaf, now, "its certificate")
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(trust) = &self.trust else { return Ok(ServerCertVerified::assertion()) };
        check(trust, end_entity, intermediates, now).map_err(|cause| {
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(cause);
            rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)
        })?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use casemate_protocol::identity::ClusterId;
    use rcgen::{CertificateParams, DnType, Issuer, KeyPair, PublicKeyData as _};
    use std::time::Duration;

    /// 2030-01-01.
    const NOW: u64 = 1_893_456_000;

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = rcgen::date_time_ymd(2029, 1, 1);
        params.not_after = rcgen::date_time_ymd(2031, 1, 1);
        params
    }

    /// A certificate by a key that says that it is `issuer`, whether it is or not.
    fn issued(
        params: &CertificateParams,
        key: &KeyPair,
        (issuer, by): (&str, &KeyPair),
    ) -> Vec<u8> {
        let issuer = self::params(issuer);
        let issuer = Issuer::from_params(&issuer, by);
        params.signed_by(key, &issuer).unwrap().der().to_vec()
    }

    struct Keys {
        ca: KeyPair,
        cluster: KeyPair,
        foreign: KeyPair,
        leaf: KeyPair,
    }

    fn case(keys: &Keys, cluster: &[u8], leaf: &[u8], now: u64) -> Result<(), String> {
        let ca = params("customer").self_signed(&keys.ca).unwrap().der().to_vec();
        let id = ClusterId::from_bytes([7; 10]);
        let key_sha256 = Some(digest::sha256(&[&keys.cluster.subject_public_key_info()]));
        let trust = Trust { cluster: id, ca, key_sha256 };
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
        check(&trust, leaf, &[CertificateDer::from(cluster.to_vec())], now)
    }

    /// Whoever can get or make a certificate for the cluster's own name, but has neither the customer's CA nor the cluster's key.
    #[test]
    fn only_the_customers_ca_and_the_clusters_key_make_a_chain() {
        let key = || KeyPair::generate().unwrap();
        let keys = Keys { ca: key(), cluster: key(), foreign: key(), leaf: key() };
        let id = ClusterId::from_bytes([7; 10]).to_string();
        let (customer, hsm) = (("customer", &keys.ca), params("hsm"));
        let cluster = issued(&params(&id), &keys.cluster, customer);
        let leaf = issued(&hsm, &keys.leaf, (&id, &keys.cluster));
        assert_eq!(case(&keys, &cluster, &leaf, NOW), Ok(()));

        let same_name = issued(&params(&id), &keys.cluster, ("customer", &keys.foreign));
        let other_name = issued(&params(&id), &keys.cluster, ("another", &keys.foreign));
        let pretends = issued(&params(&id), &keys.cluster, ("another", &keys.ca));
        let renamed = issued(&params("cluster-another"), &keys.cluster, customer);
        let other_key = issued(&params(&id), &keys.foreign, customer);
        let by_another = issued(&hsm, &keys.leaf, (&id, &keys.foreign));
        let by_the_ca = issued(&hsm, &keys.leaf, customer);
        let by_itself = hsm.self_signed(&keys.leaf).unwrap().der().to_vec();
        for (what, cluster, leaf, cause) in [
            ("a foreign CA of the same name", &same_name, &leaf, "not signed by the CA"),
            ("a foreign CA", &other_name, &leaf, "not signed by the CA"),
            ("another issuer's name", &pretends, &leaf, "not signed by the CA"),
            ("another cluster's name", &renamed, &leaf, "is for cluster-another, not for"),
            ("another cluster's key", &other_key, &by_another, "another than the pinned one"),
            ("a leaf by another cluster's key", &cluster, &by_another, "by the cluster's key"),
            ("a leaf by the CA itself", &cluster, &by_the_ca, "by the cluster's key"),
            ("a leaf by itself", &cluster, &by_itself, "by the cluster's key"),
            ("the leaf in the cluster's place", &leaf, &cluster, "not signed by the CA"),
        ] {
            let refused = case(&keys, cluster, leaf, NOW).unwrap_err();
            assert!(refused.contains(cause), "{what}: {refused}");
        }
        const YEAR: u64 = 365 * 86_400;
        for now in [NOW - 2 * YEAR, NOW + 2 * YEAR] {
            let refused = case(&keys, &cluster, &leaf, now).unwrap_err();
            assert!(refused.contains("its cluster certificate holds from"), "{refused}");
        }
        let mut old = params("hsm");
        old.not_after = rcgen::date_time_ymd(2029, 2, 1);
        let old = issued(&old, &keys.leaf, (&id, &keys.cluster));
        let refused = case(&keys, &cluster, &old, NOW).unwrap_err();
        assert!(refused.contains("its certificate holds from"), "{refused}");
    }
}
