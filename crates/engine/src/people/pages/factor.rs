//! Second factors: time-based one-time passwords (RFC 6238) with recovery codes.
//!
//! Invariants: a time step is used once, on whichever node (RFC 6238, 5.2), and so is a recovery
//! code; five wrong codes from a site lock for half an hour; the secret is stored sealed, recovery
//! codes as tags. Whoever changes a second factor shows the password.

use super::person::{PersonCookie, PersonLogIn};
use crate::access::Changed;
use crate::people::code::normalised;
use crate::refusals::{ensure, invalid};
use crate::{Caller, Engine, Permit, limits};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::refusal::{
    BusyRefused, CodeInvalid, LogInFailed, LogInRefused, PasswordRefused, ResetRefused,
    StoreRefused, TokenInvalid, Unavailable,
};
use domain::{Timestamp, UserId, act};
use serde_json::json;
use std::net::IpAddr;
use store::{
    Audience, ConfirmFactor, LoginDone, OfferFactor, ProveSession, RemoveFactor, UseFactor, User,
};
use subtle::ConstantTimeEq as _;
use totp_rs::{Builder, Totp};

/// The purpose under which secrets of second factors are sealed.
const SEALED: &str = "second factor";
/// Who the codes are for, as apps list it.
const ISSUER: &str = "Saldo";

/// How far a log-in has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogInStep {
    /// Done: the cookie of the session.
    LoggedIn(PersonCookie),
    /// The password was right; this, with a code of the second factor, logs in within five minutes.
    NeedsCode(String),
}

/// A second factor that is being set up. Both texts are secrets.
#[derive(Clone)]
pub struct FactorOffer {
    /// For typing it in: base 32.
    pub secret: String,
    /// For apps, as a picture: `otpauth://…`.
    pub url: String,
}

impl Engine {
    /// Logs in by the code of a second factor, or a recovery code, after [`LogInStep::NeedsCode`].
    /// Refuses a ticket that is not ours or too old, and a wrong or used code (`LogInFailed`), and
    /// many tries (`TooFast`). Of `form`, only audience, browser and address count.
    pub async fn log_in_by_code(
        &self,
        permit: Permit<act::EnterBySecret>,
        form: PersonLogIn<'_>,
        ticket: &str,
        code: &str,
    ) -> Result<PersonCookie, LogInRefused> {
        let user = self.user_of_ticket(form.audience, ticket)?.ok_or(LogInFailed)?;
        ensure(self.use_factor(&permit, &user, code, form.from).await?, LogInFailed)?;
        self.let_in(&permit, user, form, None).await
    }

    /// Begins to set up the caller's second factor; it counts from its first code on. Refuses a
    /// wrong password (`LogInFailed`), and one who has a second factor (`Invalid`).
    pub async fn offer_factor(
        &self,
        permit: Permit<act::ManageOwnLogin>,
        caller: &Caller,
        password: &str,
        from: IpAddr,
    ) -> Result<FactorOffer, PasswordRefused> {
        let user = self.own_password_checked(caller, password, from).await?;
        let secret: [u8; limits::FACTOR_BYTES] = self.random_bytes()?;
        let sealed = self.sealed(SEALED, &row(user.id), &secret)?;
        let offer = OfferFactor { user: user.id, sealed, at: self.now() };
        match self.or_unavailable(self.commit(&permit, offer).await)? {
            LoginDone::Written => self.offer_of(&user, &secret),
            LoginDone::Moved => Err(invalid("code", "There is a second factor already.").into()),
        }
    }

    /// The second factor that the caller is setting up, to be shown once more.
    pub fn offered_factor(&self, caller: &Caller) -> Result<Option<FactorOffer>, PasswordRefused> {
        let Some(user) = self.own_user(caller)? else { return Ok(None) };
        let secret = self.factor_secret(user.id, false)?;
        secret.map(|secret| self.offer_of(&user, &secret)).transpose()
    }

    /// The secret of a login's second factor, if it counts, or is only being set up, as asked.
    fn factor_secret(
        &self,
        user: UserId,
        is_confirmed: bool,
    ) -> Result<Option<Vec<u8>>, StoreRefused> {
        let factor = self.or_unavailable(self.inner.store.factor_of(user))?;
        let factor = factor.filter(|factor| factor.is_confirmed == is_confirmed);
        Ok(factor.and_then(|f| self.inner.vault.open(SEALED, &row(user), &f.sealed).ok()))
    }

