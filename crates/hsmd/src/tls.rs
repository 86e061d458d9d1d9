//! TLS of the application port: 1.3 only, rustls over AWS-LC, hybrid post-quantum key exchange preferred.
//!
//! The identity comes from the module: a leaf that the cluster key signs inside. It is made anew when the cluster's life goes on
//! and when half of its time has passed, or the clock was moved back; connections that are open keep the one they have.

use std::sync::{Arc, Mutex, PoisonError};

use casemate_hsm::{Reader, Time};
use casemate_protocol::messages::Lifecycle;
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::clock::Clock;

/// Why there is no TLS configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("the module has no TLS identity: {0}")]
    Identity(casemate_protocol::Error),
    #[error("TLS cannot be set up")]
    Rustls(#[from] rustls::Error),
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
    current: Mutex<Current>,
}

impl Tls {
    /// Makes the first one.
    pub(crate) fn new(reader: Reader, clock: Arc<Clock>) -> Result<Self, TlsError> {
        let current = Mutex::new(make(&reader, clock.now())?);
        Ok(Self { reader, clock, current })
    }

    /// Returns the configuration for a new connection.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        let now = self.clock.now();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was moved back: clients whose clocks are right would not take the leaf yet.
        let too_early = Clock::machine() < current.begins;
        if current.lifecycle != self.reader.lifecycle() || now >= current.renew || too_early {
            match make(&self.reader, now) {
                Ok(next) => *current = next,
                Err(error) => tracing::error!(%error, "the TLS identity could not be renewed"),
            }
        }
        Arc::clone(&current.config)
    }
}

fn make(reader: &Reader, now: Time) -> Result<Current, TlsError> {
    let lifecycle = reader.lifecycle();
    let identity = reader.tls_identity(Clock::machine(), now).map_err(TlsError::Identity)?;
    let chain = identity.certificates.into_iter().map(CertificateDer::from).collect();
    let key = PrivatePkcs8KeyDer::from(identity.private_key.expose().to_vec());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::Pkcs8(key))?;
    config.max_early_data_size = 0;
    config.send_tls13_tickets = 0;
    let half = identity.ends.ms_since(now) / 2;
    let renew = now.after_ms(half);
    Ok(Current { lifecycle, begins: identity.begins, renew, config: Arc::new(config) })
}
