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
