//! Reads: balances, purchases, their history.
//!
//! Invariant: nothing here changes anything.

use crate::{Caller, Engine};
use domain::refusal::{FindRefused, NoWallet, PurchaseUnknown, StoreRefused, WalletRefused};
use domain::{
    Account, AccountId, Attempt, Currency, Environment, Exchange, Key, Kind, Money, Operator,
    PriceComponent, PriceRule, Purchase, PurchaseKey, PurchaseNumber, ReferenceScope, Service,
    Slip, State, best_rule,
};
use std::path::PathBuf;
use store::{
    Balance, Evidence, Fault, OpenCase, OutboxEvent, Page, PurchaseFilter, PurchaseOwners,
    StatementLine, StatementOf, Wallet,
};

/// Everything that is known of a purchase.
#[derive(Clone, Debug)]
pub struct PurchaseHistory {
    /// The purchase in its current state.
    pub purchase: Purchase,
    /// Its attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// What upstreams, staff and clocks said about it, oldest first.
    pub evidence: Vec<Evidence>,
    /// What was sent to upstreams and came back, oldest first, as long as it is kept.
    pub exchanges: Vec<Exchange>,
    /// What its account was or will be sent, oldest first.
    pub events: Vec<OutboxEvent>,
    /// What the end customer keeps of it: tokens, units, charges.
    pub slip: Option<Slip>,
}

/// What an account pays and earns for one kind of purchase from one operator.
#[derive(Clone, Debug)]
pub struct AccountPrice {
    /// Who delivers.
    pub operator: Operator,
    /// What is bought.
    pub kind: Kind,
    /// What is paid on top of the amount; none: nothing.
    pub fee: Option<PriceRule>,
    /// What is earned at delivery; none: nothing.
    pub commission: Option<PriceRule>,
}

