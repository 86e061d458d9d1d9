//! Log-in by password: PBKDF2-HMAC-SHA-512 (SP 800-132), the verifier in the replicated state.
//!
//! Unknown users cost and look the same as wrong passwords: their salt is derived from their name
//! under a key of the cluster, so that the same name always takes the same way. A log-in is not
//! replicated; what it leaves behind is the ticket.

use std::sync::Arc;

use casemate_crypto::{Hash, Secret, constant_time_eq, hmac, kdf};
use casemate_protocol::canonical::Writer;
use casemate_protocol::identity::{ClientInstance, Epoch, LogInId, UserId, UserName};
use casemate_protocol::messages::{LogIn as Request, Reply};
use casemate_protocol::{Error, Role, limits as wire};

use crate::command::Change;
use crate::entropy::{Time, draw};
use crate::limits;
use crate::log_in::attempts::{Prefix, Reservation, Source};
use crate::log_in::{LogIn, ticket};
use crate::outcome::{Answered, Outcome};
use crate::reader::{Caller, Context, Reader};
use crate::state::State;
use crate::users::{User, UserChange};

/// What a password is checked against.
#[derive(Clone)]
pub(crate) struct Verifier {
    pub(crate) rounds: u32,
    pub(crate) salt: [u8; 32],
    pub(crate) hash: [u8; 32],
}

impl Verifier {
    /// Makes the verifier of a password: takes tens of milliseconds.
    ///
    /// # Errors
    /// [`Error::Internal`] if there are no rounds.
    pub(crate) fn new(password: &Secret, salt: [u8; 32], rounds: u32) -> Result<Self, Error> {
        let mut hash = [0; 32];
        kdf::pbkdf2(Hash::Sha512, password.expose(), &salt, rounds, &mut hash)
            .map_err(|_error: casemate_crypto::Error| Error::Internal)?;
        Ok(Self { rounds, salt, hash })
    }

    fn accepts(&self, password: &Secret) -> bool {
        Self::new(password, self.salt, self.rounds)
            .is_ok_and(|attempt| constant_time_eq(&attempt.hash, &self.hash))
    }
}

/// Checks the form of a password.
///
/// # Errors
/// [`Error::PasswordLength`].
pub(crate) fn check_form(password: &str) -> Result<Secret, Error> {
    let sized = (wire::PASSWORD_BYTES_MIN..=wire::PASSWORD_BYTES_MAX).contains(&password.len());
    // The colon separates name and password in a PKCS#11 PIN.
    if sized && !password.contains(':') && !password.contains('\0') {
        Ok(Secret::from_slice(password.as_bytes()))
    } else {
        Err(Error::PasswordLength)
    }
}

/// Answers [`Request`].
pub(crate) fn handle(context: &Context<'_>, caller: &Caller, request: &Request) -> Outcome {
    if caller.log_in.is_some() {
        return Outcome::error(Error::AlreadyLoggedIn);
    }
    let attempt = match Attempt::read(caller, request) {
        Ok(attempt) => attempt,
        Err(error) => return Outcome::error(error),
    };
    let reader = context.reader.clone();
    let now = context.now;
    Outcome::ConfirmThen(Box::new(move || {
        match Reservation::new(reader.clone(), attempt.source.clone(), now) {
            Err(error) => Outcome::error(error),
            Ok(reservation) => Outcome::stretch(move || match attempt.check(&reader, now) {
                Ok(outcome) => {
                    reservation.right();
                    outcome
                }
                Err(error) => {
                    let state = reader.state();
                    let user = state.users.named(&attempt.name, attempt.source.role);
                    refuse(&reader, reservation, user, error, now)
                }
            }),
        }
    }))
}

/// Refuses an attempt, and locks the user if it is time. A user that does not exist takes the same way: a lock of nobody.
fn refuse(
    reader: &Reader,
    reservation: Reservation,
    user: Option<&Arc<User>>,
    error: Error,
    now: Time,
) -> Outcome {
    if !reservation.wrong() {
        return Outcome::error(error);
    }
    let nobody = (UserId::from_bytes(draw(reader.entropy())), Epoch(1));
    let (user, epoch) = user.map_or(nobody, |user| (user.id, user.epoch));
    let change = Change::User(UserChange::Lock { user, epoch });
    reader.propose_unasked(change, now, move |_locked| Answered::new(Reply::error(error)))
}

