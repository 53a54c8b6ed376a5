//! What the company sets up: accounts, wallets, keys, logins, the catalog.
//!
//! Not here: who may set it up. Invariant: what belongs together is made in one commit.

use super::catalog::settings_of;
use super::keys::{self, KeyPair};
use super::pairs::KeyTerms;
use crate::access::Changed;
use crate::refusals::{blank, ensure, not_possible, refuse_if_any};
use crate::{Engine, Permit, limits};
use domain::account::HOUSE;
use domain::refusal::{
    BusyRefused, KeysInvalid, PurchaseUnknown, StaffRefused, StoreRefused, Unavailable,
};
use domain::{
    Account, AccountId, AllowList, Catalog, Currency, DuplicatePolicy, Environment, Key, KeyId,
    Permitted, Role, Subscription, Timestamp, UserId, act,
};
use serde_json::{Value, json};
use store::{ReviseAccount, SetAll, Setting};

/// The purpose under which secrets of sandbox keys are sealed.
const KEY_SECRET: &str = "sandbox key";

/// An account that is to be opened, with a wallet in each currency and environment.
#[derive(Clone, Debug)]
pub struct NewAccount<'a> {
    /// Merchant or customer.
    pub role: Role,
    /// The name that people see.
    pub name: &'a str,
    /// Its subscription, which fixes its calls a minute.
    pub subscription: Option<Subscription>,
    /// The currencies of its wallets.
    pub currencies: &'a [Currency],
}

impl Engine {
    /// Opens the house account unless it exists: it owns fees, floats and funding.
    pub async fn open_house(
        &self,
        permit: Permit<act::Maintain>,
        name: &str,
    ) -> Result<(), StoreRefused> {
        if self.account(HOUSE)?.is_some() {
            return Ok(());
        }
        let house = new_account(HOUSE, Role::House, name, self.now());
        let changed = Changed::made(format_args!("account {HOUSE}"), shown(&house));
        self.set(&permit, vec![Setting::Account(house)], vec![changed]).await
    }

    /// Opens an account with its wallets, in one commit.
    pub async fn open_account(
        &self,
        permit: Permit<act::ManageAccounts>,
        new: NewAccount<'_>,
    ) -> Result<AccountId, StaffRefused> {
        let mut setup = self.account_setup(permit);
        let id = setup.account(&new).await?;
        setup.commit().await?;
        Ok(id)
    }

    /// Begins a set-up; [`AccountSetup::commit`] makes all of it, or nothing.
    pub fn account_setup(&self, permit: Permit<act::ManageAccounts>) -> AccountSetup {
        AccountSetup { engine: self.clone(), permit, settings: Vec::new(), changed: Vec::new() }
    }

    /// Changes an account: its name, its subscription, whether it is active. The change applies to
    /// its calls within a second.
    pub async fn change_account(
        &self,
        permit: Permit<act::ManageAccounts>,
        id: AccountId,
        change: impl Fn(&mut Account),
    ) -> Result<Account, StaffRefused> {
        self.change_account_noting(permit, id, json!(null), change).await
    }

    /// As [`Engine::change_account`], with a note for the record of acts.
    pub(crate) async fn change_account_noting(
        &self,
        permit: Permit<act::ManageAccounts>,
        id: AccountId,
        note: Value,
        change: impl Fn(&mut Account),
    ) -> Result<Account, StaffRefused> {
        let _lock = self.inner.settings_lock.lock().await;
        // Another node may change the account meanwhile: then it is changed as it is there.
        for _ in 0..limits::REVISIONS {
            let before = self.account(id)?.ok_or(PurchaseUnknown)?;
            let mut after = before.clone();
            change(&mut after);
            let mut noted = shown(&after);
            if !note.is_null() {
                noted["note"] = note.clone();
            }
            let changed = Changed::new(format_args!("account {id}"), shown(&before), noted);
            let revise = ReviseAccount { before, after: after.clone() };
            let revise = self.recorded(&permit, revise, [changed], |is_done| *is_done);
            if self.or_unavailable(self.commit(&permit, revise).await)? {
                self.forget_accounts();
                return Ok(after);
            }
        }
        Err(Unavailable { retry_after_s: 1 }.into())
    }

