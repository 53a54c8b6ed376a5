//! What the company sets up: accounts, wallets, keys, logins, the catalog.
//!
//! Not here: who may set it up. Invariant: what belongs together is made in one commit.

use super::keys::{self, KeyPair};
use crate::refusals::{invalid, not_possible};
use crate::{Engine, people};
use domain::account::HOUSE;
use domain::{
    Account, AccountId, AllowList, Catalog, Currency, Environment, Key, KeyId, Refusal, Role,
    Subscription, UserId,
};
use store::{SetAll, Setting, User};

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
    pub async fn open_house(&self, name: &str) -> Result<(), Refusal> {
        if self.account(HOUSE)?.is_some() {
            return Ok(());
        }
        let house = Account {
            id: HOUSE,
            role: Role::House,
            name: name.to_owned(),
            is_active: true,
            subscription: None,
            opened_at: self.now(),
        };
        self.set(vec![Setting::Account(house)]).await
    }

    /// Opens an account with its wallets, in one commit.
    pub async fn open_account(&self, new: NewAccount<'_>) -> Result<AccountId, Refusal> {
        let mut setup = self.account_setup();
        let id = setup.account(&new)?;
        setup.commit().await?;
        Ok(id)
    }

    /// Begins a set-up; [`AccountSetup::commit`] makes all of it, or nothing.
    pub fn account_setup(&self) -> AccountSetup {
        AccountSetup { engine: self.clone(), settings: Vec::new() }
    }

    /// Changes an account: its name, its subscription, whether it is active. The change applies to
    /// its calls within a second.
    pub async fn change_account(
        &self,
        id: AccountId,
        change: impl FnOnce(&mut Account),
    ) -> Result<Account, Refusal> {
        let _lock = self.inner.settings_lock.lock().await;
        let mut account = self.account(id)?.ok_or(Refusal::PurchaseUnknown)?;
        change(&mut account);
        self.set(vec![Setting::Account(account.clone())]).await?;
        self.inner.keys.clear();
        self.inner.people.forget_sessions();
        Ok(account)
    }

    /// An account by its id.
    pub fn account(&self, id: AccountId) -> Result<Option<Account>, Refusal> {
        self.or_unavailable(self.inner.store.account(id))
    }

    /// Makes a key pair; the secret is in the answer and nowhere else.
    pub async fn make_key(
        &self,
        account: AccountId,
        environment: Environment,
    ) -> Result<(KeyId, KeyPair), Refusal> {
        let pair = self.fresh_pair(environment)?;
        self.adopt_key(account, environment, pair).await
    }

    /// A new pair that is not stored yet and belongs to no account.
    pub fn fresh_pair(&self, environment: Environment) -> Result<KeyPair, Refusal> {
        keys::make(environment, self.inner.random.as_ref())
            .map_err(|_| Refusal::Unavailable { retry_after_s: 5 })
    }

    /// Stores a pair that was made before. Refuses a customer's account, and a pair of another
    /// shape, with a wrong checksum, or of the other environment.
    pub async fn adopt_key(
        &self,
        account: AccountId,
        environment: Environment,
        pair: KeyPair,
    ) -> Result<(KeyId, KeyPair), Refusal> {
        let holder = self.account(account)?.ok_or(Refusal::PurchaseUnknown)?;
        if holder.role == Role::Customer {
            return Err(not_possible("A customer has a login; key pairs are for merchants."));
        }
        let mut setup = self.account_setup();
        let id = setup.key(account, environment, &pair)?;
        setup.commit().await?;
        Ok((id, pair))
    }

    /// The key pair of an open key, if it exists.
    pub fn holder_of(&self, open_key: &str) -> Result<Option<Key>, Refusal> {
        let read = self.or_unavailable(self.inner.store.key_holder(open_key))?;
        Ok(read.map(|holder| holder.key))
    }

    /// Changes who may use a pair, where its events go, or revokes it. On this node the change
    /// applies at once.
    pub async fn change_key(
        &self,
        open_key: &str,
        change: impl FnOnce(&mut Key),
    ) -> Result<Key, Refusal> {
        let _lock = self.inner.settings_lock.lock().await;
        let mut key = self.holder_of(open_key)?.ok_or(Refusal::KeysInvalid)?;
        change(&mut key);
        self.set(vec![Setting::Key(key.clone(), self.now())]).await?;
        self.inner.keys.remove(open_key);
        Ok(key)
    }

    /// Makes or replaces countries, operators, products, prices and routes, and swaps the catalog
    /// in.
    pub async fn set_catalog(&self, catalog: Catalog) -> Result<(), Refusal> {
        let settings = catalog
            .countries
            .into_iter()
            .map(Setting::Country)
            .chain(catalog.operators.into_iter().map(Setting::Operator))
            .chain(catalog.categories.into_iter().map(Setting::Category))
            .chain(catalog.products.into_iter().map(Setting::Product))
            .chain(catalog.prices.into_iter().map(Setting::Price))
            .chain(catalog.routes.into_iter().map(Setting::Route));
        self.set(settings.collect()).await?;
        self.or_unavailable(self.reload())
    }

    /// Random letters and digits, for a generated password.
    pub fn random_text(&self, length: usize) -> Result<String, Refusal> {
        keys::random_text(length, self.inner.random.as_ref())
            .map_err(|_| Refusal::Unavailable { retry_after_s: 5 })
    }

    async fn set(&self, settings: Vec<Setting>) -> Result<(), Refusal> {
        self.or_unavailable(self.commit(SetAll(settings)).await)
    }
}