    fn offer_of(&self, user: &User, secret: &[u8]) -> Result<FactorOffer, PasswordRefused> {
        let totp = totp(user, secret).ok_or(Unavailable { retry_after_s: 5 })?;
        let url = totp.to_url().map_err(|_| Unavailable { retry_after_s: 5 })?;
        Ok(FactorOffer { secret: totp.secret().to_base32(), url })
    }

    /// Makes the caller's second factor count by its first code; answers its recovery codes, which
    /// are shown once. Refuses a wrong code (`CodeInvalid`) and many tries (`TooFast`).
    pub async fn confirm_factor(
        &self,
        permit: Permit<act::ManageOwnLogin>,
        caller: &Caller,
        code: &str,
        from: IpAddr,
    ) -> Result<Vec<String>, ResetRefused> {
        let user = self.own_user(caller)?.ok_or(CodeInvalid)?;
        let guess = self.begin_code(&counted_as(&user.email), from)?.ok_or(CodeInvalid)?;
        let secret = self.factor_secret(user.id, false)?;
        let Some(step) = secret.and_then(|secret| self.step_of(&user, &secret, code)) else {
            guess.failed(self.monotonic());
            return Err(CodeInvalid.into());
        };
        let mut codes = Vec::new();
        for _ in 0..limits::RECOVERY_CODES {
            codes.push(self.fresh_code()?);
        }
        let recovery = codes.iter().map(|code| self.recovery_digest(user.id, code)).collect();
        let (was, is) = (json!({ "second_factor": false }), json!({ "second_factor": true }));
        let confirm = ConfirmFactor { user: user.id, step, recovery, at: self.now() };
        ensure(self.change_login(&permit, user.id, confirm, was, is).await?, CodeInvalid)?;
        Ok(codes)
    }

    /// Removes the caller's second factor. Refuses a wrong password (`LogInFailed`).
    pub async fn remove_factor(
        &self,
        permit: Permit<act::ManageOwnLogin>,
        caller: &Caller,
        password: &str,
        from: IpAddr,
    ) -> Result<(), PasswordRefused> {
        let user = self.own_password_checked(caller, password, from).await?;
        let (was, is) = (json!({ "second_factor": true }), json!({ "second_factor": false }));
        let changed = Changed::new(format_args!("login {}", user.id), was, is);
        let remove = self.recorded(&permit, RemoveFactor(user.id), [changed], |()| true);
        Ok(self.end_sessions(&permit, user.id, remove).await?)
    }

    /// How many recovery codes the caller has left.
    pub fn recovery_left(&self, caller: &Caller) -> Result<i64, PasswordRefused> {
        let person = caller.person.ok_or(TokenInvalid)?;
        Ok(self.or_unavailable(self.inner.store.recovery_left(person.user))?)
    }

    /// The caller shows the second factor again (without one: the password), for what asks for it.
    /// Refuses a wrong one (`LogInFailed`, `CodeInvalid` is answered so too) and many tries.
    pub async fn prove(
        &self,
        permit: Permit<act::ManageOwnLogin>,
        caller: &Caller,
        secret: &str,
        from: IpAddr,
    ) -> Result<(), PasswordRefused> {
        let user = self.own_user(caller)?.ok_or(TokenInvalid)?;
        let session = caller.session.ok_or(TokenInvalid)?;
        let factor = self.or_unavailable(self.inner.store.factor_of(user.id))?;
        if factor.is_some_and(|factor| factor.is_confirmed) {
            ensure(self.use_factor(&permit, &user, secret, from).await?, LogInFailed)?;
        } else {
            self.own_password_checked(caller, secret, from).await?;
        }
        let prove = ProveSession { session, at: self.now() };
        Ok(self.end_sessions(&permit, user.id, prove).await?)
    }