/// Checks once more the password of the one who is logged in, then goes on: by the same pool, counted, delayed and locked as a log-in.
///
/// # Errors
/// [`Error::PasswordIncorrect`] if it cannot be one.
pub(crate) fn confirm(
    context: &Context<'_>,
    password: &str,
    then: impl FnOnce() -> Outcome + Send + 'static,
) -> Result<Outcome, Error> {
    let log_in = Arc::clone(context.log_in.ok_or(Error::LogInRequired)?);
    let user = context.state.users.get(log_in.user).ok_or(Error::TicketInvalid)?;
    let password = check_form(password).map_err(|_error: Error| Error::PasswordIncorrect)?;
    let prefix = Prefix::new(context.caller.source, context.caller.certificate);
    let source = Source { user: user.name.to_string(), role: user.role, prefix };
    let (reader, now) = (context.reader.clone(), context.now);
    Ok(Outcome::ConfirmThen(Box::new(move || {
        match Reservation::new(reader.clone(), source, now) {
            Err(error) => Outcome::error(error),
            Ok(reservation) => Outcome::stretch(move || {
                let state = reader.state();
                let user = state.users.get(log_in.user);
                let refused = match user.filter(|user| user.verifier.accepts(&password)) {
                    None => Some(Error::PasswordIncorrect),
                    Some(user) => user.locked.then_some(Error::UserLocked),
                };
                if let Some(error) = refused {
                    return refuse(&reader, reservation, user, error, now);
                }
                reservation.right();
                match log_in.check(&state, now) {
                    Ok(()) => then(),
                    Err(error) => Outcome::error(error),
                }
            }),
        }
    })))
}

struct Attempt {
    source: Source,
    name: UserName,
    password: Secret,
    role: Role,
    client: ClientInstance,
    certificate: Option<[u8; 32]>,
}

impl Attempt {
    fn read(caller: &Caller, request: &Request) -> Result<Self, Error> {
        let name =
            UserName::new(&request.user).map_err(|_error: Error| Error::PasswordIncorrect)?;
        let password =
            check_form(&request.password).map_err(|_error: Error| Error::PasswordIncorrect)?;
        let role = match request.role {
            0 => Role::CryptoUser,
            number => Role::from_number(number).ok_or(Error::PasswordIncorrect)?,
        };
        let client = ClientInstance::try_from(request.client.as_slice())
            .map_err(|_error: casemate_protocol::identity::IdentityError| Error::Malformed)?;
        let prefix = Prefix::new(caller.source, caller.certificate);
        let source = Source { user: name.to_string(), role, prefix };
        Ok(Self { source, name, password, role, client, certificate: caller.certificate })
    }

    fn check(&self, reader: &Reader, now: Time) -> Result<Outcome, Error> {
        let state = reader.state();
        let user = state.users.named(&self.name, self.role);
        // Made for users that exist too, so that it is no sign of one that does not.
        let decoy = decoy_verifier(&state, reader, &self.name);
        let verifier = user.map_or(&decoy, |user| &user.verifier);
        let right = verifier.accepts(&self.password);
        let user = user.filter(|_| right).ok_or(Error::PasswordIncorrect)?;
        if user.locked {
            return Err(Error::UserLocked);
        }
        let log_in = LogIn {
            id: LogInId::from_bytes(draw(reader.entropy())),
            user: user.id,
            role: user.role,
            epoch: user.epoch,
            client: self.client,
            certificate: self.certificate,
            secret: Secret::random(32),
            expires: now.after_ms(limits::TICKET_MS),
        };
        Ok(Outcome::Reply(ticket::grant(&reader.keyring(), log_in, user.name.as_str(), now)))
    }
}

/// The verifier of a user that does not exist: no password fits it, and it costs as much as a real one.
fn decoy_verifier(state: &State, reader: &Reader, name: &UserName) -> Verifier {
    let message = Writer::new("casemate/decoy/v1").bytes(name.as_str().as_bytes()).finish();
    let tag = hmac::sign(Hash::Sha512, reader.keyring().state_key().expose(), &[&message]);
    let mut verifier =
        Verifier { rounds: state.settings().password_rounds, salt: [0; 32], hash: [0; 32] };
    verifier.salt.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    verifier
        .hash
        .iter_mut()
        .zip(tag.as_ref().iter().skip(32))
        .for_each(|(to, from)| *to = *from);
    verifier
}
