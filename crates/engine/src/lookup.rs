//! Looking: balances, purchases, their stories. Changes nothing.

use crate::{Caller, Engine};
use domain::account::{Account, AccountId, Key};
use domain::purchase::lifecycle::State;
use domain::purchase::{Attempt, PurchaseKey, ReferenceKey, ReferenceScope};
use domain::refusal::Refusal;
use domain::{Currency, Money, Purchase, PurchaseId};
use store::{Evidence, Fault, OpenCase, OutboxEvent, Page, StatementLine, Store, Wallet};

/// Everything that is known of a purchase.
#[derive(Clone, Debug)]
pub struct PurchaseHistory {
    /// It, as it stands.
    pub purchase: Purchase,
    /// Its attempts, first to last.
    pub attempts: Vec<Attempt>,
    /// What was said about it, first to last.
    pub evidence: Vec<Evidence>,
    /// What its account was or will be told, first to last.
    pub events: Vec<OutboxEvent>,
}

impl Engine {
    /// The account's available money in a currency. Refuses without such a wallet.
    #[expect(clippy::unused_async, reason = "a store over a network will be waited for here")]
    pub async fn balance(&self, caller: &Caller, currency: Currency) -> Result<Money, Refusal> {
        let read = self.inner.store.available(caller.account, caller.environment, currency);
        read.map_err(|fault| self.unavailable(&fault))?.ok_or(Refusal::NoWallet)
    }

    /// What each wallet of the account can spend, by currency code.
    #[expect(clippy::unused_async, reason = "a store over a network will be waited for here")]
    pub async fn balances(&self, caller: &Caller) -> Result<Vec<Money>, Refusal> {
        let wallets = self.inner.store.wallets(caller.account);
        let wallets = wallets.map_err(|fault| self.unavailable(&fault))?.into_iter();
        let mut balances: Vec<Money> = wallets
            .filter(|wallet| wallet.environment == caller.environment)
            .map(|wallet| wallet.available)
            .collect();
        balances.sort_by_key(|balance| balance.currency().code());
        Ok(balances)
    }

    /// What changed a wallet's available money, latest first. Refuses without such a wallet.
    pub async fn statement(
        &self,
        caller: &Caller,
        currency: Currency,
        page: Page,
    ) -> Result<Vec<StatementLine>, Refusal> {
        let (account, environment) = (caller.account, caller.environment);
        self.list(move |store| store.statement(account, environment, currency, page))
            .await?
            .ok_or(Refusal::NoWallet)
    }

    /// The purchases that the account's logins made by one face, latest first; of these states, or
    /// of all.
    pub async fn purchases_of(
        &self,
        caller: &Caller,
        scope: ReferenceScope,
        states: &[State],
        page: Page,
    ) -> Result<Vec<Purchase>, Refusal> {
        let (account, environment) = (caller.account, caller.environment);
        let states = states.to_vec();
        self.list(move |store| store.purchases_of(account, environment, scope, &states, page)).await
    }

    /// Reads a list beside the threads that answer: it may take longer than a look-up.
    pub(crate) async fn list<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Store) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Refusal> {
        let engine = self.clone();
        let reading = tokio::task::spawn_blocking(move || read(&engine.inner.store));
        let read = reading.await.unwrap_or(Err(Fault::Closed));
        read.map_err(|fault| self.unavailable(&fault))
    }

    /// The purchase of this reference.
    #[expect(clippy::unused_async, reason = "a store over a network will be waited for here")]
    pub async fn purchase_by_reference(
        &self,
        caller: &Caller,
        scope: ReferenceScope,
        reference: &str,
    ) -> Result<Purchase, Refusal> {
        let reference = ReferenceKey {
            account: caller.account,
            environment: caller.environment,
            scope,
            text: reference.to_owned(),
        };
        let stored_reference = self
            .inner
            .store
            .stored_reference(&reference)
            .map_err(|fault| self.unavailable(&fault))?;
        let key = stored_reference.and_then(|c| c.purchase).ok_or(Refusal::PurchaseUnknown)?;
        self.own(&key)
    }

    /// The purchase of this id; a stranger's is as unknown as one that never was.
    #[expect(clippy::unused_async, reason = "a store over a network will be waited for here")]
    pub async fn purchase_by_id(
        &self,
        caller: &Caller,
        id: PurchaseId,
    ) -> Result<Purchase, Refusal> {
        self.own(&PurchaseKey { account: caller.account, environment: caller.environment, id })
    }

    fn own(&self, key: &PurchaseKey) -> Result<Purchase, Refusal> {
        let read = self.inner.store.purchase(key).map_err(|fault| self.unavailable(&fault))?;
        read.ok_or(Refusal::PurchaseUnknown)
    }

    /// For staff: the latest purchases of everybody, at most `limit`; of one state if given.
    pub fn latest_purchases(
        &self,
        state: Option<State>,
        limit: u32,
    ) -> Result<Vec<Purchase>, Fault> {
        self.inner.store.latest_purchases(state, limit)
    }

    /// For staff: a purchase with all that is known of it.
    pub fn history(&self, id: PurchaseId) -> Result<Option<PurchaseHistory>, Fault> {
        let Some(purchase) = self.inner.store.any_purchase(id)? else { return Ok(None) };
        let key = purchase.key;
        Ok(Some(PurchaseHistory {
            purchase,
            attempts: self.inner.store.attempts(&key)?,
            evidence: self.inner.store.evidence(&key)?,
            events: self.inner.store.events(&key)?,
        }))
    }

    /// For staff: the cases that wait for them, oldest first.
    pub fn open_cases(&self) -> Result<Vec<OpenCase>, Fault> {
        self.inner.store.open_cases()
    }

    /// For staff: every account.
    pub fn accounts(&self) -> Result<Vec<Account>, Fault> {
        self.inner.store.accounts()
    }

    /// For staff: an account's wallets.
    pub fn wallets(&self, account: AccountId) -> Result<Vec<Wallet>, Fault> {
        self.inner.store.wallets(account)
    }

    /// For staff: an account's key pairs, without their secrets.
    pub fn keys_of(&self, account: AccountId) -> Result<Vec<Key>, Fault> {
        self.inner.store.keys_of(account)
    }
}
