//! Authentication of a key pair: keys, its end, address, account, rate, in this order; then, for
//! what is sold, the subscription; then the scopes of the pair. Whoever wants to buy shows with the
//! account that it may sell in live mode.
//!
//! Not here: logins and their tokens (`people`). Invariant: an unknown key, a wrong secret, a mixed
//! pair and a revoked pair get one and the same answer (RELIABILITY K3), and the environment is
//! that of the stored pair.

mod log;
mod masking;
mod pages;
mod permits;

pub(crate) use log::RequestLog;
pub use log::{LoggedAs, NamedRequest, NotedBody, RequestNote, RequestOwner, RequestStart};
pub use pages::PageCaller;
pub(crate) use permits::Changed;
pub use permits::Permit;

use crate::accounts::keys;
use crate::rate::{CallerKey, Counted, Quota};
use crate::refusals::ensure;
use crate::{Engine, limits};
use domain::account::subscriber;
use domain::refusal::{
    AccountInactive, AccountNotApproved, AddressNotAllowed, BuyerRefused, KeyExpired,
    KeyPairRefused, KeysInvalid, KeysMissing, NoSubscription, ScopeMissing, StoreRefused, TooFast,
    Unavailable,
};
use domain::{
    AccountId, DuplicatePolicy, Environment, Holder, KeyId, KeyScope, KeyScopes, Kind, Money, Plan,
    PriceQuery, ReferenceKey, ReferenceScope, SessionId, Timestamp, UserId,
};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use store::KeyHolder;
use subtle::ConstantTimeEq;

/// A verified caller; it acts for its account, in its environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account of the key pair, or of the login.
    pub account: AccountId,
    /// The environment of the key pair, or of the session.
    pub environment: Environment,
    /// The key pair; none for a login.
    pub key: Option<KeyId>,
    /// The session of a login; none for a key pair.
    pub session: Option<SessionId>,
    /// The plan of the account's subscription; none for a customer, and once it has expired.
    pub plan: Option<Plan>,
    /// The person of a session of the pages; none for the API.
    pub person: Option<Person>,
    /// Whether its account may buy for real money.
    pub is_approved: bool,
    /// What happens to the same sale again.
    pub duplicates: DuplicatePolicy,
    /// What its key pair may be used for; all without one.
    pub scopes: KeyScopes,
}

/// A person who is logged in on the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person {
    /// The login.
    pub user: UserId,
    /// What the login may do.
    pub holder: Holder,
    /// Whether the second factor (without one: the password) was shown a moment ago.
    pub is_proved: bool,
}

impl Caller {
    pub(crate) const fn rate_key(&self) -> CallerKey {
        CallerKey { account: self.account, environment: self.environment }
    }

    /// Refuses to sell for real money to an account that staff have not approved.
    pub(crate) fn may_buy(&self) -> Result<(), AccountNotApproved> {
        ensure(self.environment != Environment::Live || self.is_approved, AccountNotApproved)
    }

    /// What an amount of one operator costs and earns this caller, to whichever recipient.
    pub(crate) fn price_query<'a>(
        &self,
        operator: &'a str,
        kind: Kind,
        amount: Money,
        at: Timestamp,
    ) -> PriceQuery<'a> {
        PriceQuery {
            account: self.account,
            plan: self.plan,
            environment: self.environment,
            operator,
            kind,
            product: None,
            recipient: "",
            amount,
            at,
        }
    }

    /// A reference, or an idempotency key, that this caller uses.
    pub(crate) fn reference(&self, scope: ReferenceScope, text: &str) -> ReferenceKey {
        let (account, environment) = (self.account, self.environment);
        ReferenceKey { account, environment, scope, text: text.to_owned() }
    }
}

/// The result of authenticating a request.
#[derive(Debug)]
pub struct AccessResult<R> {
    /// The caller, or why the request is refused.
    pub caller: Result<Caller, R>,
    /// For the headers about the rate limit: with right keys (`owner`) the account's calls, also
    /// when the request was refused before it was counted; without them the failed authentications
    /// of the client's address. `None` for an access token that gave no access.
    pub quota: Option<Quota>,
    /// Whose request it is, for the log; none if that was not shown by right keys.
    pub owner: Option<RequestOwner>,
}

impl<R> AccessResult<R> {
    pub(crate) const fn refused(refusal: R) -> AccessResult<R> {
        AccessResult { caller: Err(refusal), quota: None, owner: None }
    }
}

