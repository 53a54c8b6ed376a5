//! Changes of the catalog while it is used: operators, products, prices, routes.
//!
//! Not here: the files that seed it (`app`). Invariants: a change that would add a fault is refused
//! and nothing is changed; a change is made of the catalog as it is in its commit, so two at once
//! never take one number; it counts for the next purchase, on all nodes; each row that changes is
//! in the record of acts.

use crate::access::Changed;
use crate::refusals::{ensure, not_possible};
use crate::{Engine, Permit, limits};
use domain::refusal::{NotPossible, StaffRefused};
use domain::{
    AccountId, Catalog, CatalogFault, Category, CheckedAgainst, Operator, PriceRule, Pricing,
    Product, Route, UpstreamCode, act, rows_of,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use store::{ReviseCatalog, Setting};

/// Rows to make or replace, and rows to remove.
#[derive(Clone, Debug, Default)]
pub struct CatalogChange {
    /// Each row by its id (a country by its code).
    pub set: Catalog,
    /// Routes to remove, by id.
    pub removed_routes: Vec<i64>,
    /// Price rules to remove, by id. Purchases keep the price that they were sold at.
    pub removed_prices: Vec<i64>,
}

impl CatalogChange {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.set == Catalog::default()
            && self.removed_routes.is_empty()
            && self.removed_prices.is_empty()
    }

    /// The change without the rows that are there already as they are to be.
    pub fn without_what_is_there(mut self, catalog: &Catalog) -> CatalogChange {
        self.set.countries.retain(|row| !catalog.countries.contains(row));
        self.set.operators.retain(|row| !catalog.operators.contains(row));
        self.set.categories.retain(|row| !catalog.categories.contains(row));
        self.set.products.retain(|row| !catalog.products.contains(row));
        self.set.prices.retain(|row| !catalog.prices.contains(row));
        self.set.routes.retain(|row| !catalog.routes.contains(row));
        self
    }

    /// The catalog with this change in it.
    pub fn applied_to(&self, catalog: &Catalog) -> Catalog {
        let mut after = catalog.clone();
        merge(&mut after.countries, &self.set.countries, |one, other| one.code == other.code);
        merge(&mut after.operators, &self.set.operators, |one, other| one.id == other.id);
        merge(&mut after.categories, &self.set.categories, |one, other| one.id == other.id);
        merge(&mut after.products, &self.set.products, |one, other| one.id == other.id);
        merge(&mut after.prices, &self.set.prices, |one, other| one.id == other.id);
        merge(&mut after.routes, &self.set.routes, |one, other| one.id == other.id);
        after.routes.retain(|route| !self.removed_routes.contains(&route.id));
        after.prices.retain(|price| !self.removed_prices.contains(&price.id));
        after
    }
}

fn merge<T: Clone>(rows: &mut Vec<T>, new: &[T], is_same: fn(&T, &T) -> bool) {
    for row in new {
        match rows.iter_mut().find(|known| is_same(known, row)) {
            Some(known) => *known = row.clone(),
            None => rows.push(row.clone()),
        }
    }
}

impl Engine {
    /// Makes a change, if it adds no fault. Refuses it with all faults otherwise, and when it
    /// removes what is not there.
    pub async fn change_catalog(
        &self,
        permit: Permit<act::SetCatalog>,
        change: CatalogChange,
    ) -> Result<(), StaffRefused> {
        self.revise_catalog(permit, |_| Some(change.clone())).await.map(drop)
    }

    /// Makes the change that `make` makes of the catalog: ids of new rows, and which row is meant.
    /// If somebody else changes the catalog meanwhile, on whatever node, it is asked again. False:
    /// it made none.
    pub async fn revise_catalog(
        &self,
        permit: Permit<act::SetCatalog>,
        mut make: impl FnMut(&Catalog) -> Option<CatalogChange>,
    ) -> Result<bool, StaffRefused> {
        let _lock = self.inner.settings_lock.lock().await;
        for _ in 0..limits::RACES_MAX {
            let seen = self.or_unavailable(self.inner.store.catalog_revision())?;
            self.or_unavailable(self.reload())?;
            let Some(change) = make(&self.catalog()) else { return Ok(false) };
            if self.revised(&permit, change, seen).await? {
                self.or_unavailable(self.reload())?;
                return Ok(true);
            }
        }
        Err(not_possible("Others change the catalog all the time: try again.").into())
    }

