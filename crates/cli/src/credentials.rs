//! Who logs in: from arguments, from CASEMATE_ROLE and CASEMATE_PIN, or asked for.

use casemate_client::{Client, Config};
use casemate_protocol::Role;

use crate::arguments::{Credentials, RoleName};
use crate::error::CliError;
use crate::output::Output;

/// The role of a name.
pub(crate) const fn role(name: RoleName) -> Role {
    match name {
        RoleName::Admin => Role::Admin,
        RoleName::CryptoUser => Role::CryptoUser,
    }
}

/// Refuses a configuration that is of another cluster than the one that is meant.
pub(crate) fn expect_cluster(wanted: &str) -> Result<(), CliError> {
    let configured = Config::find()?.trust.map(|trust| trust.cluster.to_string());
    match configured {
        Some(configured) if configured == wanted => Ok(()),
        configured => Err(CliError::Failed(format!(
            "the configuration is of {}, not of {wanted}",
            configured.unwrap_or_else(|| "no cluster".to_owned())
        ))),
    }
}

fn from_environment() -> Result<(Role, String, String), CliError> {
    let missing =
        |name: &str| CliError::Usage(format!("{name} is not set, and no --username is given"));
    let role = std::env::var("CASEMATE_ROLE").map_err(|_error| missing("CASEMATE_ROLE"))?;
    let role = match role.as_str() {
        "admin" => Role::Admin,
        "crypto-user" => Role::CryptoUser,
        other => {
            return Err(CliError::Usage(format!(
                "CASEMATE_ROLE is {other}, not admin or crypto-user"
            )));
        }
    };
    let pin = std::env::var("CASEMATE_PIN").map_err(|_error| missing("CASEMATE_PIN"))?;
    // The form for PKCS#11 may begin with the role.
    let named = pin.strip_prefix("CU:").filter(|rest| rest.contains(':'));
    let (user, password) = named.unwrap_or(&pin).split_once(':').ok_or_else(|| {
        CliError::Usage("CASEMATE_PIN is not of the form user:password".to_owned())
    })?;
    Ok((role, user.to_owned(), password.to_owned()))
}

/// Returns a password, which is asked for if it is not given.
pub(crate) fn password(given: Option<&String>, prompt: &str) -> Result<String, CliError> {
    given.map_or_else(
        || {
            let asked = rpassword::prompt_password(format!("{prompt}: "));
            asked.map_err(|cause| {
                CliError::Usage(format!("no password is given, and none can be asked for: {cause}"))
            })
        },
        |given| Ok(given.clone()),
    )
}

/// Returns a new password, asked for twice if it is not given.
pub(crate) fn new_password(given: Option<&String>) -> Result<String, CliError> {
    let first = password(given, "Enter password")?;
    if given.is_none() && password(None, "Confirm password")? != first {
        return Err(CliError::Failed("the two passwords differ".to_owned()));
    }
    Ok(first)
}

/// Connects and logs in as the arguments or the environment say.
pub(crate) fn log_in(
    credentials: Option<&Credentials>,
    output: &Output,
) -> Result<Client, CliError> {
    let client = Client::new(Config::find()?);
    let given =
        credentials.and_then(|credentials| Some((credentials, credentials.username.as_ref()?)));
    let (role, user, password) = match given {
        Some((credentials, user)) => {
            let role = role(credentials.role.unwrap_or(RoleName::CryptoUser));
            (role, user.clone(), password(credentials.password.as_ref(), "Enter password")?)
        }
        None => from_environment()?,
    };
    output.waiting("waiting for the cluster", || client.log_in(&user, &password, Some(role)))?;
    Ok(client)
}
