//! The logins of consumers: sessions, devices, one-time codes.
//!
//! `write` has the statements that change them, `find` those that read. Not here: passwords,
//! tokens, the form of a code (the engine's). Invariant: a secret is in a row only hashed, tagged
//! by the vault, or sealed.

mod find;
mod pages;
mod write;

pub(crate) use find::{by_email, by_id, devices_of, every, known_device, of_account, session};
pub use pages::{
    ConfirmEmail, ConfirmFactor, JoinAccount, JoinDone, ListedSession, MailCode, MailCodePurpose,
    OfferFactor, OfferMailCode, OpenMerchant, ProveSession, RemoveFactor, SecondFactor, SetRole,
    UseFactor, WithdrawMailCode,
};
pub(crate) use pages::{factor_of, invitations, open_sessions, recovery_left};
pub use write::{
    ForgetDevice, GivePassword, LogOut, OfferCode, ResetPassword, SetActive, SetPassword,
};

use crate::accounts::User;
use domain::ids::{DeviceId, SessionId, UserId};
use domain::{Account, AccountId, Currency, Environment, Timestamp};

/// The digest of a code, which only the vault can compute.
pub type CodeDigest = [u8; 32];
/// A digest that identifies a device, which only the vault can compute.
pub type DeviceMark = [u8; 32];

/// The result of a change that a code allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeDone {
    /// The change is written.
    Written,
    /// The code is wrong, used, expired or was tried too often; the try is counted.
    CodeWrong,
    /// The code was right, but its address has a login by now, or has none any more.
    EmailMoved,
}

/// The result of a change of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginDone {
    /// The change is written.
    Written,
    /// The login's password or state has changed since it was read; nothing was written.
    Moved,
}

impl LoginDone {
    /// Of a statement that changed so many logins.
    const fn of(changed: usize) -> LoginDone {
        if changed == 0 { LoginDone::Moved } else { LoginDone::Written }
    }
}

/// What a code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodePurpose {
    /// Opening an account.
    SignUp,
    /// Setting a new password.
    Reset,
}

impl CodePurpose {
    /// As stored: `sign_up`, `reset`.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            CodePurpose::SignUp => "sign_up",
            CodePurpose::Reset => "reset",
        }
    }
}

/// A one-time code, as stored.
#[derive(Clone, Debug)]
pub struct Code {
    /// The address that it is sent to.
    pub email: String,
    /// Its digest.
    pub digest: CodeDigest,
    /// The sign-up that it confirms; none: it resets a password.
    pub pending: Option<PendingSignUp>,
    /// When it was created.
    pub made_at: Timestamp,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// A sign-up that waits for its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingSignUp {
    /// The person's name.
    pub name: String,
    /// The mobile number, in national form.
    pub mobile: Option<String>,
    /// The password, hashed.
    pub password_hash: String,
}

/// A code as a user entered it.
#[derive(Clone, Debug)]
pub struct EnteredCode {
    /// The address that the code was sent to.
    pub email: String,
    /// Its digest.
    pub digest: CodeDigest,
    /// When it was entered.
    pub at: Timestamp,
}

/// A sign-up that its code confirms: opens the account, its wallets and its login, and uses the
/// code up.
#[derive(Clone, Debug)]
pub struct SignUp {
    /// The code that was entered.
    pub typed: EnteredCode,
    /// The account that opens.
    pub account: AccountId,
    /// Its login.
    pub user: UserId,
    /// The currencies of its wallets, in each environment.
    pub currencies: Vec<Currency>,
}

/// A session that opens after the password was verified.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The session.
    pub session: Session,
    /// The hash that was verified: nothing opens if the stored one differs by now.
    pub verified: String,
    /// The same password hashed with current parameters, if the stored hash has older ones.
    pub rehashed: Option<String>,
    /// The device that receives its pushes.
    pub device: Option<NewDevice>,
    /// The tag under which the device becomes a known device, if it identifies itself.
    pub known_device: Option<DeviceMark>,
    /// The browser that it is opened in, as it names itself.
    pub agent: Option<String>,
    /// The client's address.
    pub address: Option<String>,
}

/// A device that comes with a log-in.
#[derive(Clone, Debug)]
pub struct NewDevice {
    /// The device's id if it is new to its login; else it keeps the id that it has.
    pub id: DeviceId,
    /// The digest of its push token.
    pub mark: DeviceMark,
    /// The push token, sealed for its login and mark.
    pub sealed: Vec<u8>,
}

/// A session, as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// The login that it belongs to.
    pub user: UserId,
    /// The login's account.
    pub account: AccountId,
    /// The environment that it may use.
    pub environment: Environment,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it expires.
    pub ends_at: Timestamp,
    /// When it was ended before its time.
    pub revoked_at: Option<Timestamp>,
    /// Where it was opened, and is valid.
    pub audience: Audience,
    /// When it last showed its second factor, or the password where there is none.
    pub proved_at: Option<Timestamp>,
}

/// Where a session is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// At the API, by an access token.
    Api,
    /// On a merchant's pages.
    Dashboard,
    /// On the staff's pages.
    Admin,
}

domain::codes! {
    Audience {
        Api => "api",
        Dashboard => "dashboard",
        Admin => "admin",
    }
}

/// A session's login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Whether it may log in.
    pub is_active: bool,
    /// The address that it logs in with.
    pub email: String,
    /// The person's name.
    pub name: Option<String>,
    /// What it may do in its account.
    pub role: String,
    /// The language of its pages and mails.
    pub language: String,
    /// Whether its address is confirmed.
    pub is_confirmed: bool,
    /// Whether it has a second factor.
    pub has_second_factor: bool,
}

/// A session with its login and its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionHolder {
    /// The session.
    pub session: Session,
    /// Its login.
    pub login: Login,
    /// Its account.
    pub account: Account,
}

/// A login with its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserHolder {
    /// The login.
    pub user: User,
    /// Its account.
    pub account: Account,
}

/// A device of an account, which receives pushes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// The login that it belongs to.
    pub user: UserId,
    /// The digest of its push token.
    pub mark: DeviceMark,
    /// The push token, sealed for its login and mark.
    pub sealed: Vec<u8>,
}