    /// Forgets what this node keeps of accounts beside its key pairs and sessions.
    pub(super) fn forget_accounts(&self) {
        self.inner.keys.clear();
        self.inner.people.forget_sessions();
    }

    /// An account by its id.
    pub fn account(&self, id: AccountId) -> Result<Option<Account>, StoreRefused> {
        self.or_unavailable(self.inner.store.account(id))
    }

    /// Makes a key pair; the secret is in the answer and nowhere else.
    pub async fn make_key(
        &self,
        permit: Permit<act::ManageKeys>,
        account: AccountId,
        environment: Environment,
    ) -> Result<(KeyId, KeyPair), StaffRefused> {
        self.make_key_with(permit, account, environment, KeyTerms::default()).await
    }

    /// The sandbox key pairs of an account that are valid and whose secrets are kept, those that
    /// may do all first, then the oldest: for samples that carry the reader's own keys.
    pub fn sandbox_pairs(&self, account: AccountId) -> Result<Vec<(KeyId, KeyPair)>, StoreRefused> {
        let keys = self.or_unavailable(self.inner.store.keys_of(account))?;
        let secrets = self.or_unavailable(self.inner.store.key_secrets(account))?;
        let now = self.now();
        let pair = |(id, sealed): (KeyId, Vec<u8>)| {
            let key = keys.iter().find(|key| key.id == id && key.is_valid_at(now))?;
            let secret = self.inner.vault.open(KEY_SECRET, &format!("key {id}"), &sealed).ok()?;
            let secret = String::from_utf8(secret).ok()?;
            Some((key.scopes, (id, KeyPair { open: key.open_key.clone(), secret })))
        };
        let mut pairs: Vec<_> = secrets.into_iter().filter_map(pair).collect();
        pairs.sort_by_key(|(scopes, _)| !scopes.is_all());
        Ok(pairs.into_iter().map(|(_, pair)| pair).collect())
    }

    /// A new pair that is not stored yet and belongs to no account.
    pub fn fresh_pair(&self, environment: Environment) -> Result<KeyPair, Unavailable> {
        keys::make(environment, self.inner.random.as_ref())
            .map_err(|_| Unavailable { retry_after_s: 5 })
    }

    /// Stores a pair that was made before. Refuses a customer's account, and a pair of another
    /// shape, with a wrong checksum, or of the other environment.
    pub async fn adopt_key(
        &self,
        permit: Permit<act::ManageKeys>,
        account: AccountId,
        environment: Environment,
        pair: KeyPair,
    ) -> Result<(KeyId, KeyPair), StaffRefused> {
        self.may_have_keys(account)?;
        let terms = KeyTerms { made_by: Some(permit.maker()), ..KeyTerms::default() };
        let (id, settings, changed) = self.new_key(account, environment, &pair, terms).await?;
        self.set(&permit, settings, vec![changed]).await?;
        Ok((id, pair))
    }

    /// Refuses a customer's account, and one that does not exist.
    pub(super) fn may_have_keys(&self, account: AccountId) -> Result<(), StaffRefused> {
        let holder = self.account(account)?.ok_or(PurchaseUnknown)?;
        let because = "A customer has a login; key pairs are for merchants.";
        Ok(ensure(holder.role != Role::Customer, not_possible(because))?)
    }

    /// The key pair of an open key, if it exists.
    pub fn holder_of(&self, open_key: &str) -> Result<Option<Key>, StoreRefused> {
        let read = self.or_unavailable(self.inner.store.key_holder(open_key))?;
        Ok(read.map(|holder| holder.key))
    }

    /// Revokes a pair: it is refused from now on, on this node at once.
    pub async fn revoke_key(
        &self,
        permit: Permit<act::RevokeKeys>,
        open_key: &str,
    ) -> Result<Key, StaffRefused> {
        let now = self.now();
        self.edit_key(&permit, open_key, |key| key.revoked_at = Some(now)).await
    }

