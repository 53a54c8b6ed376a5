//! Rows that are not money: accounts, logins, wallets, keys, endpoints, the catalog.

pub(crate) mod accounts;
pub(crate) mod catalog;
pub(crate) mod floats;
pub(crate) mod plans;
pub(crate) mod upstreams;

use crate::backend::{Sql, values};
use crate::commit::unrefused;
use crate::fault::Result;
use crate::webhooks::{Endpoint, endpoints};
use accounts::User;
use domain::ids::KeyId;
use domain::{
    Account, AccountId, Category, Country, Currency, Environment, Key, Operator, PriceRule,
    Product, Route, Timestamp,
};

/// Sets rows that are not money, each made or replaced whole: all of them or none.
#[derive(Clone, Debug)]
pub struct SetAll(pub Vec<Setting>);

/// Sets rows of the catalog, as [`SetAll`] does, if it has not changed since it was read. It
/// answers whether that was so; otherwise nothing is written.
#[derive(Clone, Debug)]
pub struct ReviseCatalog {
    /// The rows.
    pub settings: Vec<Setting>,
    /// [`Store::catalog_revision`](crate::Store::catalog_revision), read before the catalog was.
    pub seen: i64,
}

/// A row that is not money.
#[derive(Clone, Debug)]
pub enum Setting {
    /// An account.
    Account(Account),
    /// A login.
    User(User),
    /// A wallet: three ledger accounts of an account.
    Wallet(AccountId, Environment, Currency),
    /// A key pair, and when it was made.
    Key(Key, Timestamp),
    /// The sealed secret of a sandbox key.
    KeySecret(KeyId, AccountId, Vec<u8>),
    /// An endpoint that events are sent to.
    Endpoint(Endpoint),
    /// The tag of the master key; the first one stays.
    MasterKey([u8; 32]),
    /// A country.
    Country(Country),
    /// An operator.
    Operator(Operator),
    /// A category of products.
    Category(Category),
    /// A product.
    Product(Product),
    /// A price rule.
    Price(PriceRule),
    /// A route.
    Route(Route),
    /// A route is there no longer.
    NoRoute(i64),
    /// A price rule is there no longer.
    NoPrice(i64),
}

impl Setting {
    /// The topic under which other nodes are notified of it; `None`: they are not.
    const fn topic(&self) -> Option<&'static str> {
        match self {
            Setting::Country(_)
            | Setting::Operator(_)
            | Setting::Category(_)
            | Setting::Product(_)
            | Setting::Price(_)
            | Setting::Route(_)
            | Setting::NoRoute(_)
            | Setting::NoPrice(_) => Some("catalog"),
            Setting::Account(_) | Setting::Key(..) => Some("keys"),
            Setting::User(_)
            | Setting::Wallet(..)
            | Setting::KeySecret(..)
            | Setting::Endpoint(_)
            | Setting::MasterKey(_) => None,
        }
    }

    pub(crate) fn write(&self, sql: &mut dyn Sql) -> Result<()> {
        match self {
            Setting::Account(account) => accounts::set_account(sql, account),
            Setting::User(user) => accounts::set_user(sql, user),
            Setting::Wallet(account, environment, currency) => {
                accounts::open_wallet(sql, *account, *environment, *currency)
            }
            Setting::Key(key, created_at) => accounts::set_key(sql, key, *created_at),
            Setting::KeySecret(key, account, sealed) => {
                accounts::keep_key_secret(sql, *key, *account, sealed)
            }
            Setting::Endpoint(endpoint) => endpoints::set(sql, endpoint),
            Setting::MasterKey(tag) => accounts::keep_master_key(sql, tag),
            Setting::Country(country) => catalog::set_country(sql, country),
            Setting::Operator(operator) => catalog::set_operator(sql, operator),
            Setting::Category(category) => catalog::set_category(sql, category),
            Setting::Product(product) => catalog::set_product(sql, product),
            Setting::Price(price) => catalog::set_price(sql, price),
            Setting::Route(route) => catalog::set_route(sql, route),
            Setting::NoRoute(id) => sql.run("DELETE FROM routes WHERE id = $1", &values![*id]),
            // Purchases keep the price that they were sold at.
            Setting::NoPrice(id) => sql.run("DELETE FROM prices WHERE id = $1", &values![*id]),
        }
    }
}

unrefused!(SetAll, (), |change, tx| {
    change.0.iter().try_for_each(|setting| setting.write(tx.sql))?;
    let mut topics: Vec<_> = change.0.iter().filter_map(Setting::topic).collect();
    topics.sort_unstable();
    topics.dedup();
    topics.into_iter().try_for_each(|topic| catalog::notify_nodes(tx.sql, topic))
});

unrefused!(ReviseCatalog, bool, |change, tx| {
    if !catalog::revise(tx.sql, change.seen)? {
        return Ok(false);
    }
    change.settings.iter().try_for_each(|setting| setting.write(tx.sql))?;
    Ok(true)
});
