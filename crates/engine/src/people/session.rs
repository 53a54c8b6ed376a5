//! Sessions: who calls with an access token, and how a session ends before its time.
//!
//! Invariants: every wrong token gets one answer; a session that ends is refused at once on the
//! node that ends it and within a second on the others; a caller has the rate of its account.

use super::token;
use crate::{AccessResult, Caller, Engine, limits};
use domain::account::{Plan, Role};
use domain::ids::{SessionId, UserId};
use domain::refusal::Refusal;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use store::{PeopleChange, SessionHolder};

/// A session as it was last read.
#[derive(Clone)]
pub(super) struct CachedSession {
    holder: Arc<SessionHolder>,
    read_at: Duration,
    ends: u64,
}

/// Counts what ends sessions: one read before the latest end of its login's is read again.
pub(super) struct Ends {
    of_all: AtomicU64,
    /// Logins share a count, a few each: then one is read once more than it must.
    of_some: [AtomicU64; 256],
}

impl Ends {
    pub(super) const fn new() -> Ends {
        Ends { of_all: AtomicU64::new(0), of_some: [const { AtomicU64::new(0) }; 256] }
    }

    pub(super) fn end_all(&self) {
        self.of_all.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn end(&self, user: UserId) {
        self.some(user).fetch_add(1, Ordering::SeqCst);
    }

    /// Grows with each end that concerns a login: both its parts only ever do.
    fn until_now(&self, user: UserId) -> u64 {
        self.of_all.load(Ordering::SeqCst) + self.some(user).load(Ordering::SeqCst)
    }

    fn some(&self, user: UserId) -> &AtomicU64 {
        &self.of_some[usize::from(user.0.to_le_bytes()[0])]
    }
}

impl Engine {
    /// Who calls: checks, in this order, token, session, login, account and rate. Wrong tokens are not
    /// counted: 256 bits cannot be guessed, and behind one address many tokens run out.
    pub async fn enter_with_token(&self, token: Option<&str>) -> AccessResult {
        let stop = |refusal| AccessResult { caller: Err(refusal), quota: None };
        let Some(token) = token else { return stop(Refusal::TokenInvalid) };
        let holder = match self.session_of(token) {
            Ok(holder) => holder,
            Err(refusal) => return stop(refusal),
        };
        if !holder.account.is_active {
            return stop(Refusal::AccountInactive);
        }
        let session = holder.session;
        let who = (session.account, session.environment);
        // A plan is for whoever needs more than a person does.
        let plan = holder.account.subscription.filter(|s| s.until > self.now()).map(|s| s.plan);
        let limit = plan.map_or(limits::CUSTOMER_CALLS_A_MINUTE, Plan::per_minute);
        let (quota, passes) = match self.count_call(who, limit).await {
            Ok(counted) => counted,
            Err(refusal) => return stop(refusal),
        };
        let caller = if passes {
            Ok(Caller {
                account: session.account,
                environment: session.environment,
                key: None,
                session: Some(session.id),
                plan: None,
            })
        } else {
            Err(Refusal::TooFast { retry_after_s: quota.reset_s.max(1) })
        };
        AccessResult { caller, quota: Some(quota) }
    }

    /// Ends the session that a caller came in with.
    pub async fn log_out(&self, caller: &Caller) -> Result<(), Refusal> {
        let session = self.session_of_caller(caller)?.session;
        let (user, at) = (session.user, self.now());
        self.change_people(PeopleChange::LogOut { user, session: Some(session.id), at }).await?;
        Ok(())
    }

    /// Ends every session of the login that a caller came in with, this one too.
    pub async fn log_out_everywhere(&self, caller: &Caller) -> Result<(), Refusal> {
        let user = self.session_of_caller(caller)?.session.user;
        self.change_people(PeopleChange::LogOut { user, session: None, at: self.now() }).await?;
        Ok(())
    }

    /// The session that a caller came in with; none for a key pair.
    pub(super) fn session_of_caller(&self, caller: &Caller) -> Result<SessionHolder, Refusal> {
        let session = caller.session.ok_or(Refusal::TokenInvalid)?;
        let read = self.inner.store.session(session).map_err(|fault| self.unavailable(&fault))?;
        read.filter(|holder| holder.session.account == caller.account).ok_or(Refusal::TokenInvalid)
    }

    fn session_of(&self, token: &str) -> Result<Arc<SessionHolder>, Refusal> {
        let now = self.now();
        let said = token::read(&self.inner.vault, token, now).ok_or(Refusal::TokenInvalid)?;
        let holder = self.session_holder(said.user, said.session)?.ok_or(Refusal::TokenInvalid)?;
        let session = &holder.session;
        let is_meant = (session.user, session.environment) == (said.user, said.environment);
        let is_on = session.revoked_at.is_none() && session.ends_at > now && holder.is_user_active;
        let is_customer = holder.account.role == Role::Customer;
        if is_meant && is_on && is_customer { Ok(holder) } else { Err(Refusal::TokenInvalid) }
    }

    /// A session, which is this login's if a token of ours says so.
    fn session_holder(
        &self,
        user: UserId,
        id: SessionId,
    ) -> Result<Option<Arc<SessionHolder>>, Refusal> {
        let people = &self.inner.people;
        // Before the read: what ends a session while it is read makes what was read count no more.
        let (ends, now) = (people.ends.until_now(user), self.monotonic());
        if let Some(cached) = people.sessions.get(&id)
            && cached.ends == ends
            && now.saturating_sub(cached.read_at) < limits::SESSION_CACHED
        {
            return Ok(Some(cached.holder));
        }
        let read = self.inner.store.session(id).map_err(|fault| self.unavailable(&fault))?;
        let Some(holder) = read.map(Arc::new) else { return Ok(None) };
        people.sessions.insert(id, CachedSession { holder: holder.clone(), read_at: now, ends });
        Ok(Some(holder))
    }
}