    /// Changes from which addresses a pair may be used. On this node the change applies at once.
    pub async fn allow_addresses(
        &self,
        permit: Permit<act::ManageKeys>,
        open_key: &str,
        allow_list: AllowList,
    ) -> Result<Key, StaffRefused> {
        self.edit_key(&permit, open_key, |key| key.allow_list = allow_list).await
    }

    pub(super) async fn edit_key<A: Permitted>(
        &self,
        permit: &Permit<A>,
        open_key: &str,
        change: impl FnOnce(&mut Key),
    ) -> Result<Key, StaffRefused> {
        let _lock = self.inner.settings_lock.lock().await;
        let mut key = self.holder_of(open_key)?.ok_or(KeysInvalid)?;
        let before = shown_key(&key);
        change(&mut key);
        let changed = Changed::new(format_args!("key {}", key.id), before, shown_key(&key));
        self.set(permit, vec![Setting::Key(key.clone(), self.now())], vec![changed]).await?;
        self.inner.keys.remove(open_key);
        Ok(key)
    }

    /// Makes or replaces countries, operators, products, prices and routes, and swaps the catalog
    /// in.
    pub async fn set_catalog(
        &self,
        permit: Permit<act::SetCatalog>,
        catalog: Catalog,
    ) -> Result<(), StoreRefused> {
        let after = json!({
            "countries": catalog.countries.len(),
            "operators": catalog.operators.len(),
            "products": catalog.products.len(),
            "prices": catalog.prices.len(),
            "routes": catalog.routes.len(),
        });
        let changed = Changed::made("catalog", after);
        self.set(&permit, settings_of(catalog).collect(), vec![changed]).await?;
        self.or_unavailable(self.reload())
    }

    /// Random letters and digits, for a generated password.
    pub fn random_text(&self, length: usize) -> Result<String, Unavailable> {
        keys::random_text(length, self.inner.random.as_ref())
            .map_err(|_| Unavailable { retry_after_s: 5 })
    }

    pub(super) async fn set<A: Permitted>(
        &self,
        permit: &Permit<A>,
        settings: Vec<Setting>,
        changed: Vec<Changed>,
    ) -> Result<(), StoreRefused> {
        let has_endpoint = settings.iter().any(|set| matches!(set, Setting::Endpoint(_)));
        let set = self.recorded(permit, SetAll(settings), changed, |()| true);
        let set = self.commit(permit, set).await;
        if has_endpoint {
            // What is sold next has its webhooks.
            self.inner.webhooks.endpoint_cache.forget();
        }
        self.or_unavailable(set)
    }

    /// A new key pair with its endpoint, as rows. Refuses a pair of another shape, with a wrong
    /// checksum, or of the other environment.
    pub(crate) async fn new_key(
        &self,
        account: AccountId,
        environment: Environment,
        pair: &KeyPair,
        terms: KeyTerms,
    ) -> Result<(KeyId, Vec<Setting>, Changed), StaffRefused> {
        let is_well_formed = keys::is_open_key(&pair.open) && keys::is_secret_key(&pair.secret);
        let word = format!("_{}_", environment.key_word());
        let is_of_here = [&pair.open, &pair.secret].iter().all(|key| key.get(2..8) == Some(&word));
        ensure(is_well_formed && is_of_here, KeysInvalid)?;
        // One number for both: an endpoint of the account's own takes one of the endpoints' too.
        let endpoint = self.or_unavailable(self.next_endpoint().await)?;
        let id = KeyId(endpoint.0);
        let key = Key {
            id,
            account,
            environment,
            open_key: pair.open.clone(),
            secret_digest: keys::digest_of(&pair.secret),
            secret_tail: pair.secret[pair.secret.len() - 4..].to_owned(),
            allow_list: terms.allow_list,
            revoked_at: None,
            scopes: terms.scopes,
            expires_at: terms.expires_at,
            made_by: terms.made_by,
        };
        let changed = Changed::made(format_args!("key {id}"), shown_key(&key));
        let endpoint = self.endpoint_of_key(endpoint, id, account, environment)?;
        let mut settings = vec![Setting::Key(key, self.now()), Setting::Endpoint(endpoint)];
        if environment == Environment::Sandbox {
            let secret = pair.secret.as_bytes();
            let sealed = self.sealed(KEY_SECRET, &format!("key {id}"), secret)?;
            settings.push(Setting::KeySecret(id, account, sealed));
        }
        Ok((id, settings, changed))
    }
}