/// What an operator sells by an amount; bills and bundles have prices by product.
fn kinds_of(operator: &Operator) -> &'static [Kind] {
    match (operator.service, operator.offers) {
        (Service::MobileRecharge, Some(_)) => &[Kind::Recharge, Kind::Offer],
        (Service::MobileRecharge, None) => &[Kind::Recharge],
        (Service::MobileBanking, _) => &[Kind::Banking],
        (Service::BillPayment, _) => &[Kind::Bill],
    }
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

    /// What changed one balance of a wallet, latest first. Refuses if there is no such wallet.
    pub async fn statement(
        &self,
        caller: &Caller,
        currency: Currency,
        balance: Balance,
        page: Page,
    ) -> Result<Vec<StatementLine>, WalletRefused> {
        let (account, environment) = (caller.account, caller.environment);
        let of = StatementOf { account, environment, currency, balance };
        Ok(self.read(move |store| store.statement(of, page)).await?.ok_or(NoWallet)?)
    }

    /// The account's wallet of a currency in the caller's environment. Refuses if there is none.
    #[expect(clippy::unused_async, reason = "a store over a network will be waited for here")]
    pub async fn wallet(
        &self,
        caller: &Caller,
        currency: Currency,
    ) -> Result<Wallet, WalletRefused> {
        let wallets = self.or_unavailable(self.inner.store.wallets(caller.account))?;
        let is_asked_for = |wallet: &Wallet| {
            wallet.environment == caller.environment && wallet.available.currency() == currency
        };
        Ok(wallets.into_iter().find(is_asked_for).ok_or(NoWallet)?)
    }

    /// The account's purchases that pass a filter, latest first. A page ends before a
    /// purchase's number.
    pub async fn list_purchases(
        &self,
        caller: &Caller,
        filter: PurchaseFilter,
        page: Page,
    ) -> Result<Vec<Purchase>, StoreRefused> {
        let (account, environment) = (caller.account, caller.environment);
        let page = self.or_unavailable(self.before_number(page))?;
        self.read(move |store| store.list_purchases(account, environment, &filter, page)).await
    }

    /// What the account pays and earns now, by operator and kind: of each active operator of these
    /// services in whose currency the account has a wallet.
    pub async fn prices(
        &self,
        caller: &Caller,
        is_sold: impl Fn(Service) -> bool,
    ) -> Result<Vec<AccountPrice>, StoreRefused> {
        let (catalog, wallets) = (self.catalog(), self.balances(caller).await?);
        let now = self.now();
        let mut prices = Vec::new();
        for operator in catalog.operators.iter().filter(|o| o.is_active && is_sold(o.service)) {
            let currency = catalog.country_of(operator).map(|country| country.currency);
            let has_wallet =
                |currency: &Currency| wallets.iter().any(|wallet| wallet.currency() == *currency);
            let Some(currency) = currency.filter(has_wallet) else { continue };
            for kind in kinds_of(operator) {
                let query = caller.price_query(&operator.code, *kind, Money::zero(currency), now);
                let rule = |component| best_rule(&catalog.prices, component, &query).cloned();
                prices.push(AccountPrice {
                    operator: operator.clone(),
                    kind: *kind,
                    fee: rule(PriceComponent::Fee),
                    commission: rule(PriceComponent::Commission),
                });
            }
        }
        Ok(prices)
    }

    /// The account's purchases of one scope, latest first; of these states, or of all if there are
    /// none. A page ends before a purchase's number.
    pub async fn purchases_of(
        &self,
        caller: &Caller,
        scope: ReferenceScope,
        states: &[State],
        page: Page,
    ) -> Result<Vec<Purchase>, StoreRefused> {
        let (account, environment) = (caller.account, caller.environment);
        let states = states.to_vec();
        let page = self.or_unavailable(self.before_number(page))?;
        self.read(move |store| store.purchases_of(account, environment, scope, &states, page)).await
    }

    /// The page before a purchase's number, as the store counts: by its id.
    fn before_number(&self, page: Page) -> Result<Page, Fault> {
        let before = page.before.map(|number| self.purchase_id(PurchaseNumber(number)));
        Ok(Page { before: before.transpose()?.flatten().map(|id| id.0), ..page })
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

    /// The purchase with this number; `PurchaseUnknown` also if it belongs to another account.
    #[expect(clippy::unused_async, reason = "a store over a network will be waited for here")]
    pub async fn purchase_by_id(
        &self,
        caller: &Caller,
        number: PurchaseNumber,
    ) -> Result<Purchase, FindRefused> {
        let (account, environment) = (caller.account, caller.environment);
        let id = self.or_unavailable(self.purchase_id(number))?.ok_or(PurchaseUnknown)?;
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
    pub fn history(&self, number: PurchaseNumber) -> Result<Option<PurchaseHistory>, Fault> {
        let Some(id) = self.purchase_id(number)? else { return Ok(None) };
        let Some(purchase) = self.inner.store.any_purchase(id)? else { return Ok(None) };
        let key = purchase.key;
        let slip = match &purchase.upstream {
            Some(upstream) => self.inner.store.slip(&key, upstream)?,
            None => None,
        };
        Ok(Some(PurchaseHistory {
            slip,
            purchase,
            attempts: self.inner.store.attempts(&key)?,
            evidence: self.inner.store.evidence(&key)?,
            exchanges: self.inner.store.exchanges(id)?,
            events: self.inner.store.events(&key)?,
        }))
    }

    /// For staff: a purchase with all that these archive files know of it.
    pub fn archived_history(
        &self,
        files: &[PathBuf],
        number: PurchaseNumber,
    ) -> Result<Option<PurchaseHistory>, Fault> {
        let Some(id) = self.purchase_id(number)? else { return Ok(None) };
        let found = store::archived_purchase(files, id)?;
        Ok(found.map(|found| {
            let store::ArchivedPurchase { purchase, attempts, evidence, events, slip } = found;
            // Exchanges are kept for a while only, and not archived.
            let exchanges = Vec::new();
            PurchaseHistory { purchase, attempts, evidence, exchanges, events, slip }
        }))
    }

    /// For staff: the purchases that pass a filter, latest first: of one account or of all, in one
    /// environment or both, and of these archive files too. Blocks.
    pub fn find_purchases(
        &self,
        account: Option<AccountId>,
        environment: Option<Environment>,
        filter: &PurchaseFilter,
        page: Page,
        archives: &[PathBuf],
    ) -> Result<Vec<Purchase>, Fault> {
        let page = self.before_number(page)?;
        let accounts: Vec<AccountId> = match account {
            Some(account) => vec![account],
            None => self.inner.store.accounts()?.iter().map(|account| account.id).collect(),
        };
        let is_everybody = account.is_none();
        let of = PurchaseOwners { accounts: &accounts, is_everybody, environment };
        let mut found = self.inner.store.find_purchases(of, filter, page)?;
        found.extend(store::find_archived(archives, of, filter, page)?);
        found.sort_by_key(|purchase| std::cmp::Reverse(purchase.key.id));
        found.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
        Ok(found)
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