/// A key pair as it was last read.
#[derive(Clone)]
pub(crate) struct CachedKey {
    holder: Arc<KeyHolder>,
    read_at: Duration,
    /// The revision of all keys when it was read, if the store knew it.
    revision: Option<i64>,
}

impl CachedKey {
    /// Whether it may be used: it was read a moment ago, or nothing has changed since.
    fn is_fresh(&self, now: Duration, revision: Option<i64>) -> bool {
        let age = now.saturating_sub(self.read_at);
        let is_unchanged = revision.is_some() && self.revision == revision;
        age < limits::KEY_CACHED || (is_unchanged && age < limits::KEY_KEPT)
    }
}

impl Engine {
    /// Authenticates by a key pair: checks, in this order, keys, their end, address, account and
    /// rate (CONTRACT A-24). `from` is the client's address (proxies already resolved).
    pub async fn authenticate(
        &self,
        open_key: Option<&str>,
        secret_key: Option<&str>,
        from: IpAddr,
    ) -> AccessResult<KeyPairRefused> {
        self.access(open_key, secret_key, from, |_| Ok(())).await
    }

    /// As [`Engine::authenticate`], of whoever wants to buy: refuses with the account, before the
    /// rate, one that may not sell in live mode yet.
    pub async fn authenticate_buyer(
        &self,
        open_key: Option<&str>,
        secret_key: Option<&str>,
        from: IpAddr,
    ) -> AccessResult<BuyerRefused> {
        self.access(open_key, secret_key, from, |caller| Ok(caller.may_buy()?)).await
    }

    /// `may` is what more is asked of the account.
    async fn access<R: From<KeyPairRefused>>(
        &self,
        open_key: Option<&str>,
        secret_key: Option<&str>,
        from: IpAddr,
        may: fn(&Caller) -> Result<(), R>,
    ) -> AccessResult<R> {
        let holder = match self.verified(open_key, secret_key) {
            Ok(holder) => holder,
            Err(refusal) => {
                let caller = Err(self.count_failure(refusal, from).into());
                return AccessResult { caller, quota: Some(self.failures_left(from)), owner: None };
            }
        };
        let subscription = holder.account.subscription;
        let per_minute = subscription.map(|s| s.plan.per_minute());
        let per_minute = per_minute.unwrap_or_else(|| self.calls_without_plan());
        let caller = Caller {
            account: holder.key.account,
            environment: holder.key.environment,
            key: Some(holder.key.id),
            session: None,
            plan: holder.account.plan_at(self.now()),
            person: None,
            is_approved: holder.account.approved_at.is_some(),
            duplicates: holder.account.duplicates,
            scopes: holder.key.scopes,
        };
        let admitted = self.is_let_in(&holder, from).map_err(R::from).and_then(|()| may(&caller));
        self.counted(caller, per_minute, admitted).await
    }

    /// Refuses a key pair after its end, from an address that is not on its list, and of an account
    /// that is switched off.
    fn is_let_in(&self, holder: &KeyHolder, from: IpAddr) -> Result<(), KeyPairRefused> {
        ensure(!holder.key.is_over_at(self.now()), KeyExpired)?;
        ensure(holder.key.allow_list.allows(from), AddressNotAllowed { seen: from })?;
        self.note_key_use(holder.key.id, from);
        Ok(ensure(holder.account.is_active, AccountInactive)?)
    }

    /// Counts the call of an admitted caller. One that is refused is not counted: whoever has
    /// stolen keys, and is at another address, uses none of the account's calls up.
    async fn counted<R: From<KeyPairRefused>>(
        &self,
        caller: Caller,
        per_minute: u32,
        admitted: Result<(), R>,
    ) -> AccessResult<R> {
        let owner = Some(RequestOwner::from(&caller));
        let counted = match admitted {
            Ok(()) => self.count_call(caller.rate_key(), per_minute).await,
            Err(refusal) => {
                let quota = Some(self.calls_left(caller.rate_key(), per_minute));
                return AccessResult { caller: Err(refusal), quota, owner };
            }
        };
        let (caller, quota) = match counted {
            Ok(counted) => (counted.or_refuse().map(|_| caller).map_err(Into::into), counted.quota),
            Err(unavailable) => {
                let quota = self.calls_left(caller.rate_key(), per_minute);
                (Err(KeyPairRefused::from(unavailable)), quota)
            }
        };
        AccessResult { caller: caller.map_err(R::from), quota: Some(quota), owner }
    }