/// Accounts, keys and logins that are made in one commit: all of them, or none.
pub struct AccountSetup {
    engine: Engine,
    permit: Permit<act::ManageAccounts>,
    settings: Vec<Setting>,
    changed: Vec<Changed>,
}

impl AccountSetup {
    /// Adds an account, with a wallet in each of its currencies and both environments. Refuses one
    /// without a name.
    pub async fn account(&mut self, new: &NewAccount<'_>) -> Result<AccountId, StaffRefused> {
        refuse_if_any(blank("name", new.name, "An account needs a name."))?;
        let id = self.engine.or_unavailable(self.engine.next_account().await)?;
        let account = Account {
            subscription: new.subscription,
            ..new_account(id, new.role, new.name, self.engine.now())
        };
        let opened = Changed::made(format_args!("account {id}"), shown(&account));
        self.changed.push(opened);
        self.settings.push(Setting::Account(account));
        for environment in Environment::ALL {
            let wallet = |currency: &Currency| Setting::Wallet(id, environment, *currency);
            self.settings.extend(new.currencies.iter().map(wallet));
        }
        Ok(id)
    }

    /// Adds a key pair, and its endpoint for webhooks. Refuses a pair of another shape, with a
    /// wrong checksum, or of the other environment.
    pub async fn key(
        &mut self,
        account: AccountId,
        environment: Environment,
        pair: &KeyPair,
    ) -> Result<KeyId, StaffRefused> {
        let terms = KeyTerms { made_by: Some(self.permit.maker()), ..KeyTerms::default() };
        let made = self.engine.new_key(account, environment, pair, terms).await?;
        let (id, settings, changed) = made;
        self.settings.extend(settings);
        self.changed.push(changed);
        Ok(id)
    }

    /// Adds a login. The password is stored as Argon2id, the address in lower case.
    pub async fn user(
        &mut self,
        account: AccountId,
        email: &str,
        role: &str,
        password: &str,
    ) -> Result<UserId, BusyRefused> {
        let (user, changed) = self.engine.new_user(account, email, role, password).await?;
        let id = user.id;
        self.changed.push(changed);
        self.settings.push(Setting::User(user));
        Ok(id)
    }

    /// Makes all of it in one commit.
    pub async fn commit(self) -> Result<(), StoreRefused> {
        self.engine.set(&self.permit, self.settings, self.changed).await
    }
}

/// An account that staff open, so they have looked at it: active, approved, without a subscription.
pub(crate) fn new_account(id: AccountId, role: Role, name: &str, opened_at: Timestamp) -> Account {
    Account {
        id,
        role,
        name: name.to_owned(),
        is_active: true,
        subscription: None,
        approved_at: Some(opened_at),
        duplicates: DuplicatePolicy::default(),
        opened_at,
    }
}

/// An account in the record of acts.
fn shown(account: &Account) -> Value {
    json!({
        "name": account.name,
        "role": account.role.code(),
        "active": account.is_active,
        "approved": account.approved_at.is_some(),
        "plan": account.subscription.map(|s| s.plan.code()),
        "until": account.subscription.map(|s| s.until.0),
        "duplicates": account.duplicates.code(),
    })
}

/// A key pair in the record of acts, without its secret.
pub(super) fn shown_key(key: &Key) -> Value {
    json!({
        "account": key.account.0,
        "environment": key.environment.code(),
        "open_key": key.open_key,
        "allow_list": key.allow_list.lines(),
        "revoked": key.revoked_at.is_some(),
        "scopes": key.scopes.codes(),
        "expires_at": key.expires_at.map(|end| end.0),
    })
}