/// Accounts, keys and logins that are made in one commit: all of them, or none.
pub struct AccountSetup {
    engine: Engine,
    settings: Vec<Setting>,
}

impl AccountSetup {
    /// Adds an account, with a wallet in each of its currencies and both environments. Refuses one
    /// without a name.
    pub fn account(&mut self, new: &NewAccount<'_>) -> Result<AccountId, Refusal> {
        if new.name.trim().is_empty() {
            return Err(invalid("name", "An account needs a name."));
        }
        let id = AccountId(self.engine.next_id());
        self.settings.push(Setting::Account(Account {
            id,
            role: new.role,
            name: new.name.to_owned(),
            is_active: true,
            subscription: new.subscription,
            opened_at: self.engine.now(),
        }));
        for environment in Environment::ALL {
            let wallet = |currency: &Currency| Setting::Wallet(id, environment, *currency);
            self.settings.extend(new.currencies.iter().map(wallet));
        }
        Ok(id)
    }

    /// Adds a key pair, and its endpoint for webhooks. Refuses a pair of another shape, with a
    /// wrong checksum, or of the other environment.
    pub fn key(
        &mut self,
        account: AccountId,
        environment: Environment,
        pair: &KeyPair,
    ) -> Result<KeyId, Refusal> {
        let is_well_formed = keys::is_open_key(&pair.open) && keys::is_secret_key(&pair.secret);
        let word = format!("_{}_", environment.key_word());
        let is_of_here = [&pair.open, &pair.secret].iter().all(|key| key.get(2..8) == Some(&word));
        if !is_well_formed || !is_of_here {
            return Err(Refusal::KeysInvalid);
        }
        let id = KeyId(self.engine.next_id());
        let key = Key {
            id,
            account,
            environment,
            open_key: pair.open.clone(),
            secret_digest: keys::digest_of(&pair.secret),
            secret_tail: pair.secret[pair.secret.len() - 4..].to_owned(),
            allow_list: AllowList::default(),
            revoked_at: None,
        };
        self.settings.push(Setting::Key(key, self.engine.now()));
        let endpoint = self.engine.endpoint_of_key(id, account, environment)?;
        self.settings.push(Setting::Endpoint(endpoint));
        Ok(id)
    }

    /// Adds a login. The password is stored as Argon2id, the address in lower case.
    pub async fn user(
        &mut self,
        account: AccountId,
        email: &str,
        role: &str,
        password: &str,
    ) -> Result<UserId, Refusal> {
        let password_hash = self.engine.hashed(password).await?.0;
        let id = UserId(self.engine.next_id());
        let (email, created_at) = (people::address(email), self.engine.now());
        self.settings.push(Setting::User(User {
            id,
            account,
            email,
            mobile: None,
            name: None,
            role: role.to_owned(),
            password_hash,
            is_active: true,
            created_at,
        }));
        Ok(id)
    }

    /// Makes all of it in one commit.
    pub async fn commit(self) -> Result<(), Refusal> {
        self.engine.set(self.settings).await
    }
}
