//! A module without a cluster asks until it is let in.

use std::net::SocketAddr;
use std::time::Duration;

use casemate_hsm::{Joiner, MemberAddress, Secrets};
use casemate_protocol::Error;
use casemate_protocol::messages::{Challenge, JoinAnswer, JoinRequest, Joining};
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
    let ask = |address: &SocketAddr, request: &JoinRequest| {
        let (address, request) = (address.to_string(), request.encode_to_vec());
        let asked = runtime.block_on(ask_to_join(tls, &address, request));
        let (_, answer) = asked.map_err(|error| error.to_string())?;
        let answer = JoinAnswer::decode(answer.as_slice()).ok().and_then(|answer| answer.joining);
        answer.ok_or_else(|| "the answer makes no sense".to_owned())
    };
    for (looks, address) in addresses.iter().cycle().enumerate() {
        let mut answer = ask(address, &joiner.request()?);
        let mut waits_for = "an admin must let it in: `casemate cluster add-hsm`";
        if let (Ok(Joining::Challenge(challenge)), Some(tpm)) = (&answer, &mut tpm) {
            // The HSM that drew the nonce is the one that knows it.
            answer = ask(address, &attested(joiner, tpm, challenge)?);
            waits_for = "it showed what its machine runs";
        }
        let cause = match answer {
            Ok(Joining::Handover(handover)) => match joiner.take(&handover) {
                Ok(joined) => return Ok(joined),
                Err(error) => error.to_string(),
            },
            Ok(Joining::Refused(error)) => return Err(JoinError::Refused(error.into())),
            Ok(Joining::Pending(_)) => waits_for.to_owned(),
            Ok(Joining::Challenge(_)) => {
                "the cluster wants a quote of this machine's TPM: `[attestation]` in the configuration"
                    .to_owned()
            }
            Err(cause) => cause,
        };
        if looks % LOOKS_PER_LINE == 0 {
            tracing::info!(hsm = %joiner.id(), %address, cause, "waiting to join");
        }
        std::thread::sleep(PAUSE);
    }
    Err(JoinError::Io(std::io::ErrorKind::AddrNotAvailable.into()))
}

/// Makes the request that shows what this machine runs.
fn attested(
    joiner: &Joiner,
    tpm: &mut Tpm,
    challenge: &Challenge,
) -> Result<JoinRequest, JoinError> {
    let (request, bound) = joiner.challenged(challenge)?;
    let evidence = Some(tpm.quote(challenge, bound)?);
    Ok(JoinRequest { evidence, ..request })
}
