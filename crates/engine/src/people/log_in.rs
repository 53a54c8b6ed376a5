//! Log-in: an address and a password become a session and its access token.
//!
//! Invariant: a wrong address, a wrong password and a login that is not a customer's cost the same
//! time and get the same answer. Only a right password learns that its login or account is
//! disabled.

use super::password::{PasswordCheck, QueueShare};
use super::token::{self, TokenIdentity};
use super::{device_row, email_digest, fields, lockout, too_fast};
use crate::refusals::{ensure, invalid};
use crate::{Engine, Permit, limits};
use domain::account::subscriber;
use domain::refusal::{
    AccountInactive, BusyRefused, LogInFailed, LogInRefused, StoreRefused, Unavailable,
};
use domain::{Environment, Role, UserId, act};
use std::net::IpAddr;
use store::{Audience, DeviceMark, LoginDone, NewDevice, NewSession, Session, User, UserHolder};

/// The form of a log-in.
#[derive(Clone, Copy)]
pub struct LogInForm<'a> {
    /// The login's mail address.
    pub email: &'a str,
    /// The login's password.
    pub password: &'a str,
    /// The device's push token, at most 4,096 bytes; empty: no pushes.
    pub push_token: &'a str,
    /// The environment of the session.
    pub environment: Environment,
    /// The client's address (proxies already resolved).
    pub from: IpAddr,
}

/// A password that somebody shows, and from where.
#[derive(Clone, Copy)]
pub(super) struct ShownPassword<'a> {
    pub(super) email: &'a str,
    pub(super) password: &'a str,
    /// What names the device or the browser, and is a secret of it; empty: nothing.
    pub(super) device: &'a str,
    pub(super) from: IpAddr,
}

/// The access token of a new session; shown once.
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
    /// login that is not a customer's alike (`LogInFailed`), a disabled login or account
    /// (`AccountInactive`), and too many failures, log-ins a minute or log-ins at once (`TooFast`).
    pub async fn log_in(
        &self,
        permit: Permit<act::EnterBySecret>,
        form: LogInForm<'_>,
    ) -> Result<AccessToken, LogInRefused> {
        let is_sized = form.push_token.len() <= limits::PUSH_TOKEN_BYTES;
        ensure(is_sized, invalid("push_token", "A push token has at most 4096 bytes."))?;
        let LogInForm { email, password, push_token: device, from, .. } = form;
        let shown = ShownPassword { email, password, device, from };
        let is_customer = |holder: &UserHolder| holder.account.role == Role::Customer;
        let (user, rehashed) = self.password_checked(shown, is_customer).await?;
        self.open_session(&permit, user, form, rehashed).await
    }

    /// The login whose password it is, and the password hashed anew if that is due. One that has
    /// nothing to do here is answered like a wrong password.
    pub(super) async fn password_checked(
        &self,
        shown: ShownPassword<'_>,
        is_of_here: impl Fn(&UserHolder) -> bool,
    ) -> Result<(User, Option<String>), LogInRefused> {
        let email = fields::address(shown.email);
        let known = self.known_device(&email, self.device_mark(&email, shown.device))?;
        let guess = self.begin_guess(&email, shown.from, known)?;
        let holder = self.user_of(&email)?.filter(is_of_here);
        let stored = holder.as_ref().map(|h| h.user.password_hash.as_str());
        let share = known.map_or(QueueShare::Unknown, |_| QueueShare::Known);
        let check = self.inner.people.hasher.verify(share, shown.password, stored).await?;
        let (UserHolder { user, account }, is_stale) = match (check, holder) {
            (PasswordCheck::Right { is_stale }, Some(holder)) => (holder, is_stale),
            (PasswordCheck::Right { .. } | PasswordCheck::Wrong, _) => {
                guess.failed(self.monotonic());
                return Err(LogInFailed.into());
            }
        };
        drop(guess);
        ensure(user.is_active && account.is_active, AccountInactive)?;
        // If hashing again is refused now, a later log-in does it.
        let rehashed = if is_stale { self.hashed(shown.password).await.ok() } else { None };
        Ok((user, rehashed))
    }

    /// Begins a guess at a password, on this known device if it is one. Refuses (`TooFast`) while
    /// the address or the network is locked, and past the log-ins of a minute.
    pub(super) fn begin_guess(
        &self,
        email: &str,
        from: IpAddr,
        known_device: Option<DeviceMark>,
    ) -> Result<lockout::Guess<'_>, BusyRefused> {
        let (people, email, now) = (&self.inner.people, email_digest(email), self.monotonic());
        let guess = people.lockout.begin(email, from, known_device, now).map_err(too_fast)?;
        // After the lockout, so that a locked client takes nothing from the minute that others
        // share.
        let limit = limits::LOG_INS_A_MINUTE_FROM;
        people.log_ins_from.take(subscriber(from), limit, now).or_refuse()?;
        let limit = limits::LOG_INS_A_MINUTE;
        people.log_ins.take((email, known_device), limit, now).or_refuse()?;
        Ok(guess)
    }

    /// The device, if the login was used on it lately.
    pub(super) fn known_device(
        &self,
        email: &str,
        device: Option<DeviceMark>,
    ) -> Result<Option<DeviceMark>, StoreRefused> {
        let Some(mark) = device else { return Ok(None) };
        let is_known = self.inner.store.known_device(email, &mark, self.now());
        Ok(self.or_unavailable(is_known)?.then_some(mark))
    }

    pub(super) fn user_of(&self, email: &str) -> Result<Option<UserHolder>, StoreRefused> {
        self.or_unavailable(self.inner.store.user_of(email))
    }

    async fn open_session(
        &self,
        permit: &Permit<act::EnterBySecret>,
        user: User,
        form: LogInForm<'_>,
        rehashed: Option<String>,
    ) -> Result<AccessToken, LogInRefused> {
        let now = self.now();
        let session = Session {
            id: self.or_unavailable(self.next_session().await)?,
            user: user.id,
            account: user.account,
            environment: form.environment,
            opened_at: now,
            ends_at: now.after(limits::TOKEN_LIFE),
            revoked_at: None,
            audience: Audience::Api,
            proved_at: None,
        };
        let environment = form.environment;
        let identity = TokenIdentity { environment, user: user.id, session: session.id };
        let text = token::write(&self.inner.vault, &identity, now)
            .ok_or(Unavailable { retry_after_s: 5 })?;
        let entry = NewSession {
            session,
            rehashed,
            device: self.new_device(user.id, form.push_token).await?,
            known_device: self.device_mark(&user.email, form.push_token),
            verified: user.password_hash,
            agent: None,
            address: Some(form.from.to_string()),
        };
        let done = self.or_unavailable(self.commit(permit, entry).await)?;
        let token = AccessToken { text, expires_in_s: limits::TOKEN_LIFE.as_secs() };
        // The password was changed, or the login disabled, while it was verified.
        if done == LoginDone::Written { Ok(token) } else { Err(LogInFailed.into()) }
    }

    async fn new_device(
        &self,
        user: UserId,
        push_token: &str,
    ) -> Result<Option<NewDevice>, StoreRefused> {
        if push_token.is_empty() {
            return Ok(None);
        }
        let id = self.or_unavailable(self.next_device().await)?;
        let mark = self.inner.vault.tag("push token", push_token.as_bytes());
        let sealed = self.sealed("push token", &device_row(user, &mark), push_token.as_bytes())?;
        Ok(Some(NewDevice { id, mark, sealed }))
    }
}
