//! The customer's side of a local cluster: a CA of its own.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};

use crate::error::CliError;

/// A customer with a CA.
pub(crate) struct Customer {
    /// PEM.
    pub(crate) certificate: String,
    /// PKCS#8, PEM.
    pub(crate) key: String,
}

fn failed(error: rcgen::Error) -> CliError {
    CliError::Failed(format!("the customer's certificate cannot be made: {error}"))
}

fn params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Casemate dev customer CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params.not_before = rcgen::date_time_ymd(2024, 1, 1);
    params.not_after = rcgen::date_time_ymd(2044, 1, 1);
    params
}

impl Customer {
    /// Makes a CA.
    pub(crate) fn generate() -> Result<Self, CliError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let certificate = params().self_signed(&key).map_err(failed)?;
        Ok(Self { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// Signs a cluster's request.
    pub(crate) fn sign(&self, csr: &str) -> Result<String, CliError> {
        let key = KeyPair::from_pem(&self.key).map_err(failed)?;
        let mut request = CertificateSigningRequestParams::from_pem(csr).map_err(failed)?;
        request.params.not_before = rcgen::date_time_ymd(2024, 1, 1);
        request.params.not_after = rcgen::date_time_ymd(2044, 1, 1);
        let issuer = params();
        let signed = request.signed_by(&Issuer::from_params(&issuer, &key)).map_err(failed)?;
        Ok(signed.pem())
    }
}
