//! Reads: balances, purchases, their history.
//!
//! Invariant: nothing here changes anything.

use crate::{Caller, Engine};
use domain::refusal::{FindRefused, NoWallet, PurchaseUnknown, StoreRefused, WalletRefused};
use domain::{
    Account, AccountId, Attempt, Currency, Key, Money, Purchase, PurchaseId, PurchaseKey,
    ReferenceScope, State,
};
use store::{Evidence, Fault, OpenCase, OutboxEvent, Page, StatementLine, Wallet};

/// Everything that is known of a purchase.
#[derive(Clone, Debug)]
pub struct PurchaseHistory {
    /// The purchase in its current state.
    pub purchase: Purchase,
    /// Its attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// What upstreams, staff and clocks said about it, oldest first.
    pub evidence: Vec<Evidence>,
    /// What its account was or will be sent, oldest first.
    pub events: Vec<OutboxEvent>,
}

impl Engine {
    /// The account's available money in a currency. Refuses if there is no such wallet.
    #[expect(clippy::unused_async, reason = "a store over a network will be waited for here")]
    pub async fn balance(
        &self,
        caller: &Caller,
        currency: Currency,
    ) -> Result<Money, WalletRefused> {
        let read = self.inner.store.available(caller.account, caller.environment, currency);
        Ok(self.or_unavailable(read)?.ok_or(NoWallet)?)
    }

    /// What each wallet of the account can spend, by currency code.
    #[expect(clippy::unused_async, reason = "a store over a network will be waited for here")]
    pub async fn balances(&self, caller: &Caller) -> Result<Vec<Money>, StoreRefused> {
        let wallets = self.or_unavailable(self.inner.store.wallets(caller.account))?;
        let mut balances: Vec<Money> = wallets
            .into_iter()
            .filter(|wallet| wallet.environment == caller.environment)
            .map(|wallet| wallet.available)
            .collect();
        balances.sort_by_key(|balance| balance.currency().code());
        Ok(balances)
    }

    /// What changed a wallet's available money, latest first. Refuses if there is no such wallet.
    pub async fn statement(
        &self,
        caller: &Caller,
        currency: Currency,
        page: Page,
    ) -> Result<Vec<StatementLine>, WalletRefused> {
        let (account, environment) = (caller.account, caller.environment);
        let read =
            self.blocking(move |store| store.statement(account, environment, currency, page)).await;
        Ok(self.or_unavailable(read)?.ok_or(NoWallet)?)
    }

    /// The account's purchases of one scope, latest first; of these states, or of all if there are
    /// none.
    pub async fn purchases_of(
        &self,
        caller: &Caller,
        scope: ReferenceScope,
        states: &[State],
        page: Page,
    ) -> Result<Vec<Purchase>, StoreRefused> {
        let (account, environment) = (caller.account, caller.environment);
        let states = states.to_vec();
        let read = self
            .blocking(move |store| store.purchases_of(account, environment, scope, &states, page));
        self.or_unavailable(read.await)
    }

    /// The purchase with this reference; `PurchaseUnknown` if there is none.
    #[expect(clippy::unused_async, reason = "a store over a network will be waited for here")]
    pub async fn purchase_by_reference(
        &self,
        caller: &Caller,
        scope: ReferenceScope,
        reference: &str,
    ) -> Result<Purchase, FindRefused> {
        let stored = self.inner.store.stored_reference(&caller.reference(scope, reference));
        let key = self
            .or_unavailable(stored)?
            .and_then(|stored| stored.purchase)
            .ok_or(PurchaseUnknown)?;
        self.purchase_of_key(&key)
    }

    /// The purchase with this id; `PurchaseUnknown` also if it belongs to another account.
    #[expect(clippy::unused_async, reason = "a store over a network will be waited for here")]
    pub async fn purchase_by_id(
        &self,
        caller: &Caller,
        id: PurchaseId,
    ) -> Result<Purchase, FindRefused> {
        let (account, environment) = (caller.account, caller.environment);
        self.purchase_of_key(&PurchaseKey { account, environment, id })
    }

    fn purchase_of_key(&self, key: &PurchaseKey) -> Result<Purchase, FindRefused> {
        Ok(self.or_unavailable(self.inner.store.purchase(key))?.ok_or(PurchaseUnknown)?)
    }

    /// For staff: the latest purchases of all accounts, at most `limit`; of one state if given.
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
