//! The PIN: `user:password`, or `CU:user:password` where a role must be named. Only crypto users log in through PKCS#11.

use casemate_protocol::limits;

use crate::code::{Code, Result};

/// A user's name, in lower case, and the password.
pub(crate) struct Pin<'a> {
    pub(crate) user: String,
    pub(crate) password: &'a str,
}

/// The longest PIN: role, name and password with their colons.
pub(crate) const BYTES_MAX: usize =
    3 + limits::USER_NAME_BYTES_MAX + 1 + limits::PASSWORD_BYTES_MAX;
/// The shortest PIN: a name of one letter.
pub(crate) const BYTES_MIN: usize = 1 + 1 + limits::PASSWORD_BYTES_MIN;

impl<'a> Pin<'a> {
    /// Reads a PIN.
    ///
    /// # Errors
    /// `CKR_PIN_INCORRECT` if it has another form: the log says which it must have.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self> {
        if bytes.len() > BYTES_MAX {
            return Err(Code::PIN_INCORRECT);
        }
        let text = std::str::from_utf8(bytes).map_err(|_error| Code::PIN_INCORRECT)?;
        let named = text.strip_prefix("CU:").filter(|rest| rest.contains(':'));
        let text = named.unwrap_or(text);
        let Some((user, password)) = text.split_once(':') else {
            tracing::warn!("the PIN has no colon: it is `user:password`");
            return Err(Code::PIN_INCORRECT);
        };
        Self::of(user, password)
    }

    /// Makes a PIN of a name and a password.
    ///
    /// # Errors
    /// `CKR_PIN_INCORRECT` if one of them is empty.
    pub(crate) fn of(user: &str, password: &'a str) -> Result<Self> {
        if user.is_empty() || password.is_empty() {
            return Err(Code::PIN_INCORRECT);
        }
        Ok(Self { user: user.to_ascii_lowercase(), password })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_names_user_and_password() {
        let read =
            |text: &str| Pin::read(text.as_bytes()).map(|pin| (pin.user, pin.password.to_owned()));
        assert_eq!(read("App:pass:word"), Ok(("app".to_owned(), "pass:word".to_owned())));
        assert_eq!(read("CU:app:password"), Ok(("app".to_owned(), "password".to_owned())));
        assert_eq!(read("CU:password"), Ok(("cu".to_owned(), "password".to_owned())));
        for wrong in ["", "password", ":password", "app:"] {
            assert_eq!(read(wrong), Err(Code::PIN_INCORRECT), "{wrong}");
        }
        assert_eq!(Pin::read(&[0xff; 20]).map(|_| ()), Err(Code::PIN_INCORRECT));
        assert_eq!(Pin::read(&[b'a'; BYTES_MAX + 1]).map(|_| ()), Err(Code::PIN_INCORRECT));
    }
}
