//! TLS of the application port: 1.3 only, rustls over AWS-LC, hybrid post-quantum key exchange preferred.
//!
//! The identity comes from the module: a leaf that the cluster key signs inside. It is made anew when the cluster's life goes on
//! and when half of its time has passed, or the clock was moved back; connections that are open keep the one they have.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use casemate_hsm::{Reader, Time};
use casemate_protocol::messages::Lifecycle;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::clock::Clock;

/// Why there is no TLS configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("the module has no TLS identity: {0}")]
    Identity(casemate_protocol::Error),
    #[error("TLS cannot be set up")]
    Rustls(#[from] rustls::Error),
    #[error("the CA of client certificates, {path}, cannot be used: {cause}")]
    ClientCa { path: PathBuf, cause: String },
}

/// Reads the CA of client certificates: who shows none is let in by TLS, and told by the daemon if that is not enough.
pub(crate) fn client_verifier(ca: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let unusable = |cause: &dyn std::fmt::Display| TlsError::ClientCa {
        path: ca.to_owned(),
        cause: cause.to_string(),
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).map_err(|error| unusable(&error))? {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    verifier.allow_unauthenticated().build().map_err(|error| unusable(&error))
}

struct Current {
    lifecycle: Option<Lifecycle>,
    begins: Time,
    renew: Time,
    config: Arc<ServerConfig>,
}

/// The TLS configuration of now.
pub(crate) struct Tls {
    reader: Reader,
    clock: Arc<Clock>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
    current: Mutex<Current>,
}

impl Tls {
    /// Makes the first one.
    pub(crate) fn new(
        reader: Reader,
        clock: Arc<Clock>,
        clients: Option<Arc<dyn ClientCertVerifier>>,
    ) -> Result<Self, TlsError> {
        let current = Mutex::new(make(&reader, clock.now(), clients.as_ref())?);
        Ok(Self { reader, clock, clients, current })
    }

    /// Returns the configuration for a new connection.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        let now = self.clock.now();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was moved back: clients whose clocks are right would not take the leaf yet.
        let too_early = Clock::machine() < current.begins;
        if current.lifecycle != self.reader.lifecycle() || now >= current.renew || too_early {
            match make(&self.reader, now, self.clients.as_ref()) {
                Ok(next) => *current = next,
                Err(error) => tracing::error!(%error, "the TLS identity could not be renewed"),
            }
        }
        Arc::clone(&current.config)
    }
}

fn make(
    reader: &Reader,
    now: Time,
    clients: Option<&Arc<dyn ClientCertVerifier>>,
) -> Result<Current, TlsError> {
    let lifecycle = reader.lifecycle();
    let identity = reader.tls_identity(Clock::machine(), now).map_err(TlsError::Identity)?;
    let chain = identity.certificates.into_iter().map(CertificateDer::from).collect();
    let key = PrivatePkcs8KeyDer::from(identity.private_key.expose().to_vec());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    let config = match clients {
        Some(verifier) => config.with_client_cert_verifier(Arc::clone(verifier)),
        None => config.with_no_client_auth(),
    };
    let mut config = config.with_single_cert(chain, PrivateKeyDer::Pkcs8(key))?;
    config.max_early_data_size = 0;
    config.send_tls13_tickets = 0;
    let half = identity.ends.ms_since(now) / 2;
    let renew = now.after_ms(half);
    Ok(Current { lifecycle, begins: identity.begins, renew, config: Arc::new(config) })
}
