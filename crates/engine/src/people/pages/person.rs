//! People on the pages: log-in with a cookie instead of an access token, and what a cookie says.
//!
//! Not here: second factors, sign-up. Invariants: a cookie is of one audience; it is signed, and
//! behind it stands a session that ends on all nodes within a second; an idle one is refused.

use super::factor::LogInStep;
use super::letters::Letters;
use crate::access::Person;
use crate::people::log_in::ShownPassword;
use crate::{Caller, Engine, Permit, limits};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::refusal::{LogInFailed, LogInRefused, StoreRefused};
use domain::{
    AccountId, DuplicatePolicy, Environment, Holder, KeyScopes, Plan, Role, SessionId, Timestamp,
    UserId, act,
};
use std::net::IpAddr;
use store::{Audience, LoginDone, NewSession, Session, SessionHolder, User, UserHolder};
use subtle::ConstantTimeEq as _;

/// The form of a log-in on the pages.
#[derive(Clone, Copy)]
pub struct PersonLogIn<'a> {
    /// Where it is.
    pub audience: Audience,
    /// The login's mail address.
    pub email: &'a str,
    /// The login's password.
    pub password: &'a str,
    /// The browser, as it names itself.
    pub agent: &'a str,
    /// What the browser keeps to be known again; empty: nothing.
    pub device: &'a str,
    /// The client's address (proxies already resolved).
    pub from: IpAddr,
}

/// The value of a cookie.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonCookie(pub String);

impl std::fmt::Debug for PersonCookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PersonCookie(…)")
    }
}

/// A person's session, as a cookie named it.
#[derive(Clone, Debug)]
pub struct PersonSession {
    /// The session.
    pub session: SessionId,
    /// The login.
    pub user: UserId,
    /// The address that it logs in with.
    pub email: String,
    /// The person's name.
    pub name: Option<String>,
    /// What it may do.
    pub holder: Holder,
    /// The language of its pages.
    pub language: String,
    /// The account that it acts for.
    pub account: AccountId,
    /// The account's name.
    pub account_name: String,
    /// Whether the account may sell for real money.
    pub is_approved: bool,
    /// The plan of the account's subscription; none once it has expired.
    pub plan: Option<Plan>,
    /// What happens to the account's same sale again.
    pub duplicates: DuplicatePolicy,
    /// Whether the login's address is confirmed.
    pub is_confirmed: bool,
    /// Whether the login has a second factor.
    pub has_second_factor: bool,
    /// Whether it was shown a moment ago (without one: the password).
    pub is_proved: bool,
    /// The cookie anew, if it is time to renew it.
    pub renewed: Option<PersonCookie>,
}

impl PersonSession {
    /// The caller that this person is in an environment.
    pub const fn caller(&self, environment: Environment) -> Caller {
        let person = Person { user: self.user, holder: self.holder, is_proved: self.is_proved };
        Caller {
            account: self.account,
            environment,
            key: None,
            session: Some(self.session),
            plan: self.plan,
            person: Some(person),
            is_approved: self.is_approved,
            duplicates: self.duplicates,
            scopes: KeyScopes::ALL,
        }
    }
}

/// What a cookie says, once its tag was right.
struct CookieClaims {
    user: UserId,
    session: SessionId,
    issued_at: Timestamp,
}

impl Engine {
    /// Opens a session of the pages, or asks for the second factor of a login that has one. Refuses
    /// an unknown address, a wrong password and a login that has nothing to do at this audience
    /// alike (`LogInFailed`), a disabled login or account (`AccountInactive`), and too many
    /// failures, log-ins a minute or log-ins at once (`TooFast`).
    pub async fn log_in_person(
        &self,
        permit: Permit<act::EnterBySecret>,
        form: PersonLogIn<'_>,
    ) -> Result<LogInStep, LogInRefused> {
        let PersonLogIn { audience, email, password, device, from, .. } = form;
        let shown = ShownPassword { email, password, device, from };
        let is_of_here = |holder: &UserHolder| is_of_audience(holder, audience);
        let (user, rehashed) = self.password_checked(shown, is_of_here).await?;
        let factor = self.or_unavailable(self.inner.store.factor_of(user.id))?;
        if factor.is_some_and(|factor| factor.is_confirmed) {
            return Ok(LogInStep::NeedsCode(self.step_ticket(form.audience, &user)));
        }
        let cookie = self.let_in(&permit, user, form, rehashed).await?;
        Ok(LogInStep::LoggedIn(cookie))
    }

    /// Opens a session, and mails a login that was not used in this browser lately.
    pub(super) async fn let_in(
        &self,
        permit: &Permit<act::EnterBySecret>,
        user: User,
        form: PersonLogIn<'_>,
        rehashed: Option<String>,
    ) -> Result<PersonCookie, LogInRefused> {
        let known = self.known_device(&user.email, self.device_mark(&user.email, form.device))?;
        let (email, letters) = (user.email.clone(), Letters::of(&user.language));
        let cookie = self.open_person_session(permit, user, form, rehashed).await?;
        if known.is_none() {
            self.send_mail(letters.new_device(email, form.agent, &form.from.to_string()));
        }
        Ok(cookie)
    }

