//! X.509 of a cluster: its CSR, the customer's certificate for it, and a leaf per HSM.
//!
//! ```text
//! customer's CA (trust anchor) ──signs──▶ cluster certificate (CN = cluster id)
//!                                          └─ its key signs inside ──▶ leaf of each HSM (CN = hsm id)
//! ```
//!
//! The cluster certificate is not a CA by X.509, and `openssl x509 -req` makes a version 1 certificate
//! of it: so the two steps are checked one by one, here and in the client, and not as a path of
//! RFC 5280. Parsing and signatures are `x509-parser`'s over AWS-LC; making is `rcgen`'s.

use casemate_crypto::{Secret, ec};
use casemate_protocol::Error;
use casemate_protocol::identity::{ClusterId, HsmId};
use casemate_protocol::messages::Csr;
use casemate_protocol::statements;
use rcgen::PKCS_ECDSA_P256_SHA256 as P256;
use rcgen::{CertificateParams, DistinguishedName, DnType, Issuer, KeyPair, SerialNumber};
use rcgen::{ExtendedKeyUsagePurpose, KeyUsagePurpose, SanType};
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::time::ASN1Time;

use super::ThisHsm;
use crate::StartError;
use crate::entropy::{Time, draw};
use crate::limits;
use crate::reader::Reader;

/// What TLS needs: a chain and a private key, for one HSM.
pub struct TlsIdentity {
    /// DER: the leaf, then the cluster certificate once the cluster is initialised.
    pub certificates: Vec<Vec<u8>>,
    /// PKCS#8 of the leaf's key.
    pub private_key: Secret,
    /// When the leaf begins, by any clock.
    pub begins: Time,
    /// When the leaf ends, by the module's.
    pub ends: Time,
}

fn rcgen_key(pkcs8: &Secret) -> Result<KeyPair, rcgen::Error> {
    KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8.expose().into(), &P256)
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// Makes the cluster's certificate request, with the module's word that the key was made inside.
pub(super) fn request(
    cluster: ClusterId,
    this: &ThisHsm,
    key: &ec::PrivateKey,
    identity: &Secret,
) -> Result<Csr, StartError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&cluster.to_string());
    params.distinguished_name.push(DnType::OrganizationName, "Casemate");
    let request = params.serialize_request(&rcgen_key(&key.to_pkcs8()?)?)?;
    let statement = statements::csr_evidence(cluster, this.id, request.der());
    let identity = ec::PrivateKey::from_pkcs8(identity.expose())?;
    Ok(Csr {
        csr: request.pem()?,
        module_certificate: String::new(),
        evidence: identity.sign_der(casemate_crypto::Hash::Sha256, &statement)?,
        hsm: this.id.as_bytes().to_vec(),
    })
}

/// Reads one PEM certificate as DER.
pub(super) fn read_pem(text: &str) -> Option<Vec<u8>> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(text.as_bytes()).ok()?;
    (pem.label == "CERTIFICATE").then_some(pem.contents)
}

fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    rest.is_empty().then_some(certificate)
}

/// Returns when a certificate ends, in seconds since 1970; 0 if there is none.
pub(crate) fn end(der: &[u8]) -> u64 {
    parse(der).map_or(0, |certificate| {
        u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or(0)
    })
}

fn check_time(certificate: &X509Certificate<'_>, now: Time) -> Result<(), Error> {
    let seconds = i64::try_from(now.seconds()).unwrap_or(i64::MAX);
    let now = ASN1Time::from_timestamp(seconds).map_err(|_error| Error::CertificateExpired)?;
    if certificate.validity().is_valid_at(now) { Ok(()) } else { Err(Error::CertificateExpired) }
}

/// Checks a trust anchor: self-signed, and a CA if it has extensions (version 1 has none).
fn check_trust_anchor(der: &[u8], now: Time) -> Result<X509Certificate<'_>, Error> {
    let anchor = parse(der).ok_or(Error::TrustAnchorInvalid)?;
    let constraints = anchor.basic_constraints().map_err(|_error| Error::TrustAnchorInvalid)?;
    let is_ca = match constraints {
        Some(constraints) => constraints.value.ca,
        None => anchor.extensions().is_empty(),
    };
    let self_signed = anchor.subject() == anchor.issuer() && anchor.verify_signature(None).is_ok();
    if !is_ca || !self_signed {
        return Err(Error::TrustAnchorInvalid);
    }
    check_time(&anchor, now)?;
    Ok(anchor)
}

