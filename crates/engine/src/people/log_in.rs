//! Log-in: an address and a password become a session and its access token.
//!
//! Invariant: whatever is wrong (address, password, whose login it is) costs the same time and
//! gets the same answer; only a right password learns that its login or account is switched off.

use super::fields;
use super::password::PasswordCheck;
use super::{counted, seal_of, token, too_fast};
use crate::access::Quota;
use crate::{Engine, limits};
use domain::account::{Environment, Role, subscriber};
use domain::ids::{DeviceId, SessionId, UserId};
use domain::refusal::{FieldError, Refusal};
use std::net::IpAddr;
use store::{
    DeviceMark, NewDevice, NewSession, PeopleChange, PeopleDone, Session, User, UserHolder,
};

/// Who wants in.
#[derive(Clone, Copy)]
pub struct LogIn<'a> {
    /// The login's address.
    pub email: &'a str,
    /// Its password.
    pub password: &'a str,
    /// What its device is told things by; empty: not at all. At most 4,096 bytes.
    pub push_token: &'a str,
    /// Where to.
    pub environment: Environment,
    /// The client's address (proxies already resolved).
    pub from: IpAddr,
}

/// What a session is entered with; shown once.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// A JSON Web Token.
    pub text: String,
    /// Seconds until it ends.
    pub expires_in_s: u64,
}

impl std::fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessToken")
            .field("expires_in_s", &self.expires_in_s)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Opens a session of a customer's login. Refuses an unknown address, a wrong password and a
    /// login of anybody but a customer alike (`LogInFailed`), a login or account that is switched
    /// off (`AccountInactive`), and too many failures, log-ins a minute or log-ins at once
    /// (`TooFast`).
    pub async fn log_in(&self, ask: LogIn<'_>) -> Result<AccessToken, Refusal> {
        if ask.push_token.len() > limits::PUSH_TOKEN_BYTES {
            let says = "A push token has at most 4096 bytes.".to_owned();
            return Err(Refusal::Invalid(vec![FieldError { field: "push_token", message: says }]));
        }
        let email = fields::address(ask.email);
        let place = self.place(&email, ask.push_token);
        let ticket = self.may_guess(&email, ask.from, place)?;
        let holder = self.user_of(&email)?.filter(|h| h.account.role == Role::Customer);
        let stored = holder.as_ref().map(|h| h.user.password_hash.as_str());
        let verdict = self.inner.people.hasher.verify(ask.password, stored).await?;
        let (UserHolder { user, account }, is_stale) = match (verdict, holder) {
            (PasswordCheck::Right { is_stale }, Some(holder)) => (holder, is_stale),
            (PasswordCheck::Right { .. } | PasswordCheck::Wrong, _) => {
                ticket.failed(self.monotonic());
                return Err(Refusal::LogInFailed);
            }
        };
        drop(ticket);
        if !user.is_active || !account.is_active {
            return Err(Refusal::AccountInactive);
        }
        // A hash that cannot be renewed now is renewed another time.
        let rehashed = if is_stale { self.hashed(ask.password).await.ok() } else { None };
        self.open_session(user, ask, place, rehashed.map(|hash| hash.0)).await
    }

    /// A ticket for one password that is to be hashed, right or wrong, on the device of this mark.
    pub(super) fn may_guess(
        &self,
        email: &str,
        from: IpAddr,
        place: Option<DeviceMark>,
    ) -> Result<super::lockout::Ticket<'_>, Refusal> {
        let home = match place {
            Some(mark) if self.is_known(email, &mark)? => Some(mark),
            Some(_) | None => None,
        };
        let (people, email, now) = (&self.inner.people, counted(email), self.monotonic());
        let ticket = people.lockout.begin(email, from, home, now).map_err(too_fast)?;
        // After the lock, so that whoever is locked out takes nothing from others' minute.
        let most = limits::LOG_INS_A_MINUTE_FROM;
        passes(people.log_ins_from.take(subscriber(from), most, now))?;
        passes(people.log_ins.take((email, home), limits::LOG_INS_A_MINUTE, now))?;
        Ok(ticket)
    }

    fn is_known(&self, email: &str, place: &DeviceMark) -> Result<bool, Refusal> {
        let known = self.inner.store.known_device(email, place, self.now());
        known.map_err(|fault| self.unavailable(&fault))
    }

    pub(super) fn user_of(&self, email: &str) -> Result<Option<UserHolder>, Refusal> {
        self.inner.store.user_of(email).map_err(|fault| self.unavailable(&fault))
    }

    async fn open_session(
        &self,
        user: User,
        ask: LogIn<'_>,
        place: Option<DeviceMark>,
        rehashed: Option<String>,
    ) -> Result<AccessToken, Refusal> {
        let now = self.now();
        let session = Session {
            id: SessionId(self.next_id()),
            user: user.id,
            account: user.account,
            environment: ask.environment,
            opened_at: now,
            ends_at: now.after(limits::TOKEN_LIFE),
            revoked_at: None,
        };
        let said = token::Said { environment: ask.environment, user: user.id, session: session.id };
        let text = token::write(&self.inner.vault, &said, now)
            .ok_or(Refusal::Unavailable { retry_after_s: 5 })?;
        let device = self.device(user.id, ask.push_token)?;
        let verified = user.password_hash;
        let entry = NewSession { session, verified, rehashed, device, known_device: place };
        match self.change_people(PeopleChange::LogIn(Box::new(entry))).await? {
            PeopleDone::Written => {
                Ok(AccessToken { text, expires_in_s: limits::TOKEN_LIFE.as_secs() })
            }
            // The password was changed, or the login switched off, while it was verified.
            PeopleDone::Moved | PeopleDone::CodeWrong | PeopleDone::EmailMoved => {
                Err(Refusal::LogInFailed)
            }
        }
    }

    fn device(&self, user: UserId, push_token: &str) -> Result<Option<NewDevice>, Refusal> {
        if push_token.is_empty() {
            return Ok(None);
        }
        let id = DeviceId(self.next_id());
        let (vault, random) = (&self.inner.vault, self.inner.random.as_ref());
        let mark = vault.tag("push token", push_token.as_bytes());
        let place = seal_of(user, &mark);
        let sealed = vault.seal("push token", &place, push_token.as_bytes(), random);
        let sealed = sealed.map_err(|_| Refusal::Unavailable { retry_after_s: 5 })?;
        Ok(Some(NewDevice { id, mark, sealed }))
    }
}

fn passes((quota, passes): (Quota, bool)) -> Result<(), Refusal> {
    if passes { Ok(()) } else { Err(Refusal::TooFast { retry_after_s: quota.reset_s.max(1) }) }
}
