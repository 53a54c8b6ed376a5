//! The logins of consumers: sign-up, log-in, sessions, passwords, and the mails these need.
//!
//! Not here: staff's and merchants' way in, pages, push. Invariants: whether an address is
//! somebody's shows in no answer and no time, only in that address's mail; and no password, code,
//! push token or access token is stored where it could be read back without the vault.

mod code;
mod fields;
mod lockout;
mod log_in;
mod mails;
mod manage;
mod password;
mod recover;
mod session;
mod sign_up;
mod token;

pub(crate) use fields::address;
pub use log_in::{AccessToken, LogIn};
pub use manage::{PushDevice, User};
pub use sign_up::SignUp;

use crate::limits::Limiter;
use crate::{Engine, keys, limits};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::account::subscriber;
use domain::ids::{SessionId, UserId};
use domain::ledger::admission::Denial;
use domain::mail::Mailer;
use domain::refusal::Refusal;
use lockout::Lockout;
use mails::Mails;
use password::{Hashed, Hasher};
use session::{CachedSession, Ends};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use store::{Change, DeviceMark, Done, Fault, PeopleChange, PeopleDone};

/// What a mail address is counted by: of a fixed size, whatever was typed, somebody's or not.
type Email = [u8; 32];

/// What the engine remembers about logins, none of it for longer than it runs.
pub(crate) struct People {
    hasher: Hasher,
    /// Log-ins that were hashed, by mail address and the known device they came from, if any.
    log_ins: Limiter<(Email, Option<DeviceMark>)>,
    log_ins_from: Limiter<IpAddr>,
    lockout: Lockout,
    mails: Mails,
    sessions: quick_cache::sync::Cache<SessionId, CachedSession>,
    ends: Ends,
}

impl People {
    pub(crate) fn new(mailer: Option<Arc<dyn Mailer>>) -> People {
        People {
            hasher: Hasher::new(),
            log_ins: Limiter::new(limits::LOG_INS_COUNTED),
            log_ins_from: Limiter::new(limits::LOG_INS_COUNTED),
            lockout: Lockout::new(),
            mails: Mails::new(mailer),
            sessions: quick_cache::sync::Cache::new(limits::SESSIONS_CACHED),
            ends: Ends::new(),
        }
    }

    /// From now on every session is read anew, once.
    pub(crate) fn forget_sessions(&self) {
        self.ends.end_all();
    }
}

impl Engine {
    /// A password's hash, through the bounded queue.
    pub(crate) async fn hashed(&self, password: &str) -> Result<Hashed, Refusal> {
        self.inner.people.hasher.hash(password, self.inner.random.as_ref()).await
    }

    /// Has logins changed; whatever ended sessions is in force on this node when it answers.
    async fn change_people(&self, change: PeopleChange) -> Result<PeopleDone, Refusal> {
        let whose = Whose::sessions_end_by(&change);
        let written = self.inner.store.write(Change::People(change)).await;
        self.forget_sessions_of(whose, &written);
        match written.map_err(|fault| self.unavailable(&fault))? {
            Ok(Done::People(done)) => Ok(done),
            // The writer answers no such thing; if it did, nothing would be granted.
            Ok(
                Done::Opened { .. }
                | Done::Written
                | Done::Posted { .. }
                | Done::Calls(_)
                | Done::Leased(_)
                | Done::Pushes(_)
                | Done::Webhooks(_)
                | Done::Counted(_)
                | Done::Archive(_),
            ) => Ok(PeopleDone::Moved),
            Err(denial) => Err(Refusal::NotPossible { because: format!("{denial:?}") }),
        }
    }

    fn forget_sessions_of(&self, whose: Whose, written: &Result<Result<Done, Denial>, Fault>) {
        let ends = &self.inner.people.ends;
        match (whose, written) {
            (Whose::Nobodys, _)
            | (
                Whose::Somebodys,
                Ok(Ok(Done::People(
                    PeopleDone::CodeWrong | PeopleDone::EmailMoved | PeopleDone::Moved,
                ))),
            ) => {}
            (Whose::Of(user), _) => ends.end(user),
            (Whose::Somebodys, _) => ends.end_all(),
        }
    }

    /// The mark of the device that somebody knocks on, if it names itself: by a secret of its own,
    /// for one login. A network has none: whoever shares it would be at home there too.
    fn place(&self, email: &str, push_token: &str) -> Option<DeviceMark> {
        let words = format!("{email}\n{push_token}");
        (!push_token.is_empty()).then(|| self.inner.vault.tag("place device", words.as_bytes()))
    }
}

/// Whose sessions a change may end.
#[derive(Clone, Copy)]
enum Whose {
    Nobodys,
    Of(UserId),
    /// Those of whose address it is, which is known in the commit only.
    Somebodys,
}

impl Whose {
    const fn sessions_end_by(change: &PeopleChange) -> Whose {
        match change {
            PeopleChange::OfferCode(_)
            | PeopleChange::SignUp(_)
            | PeopleChange::LogIn(_)
            | PeopleChange::ForgetDevice(_) => Whose::Nobodys,
            PeopleChange::SetPassword { user, .. }
            | PeopleChange::LogOut { user, .. }
            | PeopleChange::SetActive { user, .. } => Whose::Of(*user),
            PeopleChange::Reset { .. } => Whose::Somebodys,
        }
    }
}

/// What a mail address is counted by.
fn counted(email: &str) -> Email {
    keys::digest_of(email)
}

/// The network that one hand may hold: of IPv6 a /48, of IPv4 an address.
fn site(from: IpAddr) -> IpAddr {
    match subscriber(from) {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            IpAddr::from([a, b, c, 0, 0, 0, 0, 0])
        }
    }
}

/// Where a device's push token is sealed for: the row of its login and mark, whatever its number.
fn seal_of(user: UserId, mark: &DeviceMark) -> String {
    format!("device of {user}: {}", URL_SAFE_NO_PAD.encode(mark))
}

fn too_fast(wait: Duration) -> Refusal {
    Refusal::TooFast { retry_after_s: limits::whole_seconds(wait) }
}
