//! Plans: their terms, and an account's months that are bought from its wallet.
//!
//! Invariant: the journal that pays for months is written in the commit that adds them. The months
//! are added to what the account has in that commit, whatever was read before.

use super::accounts::{by_id, set_account};
use super::catalog::notify_nodes;
use crate::backend::{Sql, all, columns, first, from_row, values};
use crate::commit::{Commit, CommitNeeds, Tx, unrefused};
use crate::fault::{Fault, Result};
use crate::ledger::Posting;
use domain::{
    AccountId, Currency, Money, Plan, PlanKind, PlanTerms, PostingDenied, Subscription, Timestamp,
};

/// The terms of every plan.
pub(crate) fn terms(sql: &mut dyn Sql) -> Result<Vec<PlanTerms>> {
    let rows = all(sql, "SELECT code, per_minute FROM plans", &[], |row| {
        let (kind, per_minute) = from_row(row)?;
        Ok(PlanTerms { kind, per_minute, prices: Vec::new() })
    })?;
    let prices = "SELECT plan, currency, a_month FROM plan_prices ORDER BY currency";
    let prices: Vec<(PlanKind, Money)> = all(sql, prices, &[], from_row)?;
    let of = |kind: PlanKind| {
        let terms = rows.iter().find(|terms| terms.kind == kind).cloned();
        let mut terms = terms.ok_or_else(|| Fault::corrupt(format!("no plan {}", kind.code())))?;
        terms.prices =
            prices.iter().filter(|(of, _)| *of == kind).map(|(_, price)| *price).collect();
        Ok(terms)
    };
    PlanKind::ALL.into_iter().map(of).collect()
}

/// What a month of a plan costs in a currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanPrice {
    /// So much; more than zero.
    AMonth(Money),
    /// It is not sold in this currency.
    NotSold(Currency),
}

/// Changes what is given here of a plan's terms. Every node knows them at once.
#[derive(Clone, Debug)]
pub struct SetPlanTerms {
    /// Which plan.
    pub kind: PlanKind,
    /// Calls a minute.
    pub per_minute: Option<u32>,
    /// A price.
    pub price: Option<PlanPrice>,
}

unrefused!(SetPlanTerms, (), |change, tx| {
    let code = change.kind.code();
    if let Some(per_minute) = change.per_minute {
        let set = "UPDATE plans SET per_minute = $1 WHERE code = $2";
        tx.sql.run(set, &values![per_minute, code])?;
    }
    match change.price {
        Some(PlanPrice::AMonth(price)) => tx.sql.run(
            "INSERT INTO plan_prices (plan, currency, a_month) VALUES ($1, $2, $3)
             ON CONFLICT (plan, currency) DO UPDATE SET a_month = excluded.a_month",
            &values![code, price.currency(), price.minor()],
        )?,
        Some(PlanPrice::NotSold(currency)) => tx.sql.run(
            "DELETE FROM plan_prices WHERE plan = $1 AND currency = $2",
            &values![code, currency],
        )?,
        None => {}
    }
    // The terms are read with the catalog, and accounts with their calls a minute are cached.
    notify_nodes(tx.sql, "catalog")?;
    notify_nodes(tx.sql, "keys")
});

/// Says whether an account's plan is renewed by itself.
#[derive(Clone, Copy, Debug)]
pub struct SetPlanRenewal {
    /// Whose plan.
    pub account: AccountId,
    /// The wallet that pays; none: it is not renewed.
    pub currency: Option<Currency>,
}

unrefused!(SetPlanRenewal, (), |change, tx| match change.currency {
    Some(currency) => tx.sql.run(
        "INSERT INTO plan_renewals (account_id, currency) VALUES ($1, $2)
         ON CONFLICT (account_id) DO UPDATE SET currency = excluded.currency",
        &values![change.account, currency],
    ),
    None => {
        tx.sql.run("DELETE FROM plan_renewals WHERE account_id = $1", &values![change.account])
    }
});

/// The wallet from which an account's plan is renewed by itself; `None`: it is not.
pub(crate) fn renewal(sql: &mut dyn Sql, account: AccountId) -> Result<Option<Currency>> {
    let of = "SELECT currency FROM plan_renewals WHERE account_id = $1";
    first(sql, of, &values![account], from_row)
}

/// A plan that is to be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueRenewal {
    /// Whose.
    pub account: AccountId,
    /// The wallet that pays.
    pub currency: Currency,
    /// When the plan ends or has ended.
    pub until: Timestamp,
}

columns!(DueRenewal: account, currency, until);

/// The plans that are renewed by themselves and end between two moments.
pub(crate) fn due_renewals(
    sql: &mut dyn Sql,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<DueRenewal>> {
    all(
        sql,
        "SELECT r.account_id, r.currency, a.subscribed_until
         FROM plan_renewals r JOIN accounts a ON a.id = r.account_id
         WHERE a.plan IS NOT NULL AND a.subscribed_until >= $1 AND a.subscribed_until <= $2
         ORDER BY r.account_id",
        &values![from, to],
        from_row,
    )
}

/// Buys months of a plan for an account.
#[derive(Clone, Debug)]
pub struct BuyPlan {
    /// The payment from its wallet.
    pub posting: Posting,
    /// What is bought.
    pub plan: Plan,
    /// How many calendar months.
    pub months: u32,
    /// What is left of another plan ends with it.
    pub ends_another: bool,
}

/// An account's plan as it was bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoughtPlan {
    /// The wallet's available minor units right after.
    pub available: i64,
    /// What the account has now.
    pub subscription: Subscription,
}

impl Commit for BuyPlan {
    type Done = BoughtPlan;
    type Denied = PostingDenied;

    fn needs(&self) -> CommitNeeds<'_> {
        // It reads the account.
        CommitNeeds { is_optimistic: false, ..self.posting.needs() }
    }

    fn apply(&self, tx: &mut Tx<'_>) -> Result<BoughtPlan> {
        let available = self.posting.apply(tx)?;
        let mut account = by_id(tx.sql, self.posting.account)?
            .ok_or_else(|| Fault::corrupt("a plan is bought for nobody"))?;
        let is_kept = |left: &Subscription| left.plan.kind == self.plan.kind || !self.ends_another;
        let before = account.subscription.filter(is_kept);
        let now = self.posting.at;
        let subscription = Subscription::extended(before, self.plan, self.months, now);
        account.subscription = Some(subscription);
        set_account(tx.sql, &account)?;
        notify_nodes(tx.sql, "keys")?;
        Ok(BoughtPlan { available, subscription })
    }
}
