//! `casemate cluster …`: its life and health.

use std::path::Path;

use casemate_client::{Client, ClientError, Config};
use casemate_crypto::{Hash, ec};
use casemate_protocol::identity::ClusterId;
use casemate_protocol::messages::Initialize as Handed;
use casemate_protocol::messages::{Answer, Ask, Csr, Empty, Status};
use serde_json::json;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer as _;

use crate::arguments::{Activate, Cluster, Initialize};
use crate::credentials::new_password;
use crate::error::{CliError, read, write};
use crate::hex;
use crate::join_policy;
use crate::members;
use crate::output::Output;
use crate::status;

/// Runs a command of the group.
pub(crate) fn run(command: Cluster, wanted: Option<&str>, output: &Output) -> Result<(), CliError> {
    match command {
        Cluster::SetJoinPolicy(arguments) => join_policy::run(&arguments, output),
        Cluster::Status(arguments) => status::run(&arguments, output),
        Cluster::Initialize(arguments) => initialize(&arguments, wanted, output),
        Cluster::VerifyCsr { csr } => {
            let pem = read(&csr)?;
            let cluster = check_csr(&String::from_utf8_lossy(&pem), wanted)?;
            output.result(
                &format!("the request is for {cluster}, signed by its own key"),
                json!({ "cluster-id": cluster }),
            );
            Ok(())
        }
        Cluster::Activate(arguments) => activate(&arguments, output),
        Cluster::ListJoining => members::list(output),
        Cluster::AddHsm(arguments) => members::add_hsm(&arguments, output),
        Cluster::RemoveHsm { hsm } => members::remove_hsm(&hsm, output),
    }
}

pub(crate) fn id<const N: usize, T>(bytes: &[u8], make: fn([u8; N]) -> T) -> Option<T> {
    bytes.try_into().ok().map(make)
}

/// Asks an HSM for its status.
pub(crate) fn fetch_status(client: &Client) -> Result<Status, CliError> {
    match client.call(Ask::Status(Empty {}))? {
        Answer::Status(status) => Ok(status),
        _ => Err(ClientError::Unexpected.into()),
    }
}

/// Fetches the certificate request of a cluster that is not initialised.
pub(crate) fn fetch_csr(client: &Client) -> Result<Csr, CliError> {
    match client.call(Ask::Csr(Empty {}))? {
        Answer::Csr(csr) => Ok(csr),
        _ => Err(ClientError::Unexpected.into()),
    }
}

/// Checks that a certificate request is signed by its own key and names a cluster; returns the cluster.
pub(crate) fn check_csr(pem: &str, wanted: Option<&str>) -> Result<String, CliError> {
    let wrong = |cause: &str| CliError::Failed(format!("the certificate request {cause}"));
    let (_, parsed) =
        x509_parser::pem::parse_x509_pem(pem.as_bytes()).map_err(|_error| wrong("is not PEM"))?;
    let (_, request) = X509CertificationRequest::from_der(&parsed.contents)
        .map_err(|_error| wrong("cannot be read"))?;
    request
        .verify_signature()
        .map_err(|_error| wrong("is not signed by the key that it is for"))?;
    let subject = &request.certification_request_info.subject;
    let named = subject.iter_common_name().filter_map(|name| name.as_str().ok()).next();
    let named = named.ok_or_else(|| wrong("names no cluster"))?;
    named.parse::<ClusterId>().map_err(|_error| wrong("names no cluster"))?;
    match wanted {
        Some(wanted) if wanted != named => Err(wrong(&format!("is for {named}, not for {wanted}"))),
        _ => Ok(named.to_owned()),
    }
}

/// Hands in the signed certificate.
pub(crate) fn hand_in(
    client: &Client,
    certificate: &str,
    trust_anchor: &str,
) -> Result<(), CliError> {
    let ask = Handed { certificate: certificate.to_owned(), trust_anchor: trust_anchor.to_owned() };
    client.call(Ask::Initialize(ask))?;
    Ok(())
}

