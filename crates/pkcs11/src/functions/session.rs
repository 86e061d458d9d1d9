//! Sessions and log-in (PKCS#11 3.2 §5.6).

use std::time::{Duration, Instant};

use casemate_client::{Client, ClientError};
use casemate_crypto::Wiped;
use casemate_protocol::messages::{Ask, CreateUser};
use casemate_protocol::{Error, Role};
use cryptoki_sys as ck;

use crate::code::{Code, Result};
use crate::library::{Library, SLOT};
use crate::pin::Pin;
use crate::sessions::Session;

/// Checks that a slot is the one there is.
///
/// # Errors
/// `CKR_SLOT_ID_INVALID`.
pub(crate) const fn check_slot(slot: ck::CK_SLOT_ID) -> Result<()> {
    if slot == SLOT { Ok(()) } else { Err(Code::SLOT_ID_INVALID) }
}

/// `C_OpenSession`
pub(crate) fn open(
    library: &Library,
    slot: ck::CK_SLOT_ID,
    flags: ck::CK_FLAGS,
) -> Result<ck::CK_SESSION_HANDLE> {
    check_slot(slot)?;
    if flags & ck::CKF_SERIAL_SESSION == 0 {
        return Err(Code(ck::CKR_SESSION_PARALLEL_NOT_SUPPORTED));
    }
    if flags & ck::CKF_ASYNC_SESSION != 0 {
        return Err(Code(ck::CKR_SESSION_ASYNC_NOT_SUPPORTED));
    }
    library.sessions.open(flags & ck::CKF_RW_SESSION != 0)
}

/// `C_CloseSession`: with the last session the log-in ends.
pub(crate) fn close(library: &Library, session: ck::CK_SESSION_HANDLE) -> Result<()> {
    let last = library.sessions.close(session)?;
    library.objects.forget_session(session);
    if last { log_out_if_in(library) } else { Ok(()) }
}

/// `C_CloseAllSessions`
pub(crate) fn close_all(library: &Library, slot: ck::CK_SLOT_ID) -> Result<()> {
    check_slot(slot)?;
    library.sessions.close_all();
    library.objects.forget_all();
    log_out_if_in(library)
}

/// Ends the log-in, if there is one: another thread may have been faster.
fn log_out_if_in(library: &Library) -> Result<()> {
    match library.log_out() {
        Err(Code::USER_NOT_LOGGED_IN) => Ok(()),
        outcome => outcome,
    }
}

/// `C_GetSessionInfo`
pub(crate) fn info(library: &Library, session: &Session) -> ck::CK_SESSION_INFO {
    let state = match (library.is_logged_in(), session.writes) {
        (false, false) => ck::CKS_RO_PUBLIC_SESSION,
        (true, false) => ck::CKS_RO_USER_FUNCTIONS,
        (false, true) => ck::CKS_RW_PUBLIC_SESSION,
        (true, true) => ck::CKS_RW_USER_FUNCTIONS,
    };
    let writes = if session.writes { ck::CKF_RW_SESSION } else { 0 };
    let flags = ck::CKF_SERIAL_SESSION | writes;
    ck::CK_SESSION_INFO { slotID: SLOT, state, flags, ulDeviceError: 0 }
}

/// `C_Login`, and `C_LoginUser`, which tells the name apart.
pub(crate) fn log_in(
    library: &Library,
    session: &Session,
    user_type: ck::CK_USER_TYPE,
    user: Option<&[u8]>,
    pin: &[u8],
) -> Result<()> {
    match user_type {
        ck::CKU_USER | ck::CKU_CONTEXT_SPECIFIC => {}
        ck::CKU_SO => {
            tracing::warn!(
                "a security officer does not log in here: admins use the command `casemate`"
            );
            return Err(Code(ck::CKR_USER_TYPE_INVALID));
        }
        _ => return Err(Code(ck::CKR_USER_TYPE_INVALID)),
    }
    let pin = match user {
        Some(user) => {
            let text = |bytes| std::str::from_utf8(bytes).map_err(|_error| Code::PIN_INCORRECT);
            Pin::of(text(user)?, text(pin)?)?
        }
        None => Pin::read(pin)?,
    };
    if user_type == ck::CKU_CONTEXT_SPECIFIC {
        return confirm(library, session, &pin);
    }
    if library.is_logged_in() {
        return Err(Code(ck::CKR_USER_ALREADY_LOGGED_IN));
    }
    log_in_by(&library.client, &pin)
}

