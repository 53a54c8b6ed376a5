//! The logins of consumers: what can happen to them, and what is known of them.
//!
//! Not here: passwords, tokens, what a code looks like (the engine's). Below: `write` has the
//! statements that change them, `find` those that look. Invariant: nothing secret is in a row but
//! hashed, tagged by the vault or sealed.

mod find;
mod write;

pub(crate) use find::{by_email, by_id, devices_of, every, known_device, session};
pub(crate) use write::write;

use crate::change::User;
use domain::account::{Account, AccountId, Environment};
use domain::clock::Timestamp;
use domain::ids::{DeviceId, SessionId, UserId};
use domain::money::Currency;

/// A digest that only the vault can make: of a code, of a device.
pub type DeviceMark = [u8; 32];

/// What happens to logins.
#[derive(Clone, Debug)]
pub enum PeopleChange {
    /// A code was made; of its purpose and address it and the two before it count.
    OfferCode(Box<Code>),
    /// Opens the account and the login that a code waits with, and uses the code up.
    SignUp(Box<SignUp>),
    /// Sets the password by a code, uses the code up and ends every session.
    Reset {
        /// The code that was typed, and by whom.
        typed: Typed,
        /// The new password, hashed.
        password_hash: String,
    },
    /// Opens a session.
    LogIn(Box<Entry>),
    /// Sets the password and ends every session; nothing happens if it is not `was` any more.
    SetPassword {
        /// Whose.
        user: UserId,
        /// The hash that was verified.
        was: String,
        /// The new one.
        password_hash: String,
        /// When.
        at: Timestamp,
    },
    /// Ends one session, or all of a login; the devices that came with them are forgotten.
    LogOut {
        /// Whose.
        user: UserId,
        /// Which; none for all.
        session: Option<SessionId>,
        /// When.
        at: Timestamp,
    },
    /// Lets a login in, or not; either way its sessions end.
    SetActive {
        /// Whose.
        user: UserId,
        /// Whether it may come in.
        is_active: bool,
        /// When.
        at: Timestamp,
    },
    /// Forgets a device, which cannot be told things any more.
    ForgetDevice(DeviceId),
}

/// What became of a change of logins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeopleDone {
    /// It is done.
    Yes,
    /// The code is wrong, used, too old or tried too often; the try is counted.
    CodeWrong,
    /// The code was right, but its address has become somebody's, or is nobody's any more.
    EmailMoved,
    /// The login's password or standing has changed since it was looked at; nothing was done.
    Moved,
}

/// What a code is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Opening an account.
    SignUp,
    /// Setting a new password.
    Reset,
}

impl Purpose {
    /// As stored: `sign_up`, `reset`.
    pub const fn code(self) -> &'static str {
        match self {
            Purpose::SignUp => "sign_up",
            Purpose::Reset => "reset",
        }
    }
}

/// A one-time code, as stored.
#[derive(Clone, Debug)]
pub struct Code {
    /// For which address.
    pub email: String,
    /// Its digest.
    pub digest: DeviceMark,
    /// What waits for it: a sign-up; none for a reset.
    pub pending: Option<Pending>,
    /// When it was made.
    pub made_at: Timestamp,
    /// Until when it counts.
    pub expires_at: Timestamp,
}

/// A sign-up that waits for its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// How the person is called.
    pub name: String,
    /// In national form.
    pub mobile: Option<String>,
    /// The password, hashed.
    pub password_hash: String,
}

/// A code that somebody typed.
#[derive(Clone, Debug)]
pub struct Typed {
    /// For which address.
    pub email: String,
    /// Its digest.
    pub digest: DeviceMark,
    /// When.
    pub at: Timestamp,
}

/// A sign-up that is confirmed.
#[derive(Clone, Debug)]
pub struct SignUp {
    /// The code.
    pub typed: Typed,
    /// The account that opens.
    pub account: AccountId,
    /// Its login.
    pub user: UserId,
    /// In what its wallets are, in each environment.
    pub currencies: Vec<Currency>,
}

/// A log-in whose password was verified.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What opens.
    pub session: Session,
    /// The hash that was verified: nothing opens if it is another by now.
    pub verified: String,
    /// The same password hashed with today's parameters, if the stored one is behind.
    pub rehashed: Option<String>,
    /// What it is told things on.
    pub device: Option<NewDevice>,
    /// The mark of the device it logs in on, if that names itself.
    pub place: Option<DeviceMark>,
}

/// A device that comes with a log-in.
#[derive(Clone, Debug)]
pub struct NewDevice {
    /// Which it is if it is new to its login; else it stays what it was.
    pub id: DeviceId,
    /// The digest of its push token.
    pub mark: DeviceMark,
    /// The push token, sealed for its login and mark.
    pub sealed: Vec<u8>,
}

/// A session, as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Which.
    pub id: SessionId,
    /// Whose.
    pub user: UserId,
    /// Of which account.
    pub account: AccountId,
    /// Where.
    pub environment: Environment,
    /// Since when.
    pub opened_at: Timestamp,
    /// Until when, at the most.
    pub ends_at: Timestamp,
    /// When it was ended before its time.
    pub revoked_at: Option<Timestamp>,
}

/// A session with whom it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionHolder {
    /// The session.
    pub session: Session,
    /// Whether its login may be in.
    pub is_user_active: bool,
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

/// A device of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Which.
    pub id: DeviceId,
    /// Whose.
    pub user: UserId,
    /// The digest of its push token.
    pub mark: DeviceMark,
    /// The push token, sealed for its login and mark.
    pub sealed: Vec<u8>,
}
