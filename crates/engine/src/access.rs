//! Who calls, from where, how often: keys, address, account, rate, subscription, in this order.
//! (Logins and their tokens: `people`.)
//!
//! Invariant: an unknown key, a wrong secret, a mixed pair and a revoked pair get one and the same
//! answer (RELIABILITY K3), and the environment is that of the stored pair.

use crate::{Engine, keys, limits};
use domain::account::{AccountId, Environment, Plan, subscriber};
use domain::ids::{KeyId, SessionId};
use domain::refusal::Refusal;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use store::KeyHolder;
use subtle::ConstantTimeEq;

/// A caller who was verified; whatever it asks for is asked in its account and environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Whose keys, or whose login.
    pub account: AccountId,
    /// Of which environment.
    pub environment: Environment,
    /// Which key pair; none for a login.
    pub key: Option<KeyId>,
    /// Which session of a login; none for a key pair.
    pub session: Option<SessionId>,
    /// What its account subscribed to; none for a customer.
    pub plan: Option<Plan>,
}

/// What is left of the calls of this minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Calls a minute.
    pub limit: u32,
    /// Calls left.
    pub remaining: u32,
    /// Seconds until the oldest call that counts is given back.
    pub reset_s: u64,
}

/// The outcome of knocking at the door.
#[derive(Debug)]
pub struct AccessResult {
    /// Who may come in, or why not.
    pub caller: Result<Caller, Refusal>,
    /// The rate limit's headers, once the account is known.
    pub quota: Option<Quota>,
}

/// A pair as it was last read.
#[derive(Clone)]
pub(crate) struct CachedKey {
    holder: Arc<KeyHolder>,
    read_at: Duration,
    /// How often keys had changed before it was read, if that was known.
    revision: Option<i64>,
}

impl CachedKey {
    /// Whether it can be relied on: read a moment ago, or nothing has changed since.
    fn holds(&self, now: Duration, revision: Option<i64>) -> bool {
        let age = now.saturating_sub(self.read_at);
        let is_unchanged = revision.is_some() && self.revision == revision;
        age < limits::KEY_CACHED || (is_unchanged && age < limits::KEY_KEPT)
    }
}

impl Engine {
    /// Who calls: checks, in this order, keys, address, account, rate and subscription
    /// (CONTRACT A-24). `from` is the client's address (proxies already resolved).
    pub async fn enter(
        &self,
        open_key: Option<&str>,
        secret_key: Option<&str>,
        from: IpAddr,
    ) -> AccessResult {
        let stop = |refusal| AccessResult { caller: Err(refusal), quota: None };
        let holder = match self.verified(open_key, secret_key) {
            Ok(holder) => holder,
            Err(refusal) => return stop(self.count_failure(refusal, from)),
        };
        if !holder.key.allow_list.allows(from) {
            return stop(Refusal::AddressNotAllowed);
        }
        if !holder.account.is_active {
            return stop(Refusal::AccountInactive);
        }
        let plan = holder.account.subscription.map_or(Plan::Starter, |s| s.plan);
        let who = (holder.key.account, holder.key.environment);
        let (quota, passes) = match self.count_call(who, plan.per_minute()).await {
            Ok(counted) => counted,
            Err(refusal) => return stop(refusal),
        };
        let caller = if !passes {
            Err(Refusal::TooFast { retry_after_s: quota.reset_s.max(1) })
        } else if holder.account.subscription.is_none_or(|s| s.until <= self.now()) {
            Err(Refusal::NoSubscription)
        } else {
            Ok(Caller {
                account: who.0,
                environment: who.1,
                key: Some(holder.key.id),
                session: None,
                plan: Some(plan),
            })
        };
        AccessResult { caller, quota: Some(quota) }
    }

    /// Counts one call of an account, over all nodes.
    pub(crate) async fn count_call(
        &self,
        who: (AccountId, Environment),
        limit: u32,
    ) -> Result<(Quota, bool), Refusal> {
        match self.inner.store.is_shared() {
            true => self.take_call(who, limit).await,
            false => Ok(self.inner.calls.take(who, limit, self.monotonic())),
        }
    }

    /// Counts a search by somebody who is not logged in, by address.
    pub fn may_search(&self, from: IpAddr) -> Result<Quota, Refusal> {
        let now = self.monotonic();
        let limit = limits::SEARCHES_A_MINUTE;
        match self.inner.searches.take(subscriber(from), limit, now) {
            (quota, true) => Ok(quota),
            (quota, false) => Err(Refusal::TooFast { retry_after_s: quota.reset_s.max(1) }),
        }
    }

    fn verified(
        &self,
        open_key: Option<&str>,
        secret_key: Option<&str>,
    ) -> Result<Arc<KeyHolder>, Refusal> {
        let (Some(open), Some(secret)) = (open_key, secret_key) else {
            return Err(Refusal::KeysMissing);
        };
        if open.is_empty() || secret.is_empty() {
            return Err(Refusal::KeysMissing);
        }
        if !keys::is_open_key(open) || !keys::is_secret_key(secret) {
            return Err(Refusal::KeysInvalid);
        }
        let holder = self.key_holder(open)?;
        let digest = keys::digest_of(secret);
        // An unknown key is compared too, with something that nothing hashes to.
        let stored = holder.as_ref().map_or([0; 32], |h| h.key.secret_digest);
        let fits = bool::from(digest.ct_eq(&stored));
        match holder {
            Some(holder) if fits && holder.key.revoked_at.is_none() => Ok(holder),
            Some(_) | None => Err(Refusal::KeysInvalid),
        }
    }

    fn key_holder(&self, open_key: &str) -> Result<Option<Arc<KeyHolder>>, Refusal> {
        let (now, revision) = (self.inner.clock.monotonic(), self.inner.store.keys_revision());
        if let Some(cached) = self.inner.keys.get(open_key)
            && cached.holds(now, revision)
        {
            return Ok(Some(cached.holder));
        }
        let read =
            self.inner.store.key_holder(open_key).map_err(|fault| self.unavailable(&fault))?;
        let Some(holder) = read.map(Arc::new) else { return Ok(None) };
        self.inner.keys.insert(
            open_key.to_owned(),
            CachedKey { holder: holder.clone(), read_at: now, revision },
        );
        Ok(Some(holder))
    }

    /// Whoever guesses is slowed down; a right pair is never refused for a neighbour's guesses.
    fn count_failure(&self, refusal: Refusal, from: IpAddr) -> Refusal {
        if refusal != Refusal::KeysInvalid {
            return refusal;
        }
        let now = self.inner.clock.monotonic();
        let (quota, passes) =
            self.inner.failures.take(subscriber(from), limits::FAILURES_A_MINUTE, now);
        if passes { refusal } else { Refusal::TooFast { retry_after_s: quota.reset_s.max(1) } }
    }
}
