//! The purchases of all accounts as staff look for them: filtered, latest first.
//!
//! A reference or a recipient is looked for account by account, each by its index (`list`); so is
//! whatever an account is named for. Everything else walks the ids, or is found by its jobs or
//! events. No index of its own: each one costs every sale.

use super::list::{PurchaseFilter, Query, list};
use crate::backend::{Sql, all, values};
use crate::fault::Result;
use crate::ledger::Page;
use crate::read::{self, purchase_columns};
use domain::{AccountId, Environment, Kind, Purchase};
use std::cmp::Reverse;

/// Whose purchases staff look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PurchaseOwners<'a> {
    /// Of these accounts.
    pub accounts: &'a [AccountId],
    /// Whether these are all: then some filters are served in the order of ids.
    pub is_everybody: bool,
    /// In this environment; none: in both.
    pub environment: Option<Environment>,
}

macro_rules! find_text {
    ($which:literal, $order:literal) => {
        concat!(
            "SELECT ",
            purchase_columns!(),
            " FROM purchases WHERE ",
            $which,
            " AND opened_at >= $4 AND opened_at < $5
             AND ($6 = ',,' OR $7 LIKE '%,' || state || ',%') AND ($8 = '' OR environment = $9)
             AND ($10 = '' OR operator = $11) AND ($12 = '' OR kind = $13) ORDER BY ",
            $order,
            " DESC LIMIT $14"
        )
    };
}

pub(crate) const BY_ID: &str = find_text!("id >= $1 AND id < $2 AND $3 = ''", "id");
// `id + 0` keeps the database from walking the whole history in the order of ids.
pub(crate) const BY_JOBS: &str = find_text!(
    "id IN (SELECT purchase_id FROM jobs WHERE purchase_id >= $1 AND purchase_id < $2 AND $3 = '')",
    "id + 0"
);
pub(crate) const BY_EVENTS: &str = find_text!(
    "id IN (SELECT purchase_id FROM events WHERE purchase_id >= $1 AND purchase_id < $2
         AND state = $3 AND state <> 'delivered')",
    "id + 0"
);

/// The purchases that pass a filter, latest first.
pub(crate) fn find(
    sql: &mut dyn Sql,
    of: PurchaseOwners<'_>,
    filter: &PurchaseFilter,
    page: Page,
) -> Result<Vec<Purchase>> {
    let is_by_account = filter.reference.is_some() || filter.recipient.is_some();
    if of.is_everybody && !is_by_account {
        return of_everybody(sql, of.environment, filter, page);
    }
    let environments: Vec<Environment> = match of.environment {
        Some(environment) => vec![environment],
        None => Environment::ALL.to_vec(),
    };
    let mut found = Vec::new();
    for account in of.accounts {
        for environment in &environments {
            found.extend(list(sql, *account, *environment, filter, page)?);
        }
    }
    Ok(latest(found, page))
}

/// The latest of these, as many as fit on the page; each once.
pub(crate) fn latest(mut found: Vec<Purchase>, page: Page) -> Vec<Purchase> {
    found.sort_by_key(|purchase| Reverse(purchase.key.id));
    found.dedup_by_key(|purchase| purchase.key.id);
    found.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
    found
}

fn of_everybody(
    sql: &mut dyn Sql,
    environment: Option<Environment>,
    filter: &PurchaseFilter,
    page: Page,
) -> Result<Vec<Purchase>> {
    let query = Query::of(domain::account::HOUSE, Environment::Live, filter, page);
    let rare = filter.rare_state();
    let text = match rare {
        Some(_) => BY_EVENTS,
        None if filter.is_of_open_ones() => BY_JOBS,
        None => BY_ID,
    };
    let environment = environment.map_or("", Environment::code);
    let operator = filter.operator.as_deref().unwrap_or_default();
    let kind = filter.kind.map_or("", Kind::code);
    let args = values![
        query.ids.0,
        query.ids.1,
        rare.map_or("", |state| state.code()),
        query.times.0,
        query.times.1,
        &query.states,
        &query.states,
        environment,
        environment,
        operator,
        operator,
        kind,
        kind,
        page.limit
    ];
    all(sql, text, &args, read::purchase)
}