    /// Uses a code up; false: it is wrong or used. Refuses many tries (`TooFast`).
    async fn use_factor<A>(
        &self,
        permit: &Permit<A>,
        user: &User,
        code: &str,
        from: IpAddr,
    ) -> Result<bool, BusyRefused> {
        let Some(guess) = self.begin_code(&counted_as(&user.email), from)? else {
            return Ok(false);
        };
        let secret = self.factor_secret(user.id, true)?;
        let step = secret.and_then(|secret| self.step_of(user, &secret, code));
        let recovery = self.recovery_digest(user.id, code);
        let used = UseFactor { user: user.id, step, recovery, at: self.now() };
        match self.or_unavailable(self.commit(permit, used).await)? {
            LoginDone::Written => Ok(true),
            LoginDone::Moved => {
                guess.failed(self.monotonic());
                Ok(false)
            }
        }
    }

    /// The time step whose code it is, within half a minute.
    fn step_of(&self, user: &User, secret: &[u8], code: &str) -> Option<i64> {
        let typed: String = code.chars().filter(char::is_ascii_digit).collect();
        let now_s = u64::try_from(self.now().0.div_euclid(1_000_000)).ok()?;
        if typed.len() != 6 || typed.len() != code.trim().replace(' ', "").len() {
            return None;
        }
        i64::try_from(totp(user, secret)?.check(&typed, now_s)?).ok()
    }

    fn recovery_digest(&self, user: UserId, code: &str) -> [u8; 32] {
        let input = format!("{user}\n{}", normalised(code));
        self.inner.vault.tag("recovery code", input.as_bytes())
    }

    /// The caller's login, if this is its password. A wrong one counts as a failed log-in.
    async fn own_password_checked(
        &self,
        caller: &Caller,
        password: &str,
        from: IpAddr,
    ) -> Result<User, PasswordRefused> {
        let user = self.own_user(caller)?.ok_or(TokenInvalid)?;
        self.check_password_of(&user, password, from).await?;
        Ok(user)
    }

    pub(super) fn step_ticket(&self, audience: Audience, user: &User) -> String {
        let issued_s = self.now().0.div_euclid(1_000_000);
        let tag = self.ticket_tag(audience, user, issued_s);
        format!("{}.{issued_s}.{}", user.id, URL_SAFE_NO_PAD.encode(tag))
    }

    fn user_of_ticket(
        &self,
        audience: Audience,
        ticket: &str,
    ) -> Result<Option<User>, LogInRefused> {
        let mut parts = ticket.split('.');
        let (id, issued, tag) = (parts.next(), parts.next(), parts.next());
        let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
        let (Some(id), Some(issued_s), Some(tag)) = (number(id), number(issued), tag) else {
            return Ok(None);
        };
        let age = self.now().since(Timestamp(issued_s.saturating_mul(1_000_000)));
        let holder = self.or_unavailable(self.inner.store.user(UserId(id)))?;
        let holder = holder.filter(|h| h.user.is_active && h.account.is_active);
        let Some(user) = holder.map(|holder| holder.user) else { return Ok(None) };
        let right = self.ticket_tag(audience, &user, issued_s);
        let tag = URL_SAFE_NO_PAD.decode(tag).unwrap_or_default();
        let is_right = bool::from(right.as_slice().ct_eq(&tag)) && age <= limits::STEP_LIFE;
        Ok(is_right.then_some(user))
    }

    /// With the password's hash: a new password voids the ticket.
    fn ticket_tag(&self, audience: Audience, user: &User, issued_s: i64) -> [u8; 32] {
        let input = format!("{}\n{}\n{issued_s}\n{}", audience.code(), user.id, user.password_hash);
        self.inner.vault.tag("log-in step", input.as_bytes())
    }
}

/// What a login's secret is sealed for.
fn row(user: UserId) -> String {
    format!("second factor of {user}")
}

/// Codes of a second factor are counted apart from codes of mails: a space is in no address.
fn counted_as(email: &str) -> String {
    format!("{email} factor")
}

fn totp(user: &User, secret: &[u8]) -> Option<Totp> {
    // A colon would part the name from the issuer.
    let name = user.email.replace(':', "");
    let builder = Builder::new().with_secret(secret.to_vec()).with_account_name(name);
    builder.with_issuer(Some(ISSUER)).build().ok()
}
