//! Who may do what: the permission table, askers × actions.
//!
//! A request names its [`Action`], a log-in has its role, and only this file joins the two: an auditor
//! reads one table, and a new role or action does not compile until its cells are decided. Requests ask
//! it before they are worked on, and `apply` asks it again on the state at its index. No clock, no
//! state: every HSM answers alike. What an object's owner and attributes allow comes after this.
//!
//! Source: ISO/IEC 19790:2012 §7.4 (roles, services, and authentication), adopted by FIPS 140-3.

use casemate_protocol::messages::Ask;
use casemate_protocol::{Error, Role};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(strum::VariantArray))]
pub enum Asker {
    /// A connection without a log-in: a column like any other, so nothing is decided elsewhere.
    Nobody,
    /// The one user of a new cluster, until its password is set at activation.
    UnactivatedAdmin,
    /// Manages users, quorum and policy; never uses a key, for duties are split. Also called CO.
    Admin,
    /// Makes and uses keys. Also called CU.
    CryptoUser,
    /// The provider's: copies and backs up sealed state, which it cannot open. Also called AU.
    ApplianceUser,
}

impl From<Option<Role>> for Asker {
    fn from(role: Option<Role>) -> Self {
        match role {
            None => Self::Nobody,
            Some(Role::UnactivatedAdmin) => Self::UnactivatedAdmin,
            Some(Role::Admin) => Self::Admin,
            Some(Role::CryptoUser) => Self::CryptoUser,
            Some(Role::ApplianceUser) => Self::ApplianceUser,
        }
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(strum::VariantArray))]
pub enum Action {
    /// Let HSMs into the cluster, and take them out.
    ManageHsms,
    /// Change the cluster's settings.
    ManageSettings,
    /// Read the status, the settings and the cluster's CSR; measure the way.
    ReadStatus,
    /// Hand in the cluster's certificate.
    Initialize,
    /// Set the first admin's password.
    Activate,
    /// Log in, by password or ticket.
    LogIn,
    /// End one's log-in.
    LogOut,
    /// See who the users are.
    ListUsers,
    /// Create and delete users, and set the passwords of others.
    ManageUsers,
    /// Show that one knows one's own password still.
    ConfirmPassword,
    /// Change one's own password.
    ChangeOwnPassword,
    /// See objects: search, and read attributes that may be seen.
    ReadObjects,
    /// Make, change and destroy objects.
    ManageObjects,
    /// Mark a key as trusted for wrapping (`CKA_TRUSTED`).
    TrustKeys,
    /// Use keys: sign, decrypt, wrap, derive and the like.
    UseKeys,
    /// Get random bytes.
    Random,
    /// Copy sealed state to another module, or into a backup.
    CloneSealedState,
}

const YES: bool = true;
const NO: bool = false;

#[rustfmt::skip]
const fn row(action: Action) -> [bool; 5] {
    match action {
        //                           nobody unactivated admin crypto appliance
        Action::ManageHsms        => [NO,   NO,         YES,  NO,    NO ],
        Action::ManageSettings    => [NO,   NO,         YES,  NO,    NO ],
        Action::ReadStatus        => [YES,  YES,        YES,  YES,   YES],
        Action::Initialize        => [YES,  NO,         NO,   NO,    NO ],
        Action::Activate          => [YES,  NO,         NO,   NO,    NO ],
        Action::LogIn             => [YES,  NO,         YES,  YES,   YES],
        Action::LogOut            => [NO,   NO,         YES,  YES,   YES],
        Action::ListUsers         => [NO,   NO,         YES,  YES,   YES],
        Action::ManageUsers       => [NO,   NO,         YES,  NO,    NO ],
        Action::ConfirmPassword   => [NO,   NO,         YES,  YES,   YES],
        Action::ChangeOwnPassword => [NO,   NO,         YES,  YES,   YES],
        Action::ReadObjects       => [YES,  NO,         YES,  YES,   NO ],
        Action::ManageObjects     => [NO,   NO,         NO,   YES,   NO ],
        Action::TrustKeys         => [NO,   NO,         YES,  NO,    NO ],
        Action::UseKeys           => [NO,   NO,         NO,   YES,   NO ],
        Action::Random            => [YES,  YES,        YES,  YES,   YES],
        Action::CloneSealedState  => [NO,   NO,         NO,   NO,    YES],
    }
}

