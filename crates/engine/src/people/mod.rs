//! The logins of consumers: sign-up, log-in, sessions, passwords, and the mails these need.
//!
//! Not here: authentication of staff and merchants, pages, pushes. Invariants: whether an address
//! has a login shows in no answer and no time, only in mails to it; no password, code, push token
//! or access token is stored so that it could be read back without the vault.

mod code;
mod fields;
mod lockout;
mod log_in;
mod mails;
mod manage;
mod pages;
mod password;
mod recover;
mod session;
mod sign_up;
mod token;

pub use log_in::{AccessToken, LogInForm};
pub use manage::{PushDevice, UserView};
pub(crate) use pages::letters::Letters;
pub use pages::{
    FactorOffer, Invitation, Invite, JoinForm, KeptForm, LogInStep, MerchantForm, PersonCookie,
    PersonLogIn, PersonSession,
};
pub use sign_up::{Confirmation, SignUpForm};

use crate::access::Changed;
use crate::accounts::keys;
use crate::rate::{MinuteLimiter, whole_seconds};
use crate::{Engine, Permit, limits};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::account::{HOUSE, subscriber};
use domain::refusal::{BusyRefused, StoreRefused, TooFast};
use domain::{Mailer, Permitted, SessionId, Timestamp, UserId};
use lockout::Lockout;
use mails::Mails;
use password::Hasher;
use serde_json::Value;
use session::{CachedSession, SessionEnds};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use store::{Commit, DeviceMark, LoginDone, User};

/// The SHA-256 of a mail address: the key of its counts, of a fixed size whatever was typed.
type EmailDigest = [u8; 32];

/// What the engine knows of logins in memory.
pub(crate) struct People {
    hasher: Hasher,
    /// Log-ins that were hashed, by mail address and the known device that they came from, if any.
    log_ins: MinuteLimiter<(EmailDigest, Option<DeviceMark>)>,
    log_ins_from: MinuteLimiter<IpAddr>,
    lockout: Lockout,
    mails: Mails,
    sessions: quick_cache::sync::Cache<SessionId, CachedSession>,
    session_ends: SessionEnds,
}

impl People {
    pub(crate) fn new(mailer: Option<Arc<dyn Mailer>>) -> People {
        People {
            hasher: Hasher::new(),
            log_ins: MinuteLimiter::new(limits::LOG_INS_COUNTED),
            log_ins_from: MinuteLimiter::new(limits::LOG_INS_COUNTED),
            lockout: Lockout::new(),
            mails: Mails::new(mailer),
            sessions: quick_cache::sync::Cache::new(limits::SESSIONS_CACHED),
            session_ends: SessionEnds::new(),
        }
    }

    /// Makes every session be read again before its next use.
    pub(crate) fn forget_sessions(&self) {
        self.session_ends.end_all();
    }
}

impl Engine {
    /// A password's hash, as a PHC string, through the bounded queue.
    pub(crate) async fn hashed(&self, password: &str) -> Result<String, BusyRefused> {
        self.inner.people.hasher.hash(password, self.inner.random.as_ref()).await
    }

    /// Commits a change of a login with the record of it, and ends its sessions. Answers whether it
    /// was made.
    async fn change_login<A: Permitted, C: Commit<Done = LoginDone, Denied = Infallible>>(
        &self,
        permit: &Permit<A>,
        user: UserId,
        change: C,
        was: Value,
        is: Value,
    ) -> Result<bool, StoreRefused> {
        let changed = Changed::new(format_args!("login {user}"), was, is);
        let change = self.recorded(permit, change, [changed], |done| *done == LoginDone::Written);
        Ok(self.end_sessions(permit, user, change).await? == LoginDone::Written)
    }

    /// Commits a change that ends sessions of a login: they are refused on this node when it
    /// returns, even after a fault, when nobody knows whether it is written.
    async fn end_sessions<A, C: Commit<Denied = Infallible>>(
        &self,
        permit: &Permit<A>,
        user: UserId,
        change: C,
    ) -> Result<C::Done, StoreRefused> {
        let written = self.commit(permit, change).await;
        self.inner.people.session_ends.end(user);
        self.or_unavailable(written)
    }

    /// The mark of a device for one login, if the device names itself by its push token, which is a
    /// secret of its own. A network has no mark: it would be known for everybody who shares it.
    fn device_mark(&self, email: &str, push_token: &str) -> Option<DeviceMark> {
        let input = format!("{email}\n{push_token}");
        (!push_token.is_empty()).then(|| self.inner.vault.tag("place device", input.as_bytes()))
    }
}

/// A login of nobody yet, whose address is not confirmed; whoever makes it fills in the rest.
fn blank_user(id: UserId, created_at: Timestamp) -> User {
    User {
        id,
        account: HOUSE,
        email: String::new(),
        mobile: None,
        name: None,
        role: String::new(),
        password_hash: String::new(),
        is_active: true,
        created_at,
        confirmed_at: None,
        language: String::new(),
    }
}

fn email_digest(email: &str) -> EmailDigest {
    keys::digest_of(email)
}

/// The network that one subscriber may hold: of IPv6 a /48, of IPv4 an address.
fn site(from: IpAddr) -> IpAddr {
    match subscriber(from) {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            IpAddr::from([a, b, c, 0, 0, 0, 0, 0])
        }
    }
}

/// The row that a device's push token is sealed for: by login and mark, not by the device's id.
fn device_row(user: UserId, mark: &DeviceMark) -> String {
    format!("device of {user}: {}", URL_SAFE_NO_PAD.encode(mark))
}

fn too_fast(wait: Duration) -> TooFast {
    TooFast { retry_after_s: whole_seconds(wait) }
}
