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

use crate::{Engine, keys, limits};
use domain::account::subscriber;
use domain::ids::SessionId;
use domain::refusal::Refusal;
use lockout::Lockout;
use mails::Mails;
use password::{Hashed, Hasher};
use session::CachedSession;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use store::{Change, Done, Mark, PeopleChange, PeopleDone};

/// What the engine remembers about logins, none of it for longer than it runs.
pub(crate) struct People {
    hasher: Hasher,
    lockout: Lockout,
    mails: Mails,
    sessions: quick_cache::sync::Cache<SessionId, CachedSession>,
    /// Counts what ends sessions: a session read before the latest end is read again.
    ends: AtomicU64,
}

impl People {
    pub(crate) fn new() -> People {
        People {
            hasher: Hasher::new(),
            lockout: Lockout::new(),
            mails: Mails::new(),
            sessions: quick_cache::sync::Cache::new(limits::SESSIONS_CACHED),
            ends: AtomicU64::new(0),
        }
    }

    /// From now on every session is read anew, once.
    pub(crate) fn forget_sessions(&self) {
        self.ends.fetch_add(1, Ordering::SeqCst);
    }
}

impl Engine {
    /// A password's hash, through the bounded queue.
    pub(crate) async fn hashed(&self, password: &str) -> Result<Hashed, Refusal> {
        self.inner.people.hasher.hash(password, self.inner.chance.as_ref()).await
    }

    /// Has logins changed; whatever ended sessions is in force on this node when it answers.
    async fn change_people(&self, change: PeopleChange) -> Result<PeopleDone, Refusal> {
        let written = self.inner.store.write(Change::People(change)).await;
        self.inner.people.forget_sessions();
        match written.map_err(|fault| self.unavailable(&fault))? {
            Ok(Done::People(done)) => Ok(done),
            // The writer answers no such thing; if it did, nothing would be granted.
            Ok(
                Done::Opened { .. }
                | Done::Written
                | Done::Posted { .. }
                | Done::Claimed(_)
                | Done::Pushes(_),
            ) => Ok(PeopleDone::Moved),
            Err(denial) => Err(Refusal::NotPossible { because: format!("{denial:?}") }),
        }
    }

    /// The marks of where somebody knocks: of the device, if it names itself, then of the address.
    /// They are of one login only, so that they tell nothing about who shares an address.
    fn places(&self, email: &str, push_token: &str, from: IpAddr) -> Vec<Mark> {
        let device = (!push_token.is_empty()).then(|| {
            self.inner.vault.tag("place device", format!("{email}\n{push_token}").as_bytes())
        });
        device.into_iter().chain([self.place_of_address(email, from)]).collect()
    }

    fn place_of_address(&self, email: &str, from: IpAddr) -> Mark {
        let place = format!("{email}\n{}", subscriber(from));
        self.inner.vault.tag("place address", place.as_bytes())
    }
}

/// What an address is counted by: of a fixed size, whatever was typed.
fn counted(email: &str) -> [u8; 32] {
    keys::digest_of(email)
}