    /// Whether the catalog still was what it was when it was read; else nothing is changed.
    async fn revised(
        &self,
        permit: &Permit<act::SetCatalog>,
        change: CatalogChange,
        seen: i64,
    ) -> Result<bool, StaffRefused> {
        let before = self.catalog();
        self.check_change(&before, &change)?;
        let after = change.applied_to(&before);
        let changed = changed_rows(&before, &after);
        let settings = settings_of(change.set)
            .chain(change.removed_routes.into_iter().map(Setting::NoRoute))
            .chain(change.removed_prices.into_iter().map(Setting::NoPrice));
        let revise = ReviseCatalog { settings: settings.collect(), seen };
        let revise = self.recorded(permit, revise, changed, |is_revised| *is_revised);
        Ok(self.or_unavailable(self.commit(permit, revise).await)?)
    }

    /// Refuses a change that [`Engine::change_catalog`] would refuse now; changes nothing.
    pub fn check_catalog(&self, change: &CatalogChange) -> Result<(), StaffRefused> {
        self.or_unavailable(self.reload())?;
        self.check_change(&self.catalog(), change)
    }

    /// Refuses what removes a row that is not there, and what has a fault: any in the rows that it
    /// sets, a new one in the others.
    fn check_change(&self, before: &Catalog, change: &CatalogChange) -> Result<(), StaffRefused> {
        let is_known = |id: &i64| before.routes.iter().any(|route| route.id == *id);
        let is_priced = |id: &i64| before.prices.iter().any(|price| price.id == *id);
        let are_known = change.removed_routes.iter().all(is_known);
        ensure(are_known, not_possible("There is no such route."))?;
        let are_priced = change.removed_prices.iter().all(is_priced);
        ensure(are_priced, not_possible("There is no such price."))?;
        let absent = self.absent_accounts(&change.set)?;
        let against = CheckedAgainst {
            unfit_upstream: &|environment, code| self.unfit_for_a_route(environment, code),
            upstream_currency: &|code| self.upstream(code)?.sells_only_in(),
            has_account: &|id| !absent.contains(&id),
        };
        let known: BTreeSet<CatalogFault> = before.faults(&against).into_iter().collect();
        let is_set = rows_of(&change.set);
        let after = change.applied_to(before).faults(&against).into_iter();
        let faults: Vec<String> = after
            .filter(|fault| is_set.contains(&fault.row) || !known.contains(fault))
            .map(|fault| fault.to_string())
            .collect();
        match faults.is_empty() {
            true => Ok(unless_taken(before, &change.set)?),
            false => Err(not_possible(faults.join("; ") + ".").into()),
        }
    }

    /// The accounts that rows name and that are not there.
    fn absent_accounts(&self, rows: &Catalog) -> Result<BTreeSet<AccountId>, StaffRefused> {
        let prices = rows.prices.iter().filter_map(|price| price.account);
        let mut named: BTreeSet<AccountId> =
            prices.chain(rows.routes.iter().filter_map(|route| route.account)).collect();
        for id in named.clone() {
            if self.account(id)?.is_some() {
                named.remove(&id);
            }
        }
        Ok(named)
    }
}

/// Refuses a name that another row has until this change is made: the database writes row by row.
fn unless_taken(before: &Catalog, set: &Catalog) -> Result<(), NotPossible> {
    let operators = |one: &Operator, other: &Operator| one.id != other.id && one.code == other.code;
    let categories =
        |one: &Category, other: &Category| one.id != other.id && one.name == other.name;
    let products = |one: &Product, other: &Product| one.id != other.id && one.name == other.name;
    let operator = taken(&before.operators, &set.operators, operators);
    let category = taken(&before.categories, &set.categories, categories);
    let product = taken(&before.products, &set.products, products);
    let row = operator
        .map(|row| format!("operator {}", row.code))
        .or(category.map(|row| format!("category {:?}", row.name)))
        .or(product.map(|row| format!("product {:?}", row.name)));
    let Some(row) = row else { return Ok(()) };
    let because = "another row has this name so far; change that one first, by itself.";
    Err(not_possible(format!("{row}: {because}")))
}

fn taken<'a, T>(before: &[T], set: &'a [T], is_taken: fn(&T, &T) -> bool) -> Option<&'a T> {
    set.iter().find(|row| before.iter().any(|known| is_taken(row, known)))
}

