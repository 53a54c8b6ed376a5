//! What the company sets up: accounts, wallets, keys, logins, the catalog.

use crate::keys::{self, KeyPair};
use crate::{Engine, people};
use domain::account::{Account, AccountId, AllowList, Environment, HOUSE, Key, Role, Subscription};
use domain::catalog::Catalog;
use domain::ids::{KeyId, UserId};
use domain::money::Currency;
use domain::refusal::{FieldError, Refusal};
use store::{Change, Fault, Setting, User};

/// An account that is to be opened, with a wallet in each currency and environment.
#[derive(Clone, Debug)]
pub struct NewAccount<'a> {
    /// What it is to us.
    pub role: Role,
    /// How people call it.
    pub name: &'a str,
    /// What it subscribed to.
    pub subscription: Option<Subscription>,
    /// In what its wallets are.
    pub currencies: &'a [Currency],
}

impl Engine {
    /// Makes the house account if it is not there: it owns fees, floats and funding.
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
        let mut founding = self.founding();
        let id = founding.account(&new)?;
        founding.commit().await?;
        Ok(id)
    }

    /// Starts a set-up that is made in one commit, or not at all.
    pub fn founding(&self) -> AccountSetup {
        AccountSetup { engine: self.clone(), settings: Vec::new() }
    }

    /// Replaces what an account is: its name, its subscription, whether it is active. Its calls
    /// are judged by it within a second.
    pub async fn change_account(
        &self,
        id: AccountId,
        change: impl FnOnce(&mut Account),
    ) -> Result<Account, Refusal> {
        let _one_at_a_time = self.inner.changing.lock().await;
        let mut account = self.account(id)?.ok_or(Refusal::PurchaseUnknown)?;
        change(&mut account);
        self.set(vec![Setting::Account(account.clone())]).await?;
        self.inner.keys.clear();
        self.inner.people.forget_sessions();
        Ok(account)
    }

    /// An account.
    pub fn account(&self, id: AccountId) -> Result<Option<Account>, Refusal> {
        self.inner.store.account(id).map_err(|fault| self.unavailable(&fault))
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

    /// A fresh pair that belongs to nobody yet.
    pub fn fresh_pair(&self, environment: Environment) -> Result<KeyPair, Refusal> {
        keys::make(environment, self.inner.random.as_ref())
            .map_err(|_| Refusal::Unavailable { retry_after_s: 5 })
    }

    /// Takes a pair that somebody made elsewhere. Refuses a customer's account, and a pair of another
    /// shape, with a wrong checksum, or whose words name the other environment.
    pub async fn adopt_key(
        &self,
        account: AccountId,
        environment: Environment,
        pair: KeyPair,
    ) -> Result<(KeyId, KeyPair), Refusal> {
        let holder = self.account(account)?.ok_or(Refusal::PurchaseUnknown)?;
        if holder.role == Role::Customer {
            let because = "A customer has a login; key pairs are for merchants.".to_owned();
            return Err(Refusal::NotPossible { because });
        }
        let mut founding = self.founding();
        let id = founding.key(account, environment, &pair)?;
        founding.commit().await?;
        Ok((id, pair))
    }

    /// Whose open key this is, if it is anybody's.
    pub fn holder_of(&self, open_key: &str) -> Result<Option<Key>, Refusal> {
        let read =
            self.inner.store.key_holder(open_key).map_err(|fault| self.unavailable(&fault))?;
        Ok(read.map(|holder| holder.key))
    }

    /// Changes who may use a pair, where its events go, or revokes it; in force at once.
    pub async fn change_key(
        &self,
        open_key: &str,
        change: impl FnOnce(&mut Key),
    ) -> Result<Key, Refusal> {
        let _one_at_a_time = self.inner.changing.lock().await;
        let read =
            self.inner.store.key_holder(open_key).map_err(|fault| self.unavailable(&fault))?;
        let mut key = read.ok_or(Refusal::KeysInvalid)?.key;
        change(&mut key);
        self.set(vec![Setting::Key(key.clone(), self.now())]).await?;
        self.inner.keys.remove(open_key);
        Ok(key)
    }

    /// Makes or replaces countries, operators, products, prices and routes, and swaps the catalog in.
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
        self.reload().map_err(|fault| self.unavailable(&fault))
    }

    /// Random letters and digits, for passwords and the like.
    pub fn random_text(&self, length: usize) -> Result<String, Refusal> {
        keys::random_text(length, self.inner.random.as_ref())
            .map_err(|_| Refusal::Unavailable { retry_after_s: 5 })
    }

    async fn set(&self, settings: Vec<Setting>) -> Result<(), Refusal> {
        let written = self.inner.store.write(Change::Set(settings)).await;
        match written.map_err(|fault: Fault| self.unavailable(&fault))? {
            Ok(_) => Ok(()),
            Err(denial) => Err(Refusal::NotPossible { because: format!("{denial:?}") }),
        }
    }
}

/// Accounts, keys and logins that are made in one commit: all of them, or none.
pub struct AccountSetup {
    engine: Engine,
    settings: Vec<Setting>,
}

impl AccountSetup {
    /// An account, with a wallet in each of its currencies and both environments. Refuses one
    /// without a name.
    pub fn account(&mut self, new: &NewAccount<'_>) -> Result<AccountId, Refusal> {
        if new.name.trim().is_empty() {
            let says = "An account needs a name.".to_owned();
            return Err(Refusal::Invalid(vec![FieldError { field: "name", message: says }]));
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
            let wallets =
                new.currencies.iter().map(|currency| Setting::Wallet(id, environment, *currency));
            self.settings.extend(wallets);
        }
        Ok(id)
    }

    /// A key pair. Refuses one of another shape, with a wrong checksum, or whose words name the
    /// other environment.
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

    /// A login; the password is kept as Argon2id, the address in small letters.
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

    /// Makes them all.
    pub async fn commit(self) -> Result<(), Refusal> {
        self.engine.set(self.settings).await
    }
}