/// Returns the text of a client configuration.
pub(crate) fn client_config(
    cluster: &str,
    addresses: &[String],
    ca: &str,
    key_sha256: &[u8],
) -> String {
    let addresses: Vec<String> = addresses.iter().map(|address| format!("\"{address}\"")).collect();
    format!(
        "# Where the cluster is, and how it is known.\n[cluster]\nid = \"{cluster}\"\naddresses = [{}]\nca = \"{ca}\"\ncluster_key_sha256 = \"{}\"\n",
        addresses.join(", "),
        hex::encode(key_sha256),
    )
}

fn initialize(
    arguments: &Initialize,
    wanted: Option<&str>,
    output: &Output,
) -> Result<(), CliError> {
    let client = Client::new(Config::uninitialized(&arguments.address));
    if let Some(path) = &arguments.csr {
        let csr = output.waiting("waiting for the HSM", || fetch_csr(&client))?;
        let cluster = check_csr(&csr.csr, wanted)?;
        write(path, csr.csr.as_bytes())?;
        let text = format!(
            "{} holds the request of {cluster}: sign it with your CA, then hand the certificate in",
            path.display()
        );
        output.result(&text, json!({ "cluster-id": cluster, "csr": path.display().to_string() }));
        return Ok(());
    }
    let (Some(certificate), Some(anchor)) = (&arguments.certificate, &arguments.trust_anchor)
    else {
        return Err(CliError::Usage("give --csr, or --certificate and --trust-anchor".to_owned()));
    };
    let text = |path: &Path| Ok::<_, CliError>(String::from_utf8_lossy(&read(path)?).into_owned());
    hand_in(&client, &text(certificate)?, &text(anchor)?)?;
    let status = fetch_status(&client)?;
    let cluster =
        id(&status.cluster, ClusterId::from_bytes).map_or_else(String::new, |id| id.to_string());
    if let Some(config) = &arguments.config {
        let ca = std::path::absolute(anchor)?.display().to_string();
        let addresses = [arguments.address.clone()];
        write(
            config,
            client_config(&cluster, &addresses, &ca, &status.cluster_key_sha256).as_bytes(),
        )?;
    }
    output.result(
        &format!("{cluster} is initialised: activate it next"),
        json!({ "cluster-id": cluster, "state": "INITIALIZED" }),
    );
    Ok(())
}

/// Signs an activation statement by a P-256 key in PKCS#8 (PEM or DER inside).
pub(crate) fn sign_statement(key_pem: &str, statement: &[u8]) -> Result<Vec<u8>, CliError> {
    let wrong = || CliError::Failed("the activation key is not a P-256 key in PKCS#8".to_owned());
    let (_, pem) =
        x509_parser::pem::parse_x509_pem(key_pem.as_bytes()).map_err(|_error| wrong())?;
    let key = ec::PrivateKey::from_pkcs8(&pem.contents).map_err(|_error| wrong())?;
    key.sign_der(Hash::Sha256, statement).map_err(|_error| wrong())
}

fn activate(arguments: &Activate, output: &Output) -> Result<(), CliError> {
    let client = Client::new(Config::find()?);
    let text = |path: &Path| Ok::<_, CliError>(String::from_utf8_lossy(&read(path)?).into_owned());
    let (certificate, key) = match (&arguments.activation_cert, &arguments.activation_key) {
        (Some(certificate), Some(key)) => (text(certificate)?, Some(text(key)?)),
        // Where activation is open, nobody need sign; elsewhere the HSM says that somebody must.
        _ => (String::new(), None),
    };
    if let Some(key) = &key {
        sign_statement(key, b"the key is read before anything is sent")?;
    }
    let sign = |statement: &[u8]| {
        key.as_ref().and_then(|key| sign_statement(key, statement).ok()).unwrap_or_default()
    };
    let password = new_password(arguments.password.as_ref())?;
    output.waiting("waiting for the cluster", || client.activate(&password, sign, &certificate))?;
    output.result("Cluster activation successful", json!("Cluster activation successful"));
    Ok(())
}