/// Checks the customer's certificate: for this cluster's key and id, by this trust anchor, at this time.
pub(super) fn check_cluster_certificate(
    cluster: ClusterId,
    spki: &[u8],
    certificate: &[u8],
    trust_anchor: &[u8],
    now: Time,
) -> Result<(), Error> {
    let anchor = check_trust_anchor(trust_anchor, now)?;
    let certificate = parse(certificate).ok_or(Error::CertificateInvalid)?;
    let names_cluster = certificate
        .subject()
        .iter_common_name()
        .any(|name| name.as_str().is_ok_and(|name| name == cluster.to_string()));
    let holds = certificate.public_key().raw == spki
        && names_cluster
        && certificate.issuer() == anchor.subject()
        && certificate.verify_signature(Some(anchor.public_key())).is_ok();
    if holds { check_time(&certificate, now) } else { Err(Error::CertificateInvalid) }
}

/// Checks that a certificate is that of an authority, and holds now.
///
/// # Errors
/// [`Error::SettingInvalid`].
pub(crate) fn check_authority(der: &[u8], now: Time) -> Result<(), Error> {
    check_trust_anchor(der, now).map(drop).map_err(|_error: Error| Error::SettingInvalid)
}

/// Checks that a key under the trust anchor signed a statement: the anchor's own, or one that it issued.
pub(crate) fn check_signature_under(
    trust_anchor: &[u8],
    certificate_pem: &str,
    (statement, signature): (&[u8], &[u8]),
    now: Time,
) -> Result<(), Error> {
    let anchor = parse(trust_anchor).ok_or(Error::Internal)?;
    let der = read_pem(certificate_pem).ok_or(Error::ActivationRefused)?;
    let signer = parse(&der).ok_or(Error::ActivationRefused)?;
    let under_anchor = der == trust_anchor
        || (signer.issuer() == anchor.subject()
            && signer.verify_signature(Some(anchor.public_key())).is_ok());
    if !under_anchor {
        return Err(Error::ActivationRefused);
    }
    check_time(&signer, now)?;
    let verified = casemate_crypto::verify_spki(
        signer.public_key().raw,
        casemate_crypto::Hash::Sha256,
        statement,
        signature,
    );
    verified.map_err(|_error: casemate_crypto::Error| Error::ActivationRefused)
}

/// Makes the certificate by which a module shows its identity key on the port between HSMs: self-signed, DER. It counts for its key alone.
///
/// # Errors
/// [`StartError::Certificate`].
pub fn identity_certificate(hsm: HsmId, identity: &Secret) -> Result<Vec<u8>, StartError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&hsm.to_string());
    Ok(params.self_signed(&rcgen_key(identity)?)?.der().to_vec())
}

/// Makes a fresh TLS key and its leaf certificate.
pub(crate) fn tls_identity(
    reader: &Reader,
    machine: Time,
    now: Time,
) -> Result<TlsIdentity, Error> {
    let state = reader.state();
    let cluster = state.cluster.as_ref().ok_or(Error::NotReady(limits::BUSY_MS))?;
    let cluster_key = cluster.open_key(&reader.keyring())?;
    // An hour back: the client's clock may be behind.
    let begins = Time(machine.min(now).0.saturating_sub(3_600_000));
    let ends = machine.max(now).after_ms(limits::LEAF_MS);
    let made = make_leaf(reader, cluster.id, &cluster_key, (begins, ends));
    let (leaf, private_key) = made.map_err(|_error: StartError| Error::Internal)?;
    reader.activity().made_leaf(ends.seconds());
    let mut certificates = vec![leaf];
    if !cluster.certificate.is_empty() {
        certificates.push(cluster.certificate.clone());
    }
    Ok(TlsIdentity { certificates, private_key, begins, ends: now.after_ms(limits::LEAF_MS) })
}

fn make_leaf(
    reader: &Reader,
    cluster: ClusterId,
    cluster_key: &Secret,
    (begins, ends): (Time, Time),
) -> Result<(Vec<u8>, Secret), StartError> {
    let leaf_key = ec::PrivateKey::generate(ec::Curve::P256)?.to_pkcs8()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&reader.this().id.to_string());
    params.serial_number = Some(SerialNumber::from_slice(&draw::<16>(reader.entropy())));
    params.not_before = moment(begins)?;
    params.not_after = moment(ends)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    if let Ok(address) = reader.this().address.parse::<std::net::SocketAddr>() {
        params.subject_alt_names = vec![SanType::IpAddress(address.ip())];
    }
    let mut issuer = CertificateParams::default();
    issuer.distinguished_name = named(&cluster.to_string());
    issuer.distinguished_name.push(DnType::OrganizationName, "Casemate");
    let issuer = Issuer::new(issuer, rcgen_key(cluster_key)?);
    let certificate = params.signed_by(&rcgen_key(&leaf_key)?, &issuer)?;
    Ok((certificate.der().to_vec(), leaf_key))
}

fn moment(time: Time) -> Result<OffsetDateTime, StartError> {
    let seconds = i64::try_from(time.seconds()).map_err(|_error| StartError::Clock)?;
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_error| StartError::Clock)
}