    /// Refuses what the caller's key pair is not for.
    pub fn is_in_scope(&self, caller: &Caller, scope: KeyScope) -> Result<(), KeyPairRefused> {
        Ok(ensure(caller.scopes.allows(scope), ScopeMissing { scope })?)
    }

    /// Refuses to sell to a merchant without a subscription, by a key pair or on the pages
    /// (CONTRACT A-41).
    pub fn is_subscribed(&self, caller: &Caller) -> Result<(), NoSubscription> {
        let is_merchant = caller.key.is_some() || caller.person.is_some();
        ensure(!is_merchant || caller.plan.is_some(), NoSubscription)
    }

    /// Counts one call of an account, over all nodes.
    pub(crate) async fn count_call(
        &self,
        caller: CallerKey,
        limit: u32,
    ) -> Result<Counted, Unavailable> {
        match self.inner.store.is_shared() {
            true => self.take_shared_call(caller, limit).await,
            false => Ok(self.inner.calls.take(caller, limit, self.monotonic())),
        }
    }

    /// What is left of an account's calls, without counting one; over several nodes as far as this
    /// one knows.
    fn calls_left(&self, caller: CallerKey, limit: u32) -> Quota {
        match self.inner.store.is_shared() {
            true => self.shared_calls_left(caller, limit),
            false => self.inner.calls.left(&caller, limit, self.monotonic()),
        }
    }

    /// How many failed authentications are left to an address, without counting one.
    fn failures_left(&self, from: IpAddr) -> Quota {
        let (limit, now) = (limits::FAILURES_A_MINUTE, self.monotonic());
        self.inner.failures.left(&subscriber(from), limit, now)
    }

    /// Counts a search without a login, by address. Refuses (`TooFast`) past the limit.
    pub fn may_search(&self, from: IpAddr) -> Result<Quota, TooFast> {
        let (limit, now) = (limits::SEARCHES_A_MINUTE, self.monotonic());
        self.inner.searches.take(subscriber(from), limit, now).or_refuse()
    }

    fn verified(
        &self,
        open_key: Option<&str>,
        secret_key: Option<&str>,
    ) -> Result<Arc<KeyHolder>, KeyPairRefused> {
        let open = open_key.filter(|open| !open.is_empty()).ok_or(KeysMissing)?;
        let secret = secret_key.filter(|secret| !secret.is_empty()).ok_or(KeysMissing)?;
        ensure(keys::is_open_key(open) && keys::is_secret_key(secret), KeysInvalid)?;
        let holder = self.key_holder(open)?;
        let digest = keys::digest_of(secret);
        // For an unknown key too, with a value that no secret hashes to: the time must not differ.
        let stored = holder.as_ref().map_or([0; 32], |h| h.key.secret_digest);
        let fits = bool::from(digest.ct_eq(&stored));
        match holder {
            Some(holder) if fits && holder.key.revoked_at.is_none() => Ok(holder),
            Some(_) | None => Err(KeysInvalid.into()),
        }
    }

    fn key_holder(&self, open_key: &str) -> Result<Option<Arc<KeyHolder>>, StoreRefused> {
        let (now, revision) = (self.inner.clock.monotonic(), self.inner.store.keys_revision());
        if let Some(cached) = self.inner.keys.get(open_key)
            && cached.is_fresh(now, revision)
        {
            return Ok(Some(cached.holder));
        }
        let read = self.or_unavailable(self.inner.store.key_holder(open_key))?;
        let Some(holder) = read.map(Arc::new) else { return Ok(None) };
        let cached = CachedKey { holder: holder.clone(), read_at: now, revision };
        self.inner.keys.insert(open_key.to_owned(), cached);
        Ok(Some(holder))
    }

    /// Slows down whoever guesses keys. Only failures are counted: a right pair is never refused
    /// because somebody behind the same address guesses.
    fn count_failure(&self, refusal: KeyPairRefused, from: IpAddr) -> KeyPairRefused {
        if refusal != KeysInvalid.into() {
            return refusal;
        }
        let (limit, now) = (limits::FAILURES_A_MINUTE, self.monotonic());
        let counted = self.inner.failures.take(subscriber(from), limit, now);
        counted.or_refuse().err().map_or(refusal, KeyPairRefused::from)
    }
}
