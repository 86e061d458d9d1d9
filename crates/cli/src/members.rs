//! `casemate cluster add-hsm | remove-hsm | list-joining`: which HSMs belong to the cluster.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use casemate_client::{Client, ClientError};
use casemate_protocol::identity::{ClusterId, HsmId, Incarnation};
use casemate_protocol::messages::{AddHsm, Answer, Ask, Empty, JoinRequest, RemoveHsm};
use casemate_protocol::statements;
use serde_json::json;

use crate::arguments;
use crate::cluster::{fetch_status, sign_statement};
use crate::credentials::log_in;
use crate::error::{CliError, read};
use crate::output::Output;

/// How long a consent holds: it is handed in at once.
const CONSENT: Duration = Duration::from_secs(600);

fn id(bytes: &[u8]) -> Option<HsmId> {
    bytes.try_into().ok().map(HsmId::from_bytes)
}

fn name(bytes: &[u8]) -> String {
    id(bytes).map_or_else(String::new, |id| id.to_string())
}

/// Asks which modules asked the HSM that answers to join.
pub(crate) fn joining(client: &Client) -> Result<Vec<JoinRequest>, CliError> {
    match client.call(Ask::ListJoining(Empty {}))? {
        Answer::JoinRequests(list) => Ok(list.requests),
        _ => Err(ClientError::Unexpected.into()),
    }
}

/// Lets a module in, by a key under the trust anchor.
pub(crate) fn add(
    client: &Client,
    request: &JoinRequest,
    (key, certificate): (&str, &str),
) -> Result<(), CliError> {
    let status = fetch_status(client)?;
    let cluster = status.cluster.as_slice().try_into().map(ClusterId::from_bytes);
    let incarnation = status.incarnation.as_slice().try_into().map(Incarnation::from_bytes);
    let (Ok(cluster), Ok(incarnation)) = (cluster, incarnation) else {
        return Err(ClientError::Unexpected.into());
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let ends = now.saturating_add(CONSENT).as_secs();
    let statement = statements::admission(cluster, incarnation, request, ends);
    let signature = sign_statement(key, &statement)?;
    let certificate = certificate.to_owned();
    client.call(Ask::AddHsm(AddHsm {
        request: Some(request.clone()),
        ends,
        signature,
        certificate,
    }))?;
    Ok(())
}

/// Shows which modules wait to be let in.
pub(crate) fn list(output: &Output) -> Result<(), CliError> {
    let client = log_in(None, output)?;
    let requests = joining(&client)?;
    let mut text = String::new();
    for request in &requests {
        let _written = writeln!(
            text,
            "{}  {}  zone {}  {}",
            name(&request.hsm),
            request.peer_address,
            request.zone,
            request.version
        )
        .is_ok();
    }
    if requests.is_empty() {
        text.push_str("no HSM waits to be let in");
    }
    let data: Vec<_> = requests
        .iter()
        .map(|request| {
            json!({ "hsm-id": name(&request.hsm), "peer-address": request.peer_address,
                "address": request.address, "zone": request.zone, "version": request.version })
        })
        .collect();
    output.result(text.trim_end(), json!(data));
    Ok(())
}

/// `cluster add-hsm`
pub(crate) fn add_hsm(arguments: &arguments::AddHsm, output: &Output) -> Result<(), CliError> {
    let client = log_in(None, output)?;
    let waiting = joining(&client)?;
    let request = waiting
        .iter()
        .find(|request| name(&request.hsm) == arguments.hsm)
        .ok_or_else(|| CliError::Failed(format!("{} does not wait to be let in", arguments.hsm)))?;
    let text = |path: &Path| Ok::<_, CliError>(String::from_utf8_lossy(&read(path)?).into_owned());
    let (key, certificate) = (text(&arguments.admission_key)?, text(&arguments.admission_cert)?);
    add(&client, request, (&key, &certificate))?;
    output.result(&format!("{} was let in", arguments.hsm), json!({ "added": arguments.hsm }));
    Ok(())
}

/// `cluster remove-hsm`
pub(crate) fn remove_hsm(hsm: &str, output: &Output) -> Result<(), CliError> {
    let id: HsmId =
        hsm.parse().map_err(|error| CliError::Failed(format!("`{hsm}` is no HSM: {error}")))?;
    let client = log_in(None, output)?;
    client.call(Ask::RemoveHsm(RemoveHsm { hsm: id.as_bytes().to_vec() }))?;
    output.result(&format!("{hsm} was taken out"), json!({ "removed": hsm }));
    Ok(())
}