/// Proof that the table was asked: only [`permits`] makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct Permit(Action);

impl Permit {
    /// Returns what it allows.
    #[must_use]
    pub const fn action(&self) -> Action {
        self.0
    }
}

/// Returns a [`Permit`] if the table lets `asker` do `action`. Costs nanoseconds, allocates nothing,
/// takes no lock.
///
/// # Errors
/// [`Error::LogInRequired`] if nobody is logged in, else [`Error::RoleRefused`].
pub const fn permits(asker: Asker, action: Action) -> Result<Permit, Error> {
    let [nobody, unactivated_admin, admin, crypto_user, appliance_user] = row(action);
    let allowed = match asker {
        Asker::Nobody => nobody,
        Asker::UnactivatedAdmin => unactivated_admin,
        Asker::Admin => admin,
        Asker::CryptoUser => crypto_user,
        Asker::ApplianceUser => appliance_user,
    };
    match (allowed, asker) {
        (true, _) => Ok(Permit(action)),
        (false, Asker::Nobody) => Err(Error::LogInRequired),
        (false, _) => Err(Error::RoleRefused),
    }
}

/// Returns the action of a request. Changing a password starts as one's own; the handler asks for
/// [`Action::ManageUsers`] where it is another's. Setting attributes starts as reading, for an admin may
/// set one of them; the handler then asks for [`Action::ManageObjects`] or [`Action::TrustKeys`].
#[must_use]
pub const fn action_of(ask: &Ask) -> Action {
    match ask {
        Ask::Ping(_) | Ask::Status(_) | Ask::Csr(_) | Ask::Settings(_) => Action::ReadStatus,
        Ask::Initialize(_) => Action::Initialize,
        Ask::Activate(_) => Action::Activate,
        Ask::ListJoining(_) | Ask::AddHsm(_) | Ask::RemoveHsm(_) => Action::ManageHsms,
        Ask::ChangeSettings(_) => Action::ManageSettings,
        Ask::LogIn(_) | Ask::UseTicket(_) => Action::LogIn,
        Ask::LogOut(_) => Action::LogOut,
        Ask::ListUsers(_) => Action::ListUsers,
        Ask::CreateUser(_) | Ask::DeleteUser(_) => Action::ManageUsers,
        Ask::ConfirmPassword(_) => Action::ConfirmPassword,
        Ask::ChangePassword(_) => Action::ChangeOwnPassword,
        Ask::GetAttributes(_)
        | Ask::FindObjects(_)
        | Ask::ObjectSize(_)
        | Ask::SetAttributes(_) => Action::ReadObjects,
        Ask::GenerateKey(_)
        | Ask::GenerateKeyPair(_)
        | Ask::CreateObject(_)
        | Ask::CopyObject(_)
        | Ask::DestroyObject(_) => Action::ManageObjects,
        Ask::Sign(_)
        | Ask::Verify(_)
        | Ask::Encrypt(_)
        | Ask::Decrypt(_)
        | Ask::WrapKey(_)
        | Ask::UnwrapKey(_)
        | Ask::DeriveKey(_)
        | Ask::Encapsulate(_)
        | Ask::Decapsulate(_) => Action::UseKeys,
        Ask::Random(_) => Action::Random,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strum::VariantArray as _;

    /// What operators read is the expected value, so code and manual cannot drift apart.
    const MANUAL: &str = include_str!("../../../docs/operate/roles.md");

    #[test]
    fn every_cell_is_what_the_manual_says() {
        let mut rows = MANUAL.lines().filter(|line| line.starts_with("| `"));
        for &action in Action::VARIANTS {
            let row = rows.next().expect("the manual has a row for each action");
            let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
            assert_eq!(cells.len(), 2 + Asker::VARIANTS.len(), "{row}");
            assert_eq!(cells[0], format!("`{action:?}`"));
            for (&asker, &cell) in Asker::VARIANTS.iter().zip(&cells[1..]) {
                let answer = if permits(asker, action).is_ok() { "yes" } else { "no" };
                assert_eq!(answer, cell, "{asker:?}, {action:?}");
            }
        }
        assert_eq!(rows.next(), None, "the manual has a row without an action");
    }
}
