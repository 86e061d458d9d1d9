//! `casemate user …` and `casemate login`.

use casemate_client::{Client, ClientError};
use casemate_protocol::Role;
use casemate_protocol::messages::{Answer, Ask, CreateUser, Empty, NamedUser};
use serde_json::json;

use crate::arguments::{Credentials, User, UserName};
use crate::credentials::{log_in, new_password, role};
use crate::error::CliError;
use crate::output::Output;

/// Checks a log-in.
pub(crate) fn login(credentials: &Credentials, output: &Output) -> Result<(), CliError> {
    let client = log_in(Some(credentials), output)?;
    if let Some(who) = client.logged_in() {
        let text = format!("{} may log in as {}", who.user, who.role.name());
        output.result(&text, json!({ "username": who.user, "role": who.role.name() }));
    }
    client.log_out()?;
    Ok(())
}

/// Runs a command, logged in, and logs out.
fn with_log_in(ask: Ask, output: &Output) -> Result<Answer, CliError> {
    let client = log_in(None, output)?;
    let answer = client.call(ask);
    // A changed password of one's own ends the log-in by itself.
    let _ended = client.log_out().is_ok();
    Ok(answer?)
}

fn user_ask(user: &UserName, password: Option<&String>) -> Result<CreateUser, CliError> {
    let password = new_password(password)?;
    Ok(CreateUser { user: user.username.clone(), role: role(user.role).number(), password })
}

fn done(answer: Answer, what: &str, output: &Output) -> Result<(), CliError> {
    let Answer::User(user) = answer else { return Err(ClientError::Unexpected.into()) };
    let role = Role::from_number(user.role).map_or("unknown", Role::name);
    output.result(
        &format!("{what}: {} ({role})", user.user),
        json!({ "username": user.user, "role": role }),
    );
    Ok(())
}

/// Runs a command of the group.
pub(crate) fn run(command: User, output: &Output) -> Result<(), CliError> {
    match command {
        User::Create { user, password } => {
            let answer = with_log_in(Ask::CreateUser(user_ask(&user, password.as_ref())?), output)?;
            done(answer, "created", output)
        }
        User::ChangePassword { user, password } => {
            let answer =
                with_log_in(Ask::ChangePassword(user_ask(&user, password.as_ref())?), output)?;
            done(answer, "password changed", output)
        }
        User::Delete { user } => {
            let ask = NamedUser { user: user.username.clone(), role: role(user.role).number() };
            done(with_log_in(Ask::DeleteUser(ask), output)?, "deleted", output)
        }
        User::List => list(output),
    }
}

fn list(output: &Output) -> Result<(), CliError> {
    let Answer::Users(users) = with_log_in(Ask::ListUsers(Empty {}), output)? else {
        return Err(ClientError::Unexpected.into());
    };
    let mut lines = Vec::new();
    let mut data = Vec::new();
    for user in users.users {
        let role = Role::from_number(user.role).map_or("unknown", Role::name);
        let locked = if user.locked { ", locked" } else { "" };
        lines.push(format!("{} ({role}{locked})", user.user));
        // AWS prints these as strings.
        data.push(json!({
            "username": user.user,
            "role": role,
            "locked": user.locked.to_string(),
            "mfa": [],
            "quorum": [],
            "cluster-coverage": "full",
        }));
    }
    output.result(&lines.join("\n"), json!({ "users": data }));
    Ok(())
}

/// Creates a user on a connection that is logged in: for `dev up`.
pub(crate) fn create(
    client: &Client,
    user: &str,
    role: Role,
    password: &str,
) -> Result<(), CliError> {
    let ask =
        CreateUser { user: user.to_owned(), role: role.number(), password: password.to_owned() };
    client.call(Ask::CreateUser(ask))?;
    Ok(())
}