fn log_in_by(client: &Client, pin: &Pin<'_>) -> Result<()> {
    patiently(client, || client.log_in(&pin.user, pin.password, Some(Role::CryptoUser)))
}

/// Has a password checked; after wrong ones of somebody it waits as long as the cluster says, within the deadline.
fn patiently<T>(
    client: &Client,
    attempt: impl Fn() -> std::result::Result<T, ClientError>,
) -> Result<()> {
    let started = Instant::now();
    loop {
        match attempt() {
            Err(ClientError::Refused(Error::LogInDelayed(ms))) => {
                let pause = Duration::from_millis(ms.max(1));
                if started.elapsed().saturating_add(pause) > client.config().deadline {
                    return Err(Error::LogInDelayed(ms).into());
                }
                std::thread::sleep(pause);
            }
            outcome => return outcome.map(drop).map_err(Code::from),
        }
    }
}

/// Confirms the next use of a key with `CKA_ALWAYS_AUTHENTICATE` (PKCS#11 3.2 §5.6.8). That the password is wrong is told here; the use
/// itself carries the password, and the HSM checks it again.
fn confirm(library: &Library, session: &Session, pin: &Pin<'_>) -> Result<()> {
    let mut active = session.active();
    let active = &mut *active;
    let signing = active.sign.as_mut().map(|signature| &mut signature.usable);
    let deciphering = active.decrypt.as_mut().map(|cipher| &mut cipher.usable);
    let waiting = signing.into_iter().chain(deciphering).find(|usable| usable.wants_password());
    let usable = waiting.ok_or(Code::OPERATION_NOT_INITIALIZED)?;
    check_own(library, pin)?;
    usable.password = Wiped::from(pin.password.as_bytes().to_vec());
    Ok(())
}

/// Checks the password of the user who is logged in.
fn check_own(library: &Library, pin: &Pin<'_>) -> Result<()> {
    let who = library.client.logged_in().ok_or(Code::USER_NOT_LOGGED_IN)?;
    if who.user != pin.user {
        return Err(Code::PIN_INCORRECT);
    }
    let client = &library.client;
    patiently(client, || client.call(Ask::ConfirmPassword(pin.password.to_owned())))
}

/// `C_SetPIN`: changes one's own password, and logs in again, for the old log-in ends with the old password.
pub(crate) fn set_pin(library: &Library, session: &Session, old: &[u8], new: &[u8]) -> Result<()> {
    session.require_writes()?;
    let who = library.client.logged_in().ok_or(Code::USER_NOT_LOGGED_IN)?;
    check_own(library, &Pin::read(old)?)?;
    // The new one may be told with the name or without.
    let text = std::str::from_utf8(new).map_err(|_error| Code(ck::CKR_PIN_INVALID))?;
    let named = text.contains(':').then(|| Pin::read(new).ok()).flatten();
    let password = named.filter(|pin| pin.user == who.user).map_or(text, |pin| pin.password);
    let request = CreateUser {
        user: who.user.clone(),
        role: Role::CryptoUser.number(),
        password: password.to_owned(),
    };
    let changed = library.call(Ask::ChangePassword(request));
    // If the answer was lost, the repeated request finds the log-in ended: whether the new password holds tells what happened.
    if let Err(code) = changed
        && code != Code::USER_NOT_LOGGED_IN
    {
        return Err(code);
    }
    library.client.forget_log_in();
    library.objects.forget_all();
    log_in_by(&library.client, &Pin::of(&who.user, password)?)
}

/// `C_SessionCancel`
pub(crate) fn cancel(session: &Session, flags: ck::CK_FLAGS) {
    let has = |flag: ck::CK_FLAGS| flags & flag != 0;
    let mut active = session.active();
    if has(ck::CKF_FIND_OBJECTS) {
        active.find = None;
    }
    if has(ck::CKF_DIGEST) {
        active.digest = None;
    }
    if has(ck::CKF_SIGN) {
        active.sign = None;
    }
    if has(ck::CKF_VERIFY) {
        active.verify = None;
    }
    if has(ck::CKF_ENCRYPT) {
        active.encrypt = None;
    }
    if has(ck::CKF_DECRYPT) {
        active.decrypt = None;
    }
    if has(ck::CKF_MESSAGE_ENCRYPT) {
        active.message_encrypt = None;
    }
    if has(ck::CKF_MESSAGE_DECRYPT) {
        active.message_decrypt = None;
    }
}