/// Each row of a catalog.
pub(super) fn settings_of(rows: Catalog) -> impl Iterator<Item = Setting> {
    (rows.countries.into_iter().map(Setting::Country))
        .chain(rows.operators.into_iter().map(Setting::Operator))
        .chain(rows.categories.into_iter().map(Setting::Category))
        .chain(rows.products.into_iter().map(Setting::Product))
        .chain(rows.prices.into_iter().map(Setting::Price))
        .chain(rows.routes.into_iter().map(Setting::Route))
}

/// One record for each row that differs.
fn changed_rows(before: &Catalog, after: &Catalog) -> Vec<Changed> {
    let mut all = Vec::new();
    let operator = |row: &Operator| (format!("operator {}", row.code), shown_operator(row));
    differing(&before.operators, &after.operators, operator, &mut all);
    let product = |row: &Product| (format!("product {}", row.name), shown_product(row));
    differing(&before.products, &after.products, product, &mut all);
    let price = |row: &PriceRule| (format!("price {}", row.id), shown_price(row));
    differing(&before.prices, &after.prices, price, &mut all);
    let route = |row: &Route| (format!("route {}", row.id), shown_route(row));
    differing(&before.routes, &after.routes, route, &mut all);
    if before.countries != after.countries || before.categories != after.categories {
        let (was, is) = (shown_counts(before), shown_counts(after));
        all.push(Changed::new("catalog", was, is));
    }
    all
}

fn differing<T: PartialEq>(
    before: &[T],
    after: &[T],
    shown: impl Fn(&T) -> (String, Value),
    all: &mut Vec<Changed>,
) {
    let named = |rows: &[T]| rows.iter().map(&shown).collect::<BTreeMap<_, _>>();
    let (was, is) = (named(before), named(after));
    for name in was.keys().chain(is.keys()).collect::<BTreeSet<_>>() {
        let of = |rows: &BTreeMap<_, _>| rows.get(name).cloned().unwrap_or(Value::Null);
        if was.get(name) != is.get(name) {
            all.push(Changed::new(name, of(&was), of(&is)));
        }
    }
}

fn shown_counts(rows: &Catalog) -> Value {
    json!({ "countries": rows.countries.len(), "categories": rows.categories.len() })
}

fn shown_operator(row: &Operator) -> Value {
    let limits = |range: Option<domain::AmountRange>| {
        range.map(|range| format!("{}-{}", range.min.exact(), range.max.exact()))
    };
    json!({
        "name": row.name,
        "country": row.country,
        "service": row.service.slug(),
        "aliases": row.aliases,
        "prefixes": row.prefixes,
        "prepaid": limits(row.prepaid),
        "postpaid": limits(row.postpaid),
        "offers": row.offers.map(domain::OfferForm::code),
        "is_active": row.is_active,
    })
}

fn shown_product(row: &Product) -> Value {
    let price = match row.price {
        Pricing::Fixed(price) => price.exact(),
        Pricing::Range(range) => format!("{}-{}", range.min.exact(), range.max.exact()),
    };
    json!({
        "operator": row.operator,
        "kind": row.kind.code(),
        "title": row.title,
        "currency": row.price.currency().code(),
        "price": price,
        "bill_format": row.bill.as_str(),
        "is_active": row.is_active,
    })
}

fn shown_price(row: &PriceRule) -> Value {
    json!({
        "charge": row.component.code(),
        "account": row.account.map(|account| account.0),
        "plan": row.plan,
        "operator": row.operator,
        "kind": row.kind.map(domain::Kind::code),
        "currency": row.flat.currency().code(),
        "flat": row.flat.exact(),
        "share_ppm": row.share_ppm,
        "least": row.min.map(domain::Money::exact),
        "most": row.max.map(domain::Money::exact),
        "from": row.from.map(|at| at.0),
        "until": row.until.map(|at| at.0),
    })
}

fn shown_route(row: &Route) -> Value {
    json!({
        "environment": row.environment.code(),
        "operator": row.operator,
        "kind": row.kind.map(domain::Kind::code),
        "product": row.product,
        "account": row.account.map(|account| account.0),
        "recipient_ends": row.recipient_ends,
        "upstreams": row.upstreams.iter().map(UpstreamCode::as_str).collect::<Vec<_>>(),
        "needs_approval": row.needs_approval,
    })
}
