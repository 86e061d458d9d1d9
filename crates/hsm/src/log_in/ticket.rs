//! Tickets: how a log-in survives a connection without a password.
//!
//! A ticket is a sealed record; its holder also has a secret that is inside it, and proves that on each
//! connection by HMAC over the TLS exporter (RFC 9266), so a ticket that was copied from a disk or a
//! wire is worth nothing alone and nothing on another connection. It holds for an hour and is renewed
//! while used. Context-specific log-ins and quorum are never satisfied by a ticket.

use std::sync::Arc;

use casemate_crypto::{Hash, Secret, constant_time_eq, hmac};
use casemate_protocol::canonical::{CanonicalError, Reader, Writer};
use casemate_protocol::identity::{ClientInstance, Epoch, LogInId, UserId};
use casemate_protocol::messages::{Answer, LoggedIn, Reply, UseTicket};
use casemate_protocol::{Error, Role, statements};

use crate::command::{Author, Change};
use crate::entropy::Time;
use crate::limits;
use crate::log_in::LogIn;
use crate::objects::ObjectCommand;
use crate::outcome::{Answered, CallerChange, Outcome};
use crate::permissions::Action;
use crate::reader::{Caller, Context, Reader as ModuleReader};
use crate::sealing::{Keyring, Purpose};

const DOMAIN: &str = "casemate/ticket-record/v1";
const CERTIFICATE_NONE: u8 = 0;
const CERTIFICATE_SHA256: u8 = 1;

/// Seals the ticket of a log-in.
fn seal(keyring: &Keyring, log_in: &LogIn) -> Vec<u8> {
    let mut record = Writer::new(DOMAIN);
    record
        .fixed(log_in.id.as_bytes())
        .fixed(log_in.user.as_bytes())
        .u32(log_in.role.number())
        .u64(log_in.epoch.0)
        .fixed(log_in.client.as_bytes())
        .u64(log_in.expires.0)
        .bytes(log_in.secret.expose());
    match &log_in.certificate {
        None => record.u8(CERTIFICATE_NONE),
        Some(sha256) => record.u8(CERTIFICATE_SHA256).fixed(sha256),
    };
    let record = Secret::from_vec(record.finish());
    keyring.seal(Purpose::Ticket, &[], record.expose())
}

fn read(record: &[u8]) -> Result<LogIn, CanonicalError> {
    let mut reader = Reader::new(record, DOMAIN)?;
    let id = LogInId::from_bytes(reader.fixed()?);
    let user = UserId::from_bytes(reader.fixed()?);
    let role = Role::from_number(reader.u32()?).ok_or(CanonicalError::Value)?;
    let epoch = Epoch(reader.u64()?);
    let client = ClientInstance::from_bytes(reader.fixed()?);
    let expires = Time(reader.u64()?);
    let secret = Secret::from_slice(reader.bytes()?);
    let certificate = match reader.u8()? {
        CERTIFICATE_NONE => None,
        CERTIFICATE_SHA256 => Some(reader.fixed()?),
        _ => return Err(CanonicalError::Value),
    };
    reader.finish()?;
    Ok(LogIn { id, user, role, epoch, client, certificate, secret, expires })
}

/// Makes the answer that logs a connection in, with a fresh ticket.
pub(crate) fn grant(keyring: &Keyring, log_in: LogIn, user: &str, now: Time) -> Answered {
    let logged_in = LoggedIn {
        ticket: seal(keyring, &log_in),
        secret: log_in.secret.expose().to_vec(),
        log_in: log_in.id.as_bytes().to_vec(),
        user: user.to_owned(),
        role: log_in.role.number(),
        seconds: log_in.expires.ms_since(now) / 1_000,
    };
    let reply = Reply::new(Answer::LoggedIn(logged_in));
    Answered { reply, caller: CallerChange::LoggedIn(Arc::new(log_in)) }
}

/// Answers [`UseTicket`].
pub(crate) fn handle(context: &Context<'_>, caller: &Caller, request: &UseTicket) -> Outcome {
    let log_in = match check(context, caller, request) {
        Ok(log_in) => log_in,
        Err(error) => return Outcome::error(error),
    };
    let reader = context.reader.clone();
    let now = context.now;
    // The leader's state decides whether the ticket still holds: a lagging HSM may not know of a revocation.
    Outcome::ConfirmThen(Box::new(move || {
        let state = reader.state();
        if let Err(error) = log_in.check(&state, now) {
            return Outcome::error(error);
        }
        let name = state.users.get(log_in.user).map(|user| user.name.to_string());
        let Some(name) = name else { return Outcome::error(Error::TicketInvalid) };
        renew(&reader, log_in, name, now)
    }))
}

/// Grants the next ticket. What is kept of the log-in's session objects must last as long as that, so it is prolonged before; if that
/// cannot be, the ticket ends when the one before would have.
fn renew(reader: &ModuleReader, log_in: LogIn, name: String, now: Time) -> Outcome {
    let expires = now.after_ms(limits::TICKET_MS);
    if !reader.state().objects.session_floors.has(log_in.id) {
        let renewed = LogIn { expires, ..log_in };
        return Outcome::Reply(grant(&reader.keyring(), renewed, &name, now));
    }
    let author =
        Author { user: log_in.user, role: log_in.role, epoch: log_in.epoch, log_in: log_in.id };
    let keep = Change::Objects(ObjectCommand::KeepSessionFloors);
    let keyring = reader.keyring();
    reader.authority(author, now).propose_with(Action::ManageObjects, keep, move |reply| {
        let kept = matches!(reply.answer, Some(Answer::Done(_)));
        let expires = if kept { expires } else { log_in.expires };
        grant(&keyring, LogIn { expires, ..log_in }, &name, now)
    })
}

fn check(context: &Context<'_>, caller: &Caller, request: &UseTicket) -> Result<LogIn, Error> {
    let opened = context.keyring.open(Purpose::Ticket, &request.ticket);
    let opened = opened.map_err(|_error: crate::sealing::SealError| Error::TicketInvalid)?;
    let log_in =
        read(opened.plaintext.expose()).map_err(|_error: CanonicalError| Error::TicketInvalid)?;
    let nonce = <&[u8; 32]>::try_from(request.nonce.as_slice())
        .map_err(|_error: std::array::TryFromSliceError| Error::TicketInvalid)?;
    let message = statements::ticket_proof(&caller.exporter, nonce);
    let proof = hmac::sign(Hash::Sha256, log_in.secret.expose(), &[&message]);
    let proven = constant_time_eq(proof.as_ref(), &request.proof);
    if !proven || log_in.certificate != caller.certificate {
        return Err(Error::TicketInvalid);
    }
    log_in.check(context.state, context.now)?;
    Ok(log_in)
}
