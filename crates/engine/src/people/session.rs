//! Sessions: authentication by an access token, and how a session ends early.
//!
//! Invariants: every wrong token gets the same answer; a session that ends is refused at once on
//! the node that ends it and within a second on the others; calls count for the session's account.

use super::token;
use crate::access::Changed;
use crate::rate::CallerKey;
use crate::refusals::ensure;
use crate::{AccessResult, Caller, Engine, Permit, limits};
use domain::refusal::{AccountInactive, SessionRefused, StoreRefused, TokenInvalid, TokenRefused};
use domain::{DuplicatePolicy, KeyScopes, Permitted, Plan, Role, SessionId, UserId, act};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use store::{Audience, LogOut, SessionHolder};

/// A session as it was last read.
#[derive(Clone)]
pub(super) struct CachedSession {
    holder: Arc<SessionHolder>,
    read_at: Duration,
    /// [`SessionEnds::count`] when it was read.
    ends: u64,
}

/// Counts the ends of sessions. A cached session that was read before the latest end for its login
/// is read again.
pub(super) struct SessionEnds {
    of_all: AtomicU64,
    /// A few logins share a counter: then a session is read once more than necessary.
    by_user: [AtomicU64; 256],
}

impl SessionEnds {
    pub(super) const fn new() -> SessionEnds {
        SessionEnds { of_all: AtomicU64::new(0), by_user: [const { AtomicU64::new(0) }; 256] }
    }

    pub(super) fn end_all(&self) {
        self.of_all.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn end(&self, user: UserId) {
        self.of_user(user).fetch_add(1, Ordering::SeqCst);
    }

    /// Grows with each end that concerns a login, because neither of its parts ever shrinks.
    fn count(&self, user: UserId) -> u64 {
        self.of_all.load(Ordering::SeqCst) + self.of_user(user).load(Ordering::SeqCst)
    }

    fn of_user(&self, user: UserId) -> &AtomicU64 {
        &self.by_user[usize::from(user.0.to_le_bytes()[0])]
    }
}

impl Engine {
    /// Authenticates by an access token: checks, in this order, token, session, login, account and
    /// rate. Wrong tokens are not counted: 256 bits cannot be guessed, and of the many clients
    /// behind one address some have expired tokens.
    pub async fn authenticate_token(&self, token: Option<&str>) -> AccessResult<TokenRefused> {
        let counted = async {
            let holder = self.session_of(token.ok_or(TokenInvalid)?)?;
            ensure(holder.account.is_active, AccountInactive)?;
            let session = holder.session;
            let (account, environment) = (session.account, session.environment);
            // A plan raises the limit; a customer need not have one.
            let plan = holder.account.plan_at(self.now());
            let limit = plan.map_or(limits::CUSTOMER_CALLS_A_MINUTE, Plan::per_minute);
            let counted = self.count_call(CallerKey { account, environment }, limit).await?;
            let caller = Caller {
                account,
                environment,
                key: None,
                session: Some(session.id),
                plan: None,
                person: None,
                is_approved: holder.account.approved_at.is_some(),
                duplicates: DuplicatePolicy::Off,
                scopes: KeyScopes::ALL,
            };
            let caller = counted.or_refuse().map(|_| caller).map_err(TokenRefused::from);
            Ok(AccessResult { caller, quota: Some(counted.quota), owner: None })
        };
        counted.await.unwrap_or_else(AccessResult::refused)
    }

    /// Ends the caller's session.
    pub async fn log_out(
        &self,
        permit: Permit<act::ManageOwnLogin>,
        caller: &Caller,
    ) -> Result<(), SessionRefused> {
        let session = self.session_of_caller(caller)?.session;
        Ok(self.end_session(&permit, session.user, Some(session.id)).await?)
    }

    /// Ends every session of the caller's login, the caller's own too.
    pub async fn log_out_everywhere(
        &self,
        permit: Permit<act::ManageOwnLogin>,
        caller: &Caller,
    ) -> Result<(), SessionRefused> {
        let user = self.session_of_caller(caller)?.session.user;
        Ok(self.end_session(&permit, user, None).await?)
    }

    /// Ends this session of a login, or every one, with the record of it.
    pub(super) async fn end_session<A: Permitted>(
        &self,
        permit: &Permit<A>,
        user: UserId,
        session: Option<SessionId>,
    ) -> Result<(), StoreRefused> {
        let after = match session {
            Some(session) => json!({ "session": session.0, "ended": true }),
            None => json!({ "sessions": "ended" }),
        };
        let changed = Changed::made(format_args!("login {user}"), after);
        let end = LogOut { user, session, at: self.now() };
        let end = self.recorded(permit, end, [changed], |()| true);
        self.end_sessions(permit, user, end).await
    }

    /// The caller's session; `TokenInvalid` for a key pair.
    pub(super) fn session_of_caller(
        &self,
        caller: &Caller,
    ) -> Result<SessionHolder, SessionRefused> {
        let session = caller.session.ok_or(TokenInvalid)?;
        let read = self.or_unavailable(self.inner.store.session(session))?;
        let held = read.filter(|holder| holder.session.account == caller.account);
        Ok(held.ok_or(TokenInvalid)?)
    }

    fn session_of(&self, token: &str) -> Result<Arc<SessionHolder>, SessionRefused> {
        let now = self.now();
        let token = token::read(&self.inner.vault, token, now).ok_or(TokenInvalid)?;
        let holder = self.session_holder(token.user, token.session)?;
        let holder = holder.ok_or(TokenInvalid)?;
        let session = &holder.session;
        let is_same = (session.user, session.environment) == (token.user, token.environment);
        let is_active =
            session.revoked_at.is_none() && session.ends_at > now && holder.login.is_active;
        let is_customer =
            holder.account.role == Role::Customer && session.audience == Audience::Api;
        if is_same && is_active && is_customer { Ok(holder) } else { Err(TokenInvalid.into()) }
    }

    /// A session by its id, from memory if it is fresh there.
    pub(super) fn session_holder(
        &self,
        user: UserId,
        id: SessionId,
    ) -> Result<Option<Arc<SessionHolder>>, StoreRefused> {
        let people = &self.inner.people;
        // Before the read: if the session ends while it is read, the cached copy is not used.
        let (ends, now) = (people.session_ends.count(user), self.monotonic());
        if let Some(cached) = people.sessions.get(&id)
            && cached.ends == ends
            && now.saturating_sub(cached.read_at) < limits::SESSION_CACHED
        {
            return Ok(Some(cached.holder));
        }
        let read = self.or_unavailable(self.inner.store.session(id))?;
        let Some(holder) = read.map(Arc::new) else { return Ok(None) };
        people.sessions.insert(id, CachedSession { holder: holder.clone(), read_at: now, ends });
        Ok(Some(holder))
    }
}