    pub(in crate::people) async fn open_person_session(
        &self,
        permit: &Permit<act::EnterBySecret>,
        user: User,
        form: PersonLogIn<'_>,
        rehashed: Option<String>,
    ) -> Result<PersonCookie, LogInRefused> {
        let now = self.now();
        let session = Session {
            id: self.or_unavailable(self.next_session().await)?,
            user: user.id,
            account: user.account,
            environment: Environment::Live,
            opened_at: now,
            ends_at: now.after(limits::PERSON_LIFE),
            revoked_at: None,
            audience: form.audience,
            proved_at: Some(now),
        };
        let known_device = self.device_mark(&user.email, form.device);
        let entry = NewSession {
            session,
            verified: user.password_hash,
            rehashed,
            device: None,
            known_device,
            agent: Some(form.agent.chars().take(limits::AGENT_CHARS).collect()),
            address: Some(form.from.to_string()),
        };
        let done = self.or_unavailable(self.commit(permit, entry).await)?;
        let cookie = self.cookie(form.audience, user.id, session.id);
        // The password was changed, or the login disabled, while it was verified.
        if done == LoginDone::Written { Ok(cookie) } else { Err(LogInFailed.into()) }
    }

    /// The session that a cookie of this audience names; none if it is not ours, idle, ended, or of
    /// a login or account that is disabled.
    pub fn person_session(
        &self,
        audience: Audience,
        cookie: &str,
    ) -> Result<Option<PersonSession>, StoreRefused> {
        let Some(claims) = self.read_cookie(audience, cookie) else { return Ok(None) };
        let now = self.now();
        let age = now.since(claims.issued_at);
        if age > limits::PERSON_IDLE {
            return Ok(None);
        }
        let holder = self.session_holder(claims.user, claims.session)?;
        let holder =
            holder.filter(|h| h.session.audience == audience && h.session.user == claims.user);
        let Some(holder) = holder else { return Ok(None) };
        let SessionHolder { session, login, account } = &*holder;
        let is_open = session.revoked_at.is_none()
            && session.ends_at > now
            && login.is_active
            && account.is_active;
        let held_by = Holder::of_login(account.role, &login.role);
        let Some(held_by) = held_by.filter(|_| is_open) else { return Ok(None) };
        let is_proved =
            session.proved_at.is_some_and(|proved| now.since(proved) < limits::PROOF_LIFE);
        let renewed = age >= limits::COOKIE_RENEWED;
        Ok(Some(PersonSession {
            session: session.id,
            user: session.user,
            // An address that nobody can log in with has its login's number behind it.
            email: login.email.split(' ').next().unwrap_or_default().to_owned(),
            name: login.name.clone(),
            holder: held_by,
            language: login.language.clone(),
            account: account.id,
            account_name: account.name.clone(),
            is_approved: account.approved_at.is_some(),
            plan: account.plan_at(now),
            duplicates: account.duplicates,
            is_confirmed: login.is_confirmed,
            has_second_factor: login.has_second_factor,
            is_proved,
            renewed: renewed.then(|| self.cookie(audience, session.user, session.id)),
        }))
    }

    /// The token that a form carries, so that only our own pages can send it; `of` is what the
    /// browser keeps in a cookie.
    pub fn form_token(&self, of: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.inner.vault.tag("form token", of.as_bytes()))
    }

    /// The cookie of a session, from now.
    pub(in crate::people) fn cookie(
        &self,
        audience: Audience,
        user: UserId,
        session: SessionId,
    ) -> PersonCookie {
        let issued_s = self.now().0.div_euclid(1_000_000);
        let claims = format!("{user}.{session}.{issued_s}");
        let tag = URL_SAFE_NO_PAD.encode(self.cookie_tag(audience, &claims));
        PersonCookie(format!("{claims}.{tag}"))
    }

    fn read_cookie(&self, audience: Audience, cookie: &str) -> Option<CookieClaims> {
        let (claims, tag) = cookie.rsplit_once('.')?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        if !bool::from(self.cookie_tag(audience, claims).as_slice().ct_eq(&tag)) {
            return None;
        }
        let mut numbers = claims.split('.').map(|text| text.parse::<i64>().ok());
        Some(CookieClaims {
            user: UserId(numbers.next()??),
            session: SessionId(numbers.next()??),
            issued_at: Timestamp(numbers.next()??.checked_mul(1_000_000)?),
        })
    }

    fn cookie_tag(&self, audience: Audience, claims: &str) -> [u8; 32] {
        self.inner.vault.tag("page cookie", format!("{}\n{claims}", audience.code()).as_bytes())
    }
}

/// Whether a login belongs to an audience.
fn is_of_audience(holder: &UserHolder, audience: Audience) -> bool {
    let role = holder.account.role;
    let is_of_audience = match audience {
        Audience::Dashboard => role == Role::Merchant,
        Audience::Admin => role == Role::House,
        Audience::Api => false,
    };
    is_of_audience && Holder::of_login(role, &holder.user.role).is_some()
}
