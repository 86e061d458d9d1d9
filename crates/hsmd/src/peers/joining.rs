//! A module without a cluster asks until it is let in.

use std::net::SocketAddr;
use std::time::Duration;

use casemate_hsm::{Joiner, MemberAddress, Secrets};
use casemate_protocol::Error;
use casemate_protocol::messages::{Challenge, Evidence, JoinAnswer, JoinRequest, Joining};
use prost::Message as _;

use super::link::ask_to_join;
use super::tls::PeerTls;
use crate::tpm::{Tpm, TpmError};

/// Why a module does not join.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JoinError {
    #[error("the module cannot make its request")]
    Request(#[from] casemate_hsm::StartError),
    #[error("the cluster does not let this HSM in: {0}")]
    Refused(Error),
    #[error("the module cannot ask")]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Tpm(#[from] TpmError),
}

/// Makes the request that shows what this machine runs, if it has a TPM.
fn attest(
    joiner: &Joiner,
    tpm: Option<&mut Tpm>,
    challenge: &Challenge,
) -> Result<Option<JoinRequest>, JoinError> {
    let Some(tpm) = tpm else { return Ok(None) };
    let (request, bound) = joiner.challenged(challenge)?;
    let evidence = tpm.quote(challenge, bound)?;
    let nonce = challenge.nonce.clone();
    Ok(Some(JoinRequest { evidence: Some(Evidence { nonce, ..evidence }), ..request }))
}

const PAUSE: Duration = Duration::from_millis(200);
/// Looks between two lines of the log.
const LOOKS_PER_LINE: usize = 150;

/// Asks each address in turn, until one hands over the cluster's secrets.
pub(crate) fn join(
    joiner: &Joiner,
    tls: &PeerTls,
    addresses: &[SocketAddr],
    mut tpm: Option<Tpm>,
) -> Result<(Secrets, Vec<MemberAddress>), JoinError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut cause = String::new();
    // What to show when it asks next, if the cluster wants to see something.
    let mut shown = None;
    for (looks, address) in addresses.iter().cycle().enumerate() {
        let request = shown.take().map_or_else(|| joiner.request(), Ok)?.encode_to_vec();
        let asked = runtime.block_on(ask_to_join(tls, &address.to_string(), request));
        let answer = asked.map(|(_, answer)| JoinAnswer::decode(answer.as_slice()));
        match answer {
            Ok(Ok(JoinAnswer { joining: Some(Joining::Handover(handover)) })) => {
                match joiner.take(&handover) {
                    Ok(joined) => return Ok(joined),
                    Err(error) => cause = error.to_string(),
                }
            }
            Ok(Ok(JoinAnswer { joining: Some(Joining::Refused(error)) })) => {
                return Err(JoinError::Refused(error.into()));
            }
            Ok(Ok(JoinAnswer { joining: Some(Joining::Pending(_)) })) => {
                "an admin must let it in: `casemate cluster add-hsm`".clone_into(&mut cause);
            }
            Ok(Ok(JoinAnswer { joining: Some(Joining::Challenge(challenge)) })) => {
                shown = attest(joiner, tpm.as_mut(), &challenge)?;
                "the cluster wants a quote of this machine's TPM: `[attestation]` in the configuration"
                    .clone_into(&mut cause);
                if shown.is_some() {
                    continue;
                }
            }
            Ok(Ok(JoinAnswer { joining: None }) | Err(_)) => {
                "the answer makes no sense".clone_into(&mut cause);
            }
            Err(error) => cause = error.to_string(),
        }
        if looks % LOOKS_PER_LINE == 0 {
            tracing::info!(hsm = %joiner.id(), %address, cause, "waiting to join");
        }
        std::thread::sleep(PAUSE);
    }
    Err(JoinError::Io(std::io::ErrorKind::AddrNotAvailable.into()))
}
