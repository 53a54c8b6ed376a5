//! Floats: what upstreams say about our prepaid balances, and how fast we spend them.
//!
//! Not here: our own count, which is the ledger's. What is here is never booked: it is compared,
//! and decides only whether an upstream gets new orders.

use crate::backend::{Sql, all, columns, first, from_row, values};
use crate::commit::{Commit, CommitNeeds, Tx, unrefused};
use crate::fault::Result;
use crate::ledger::Posting;
use crate::webhooks::enqueue;
use domain::{
    Currency, Environment, Money, PendingWebhook, PostingDenied, PurchaseKey, Timestamp,
    UpstreamCode,
};
use std::sync::Arc;

/// Hours of spending that are kept: two weeks and a day.
const HOURS_KEPT: i64 = 15 * 24;

/// Books what was paid to an upstream, or takes that back; from then on our own count of that float
/// is known, or is not.
#[derive(Clone, Debug)]
pub struct FundUpstream {
    /// The movement of money.
    pub posting: Posting,
    /// Which upstream.
    pub code: UpstreamCode,
    /// Of the payment.
    pub currency: Currency,
    /// Whether our own count is known then: not, where all that was paid is taken back.
    pub is_known: bool,
}

impl Commit for FundUpstream {
    type Done = ();
    type Denied = PostingDenied;

    fn needs(&self) -> CommitNeeds<'_> {
        CommitNeeds { is_optimistic: false, ..self.posting.needs() }
    }

    fn apply(&self, tx: &mut Tx<'_>) -> Result<()> {
        self.posting.apply(tx)?;
        let text = match self.is_known {
            true => {
                "INSERT INTO upstream_floats (code, currency) VALUES ($1, $2)
                 ON CONFLICT DO NOTHING"
            }
            false => "DELETE FROM upstream_floats WHERE code = $1 AND currency = $2",
        };
        tx.sql.run(text, &values![&self.code, self.currency])
    }
}

/// What was booked as paid to an upstream by one payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaidToUpstream {
    /// Which upstream.
    pub code: UpstreamCode,
    /// How much.
    pub amount: Money,
}

columns!(PaidToUpstream: code, amount);

/// What was booked by a payment of the rail of upstreams; none: nothing, or its month is archived.
pub(crate) fn paid(
    sql: &mut dyn Sql,
    environment: Environment,
    reference: &str,
) -> Result<Option<PaidToUpstream>> {
    first(
        sql,
        "SELECT a.upstream, a.currency, e.amount FROM payments p
         JOIN entries e ON e.journal_seq = p.journal_seq
         JOIN ledger_accounts a ON a.id = e.debit_id
         WHERE p.environment = $1 AND p.rail = 'upstream' AND p.reference = $2
             AND a.purpose = 'float'",
        &values![environment, reference],
        from_row,
    )
}

/// Keeps what an upstream said about our balance there.
#[derive(Clone, Debug)]
pub struct KeepBalance(pub ReportedBalance);

unrefused!(KeepBalance, (), |change, tx| {
    let ReportedBalance { code, balance, ours, reported_at } = &change.0;
    tx.sql.run(
        "INSERT INTO upstream_balances (code, currency, balance, ours, reported_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (code) DO UPDATE SET currency = excluded.currency,
             balance = excluded.balance, ours = excluded.ours, reported_at = excluded.reported_at",
        &values![code, balance.currency(), balance.minor(), ours.minor(), *reported_at],
    )
});

/// Notes that an upstream is asked for its balance now; answers whether this node may ask. Some
/// upstreams block an account that asks often, so of several nodes one asks.
#[derive(Clone, Debug)]
pub struct AskBalance {
    /// Which upstream.
    pub code: UpstreamCode,
    /// Only if it was not asked after this.
    pub unless_since: Timestamp,
    /// Now.
    pub at: Timestamp,
}

unrefused!(AskBalance, bool, |change, tx| {
    let asked = first(
        tx.sql,
        "SELECT asked_at FROM upstream_watch WHERE code = $1",
        &values![&change.code],
        |row| row.int(0),
    )?;
    // One that was asked in the future was asked before the clock was put right.
    let is_recent = |at: i64| at > change.unless_since.0 && at <= change.at.0;
    if asked.is_some_and(is_recent) {
        return Ok(false);
    }
    tx.sql.run(
        "INSERT INTO upstream_watch (code, asked_at, level) VALUES ($1, $2, '')
         ON CONFLICT (code) DO UPDATE SET asked_at = excluded.asked_at",
        &values![&change.code, change.at],
    )?;
    Ok(true)
});

/// Notes at which level a float is, and queues the webhooks that tell so; answers whether that is
/// news, so that of several nodes one tells staff, once. What is no news queues nothing.
#[derive(Clone, Debug)]
pub struct NoteFloatLevel {
    /// Which upstream.
    pub code: UpstreamCode,
    /// `enough`, `low` or `empty`.
    pub level: &'static str,
    /// What tells staff.
    pub webhooks: Vec<(PurchaseKey, Arc<PendingWebhook>)>,
}

unrefused!(NoteFloatLevel, bool, |change, tx| {
    let before: Option<String> = first(
        tx.sql,
        "SELECT level FROM upstream_watch WHERE code = $1",
        &values![&change.code],
        from_row,
    )?;
    if before.as_deref() == Some(change.level) {
        return Ok(false);
    }
    tx.sql.run(
        "INSERT INTO upstream_watch (code, asked_at, level) VALUES ($1, 0, $2)
         ON CONFLICT (code) DO UPDATE SET level = excluded.level",
        &values![&change.code, change.level],
    )?;
    // A float that was never low needs no message that it is enough.
    let is_news = change.level != "enough" || before.is_some_and(|level| !level.is_empty());
    for (key, webhook) in change.webhooks.iter().filter(|_| is_news) {
        enqueue(tx.sql, tx.run, key, webhook)?;
    }
    Ok(is_news)
});

/// Adds to what was spent at upstreams, hour by hour, and forgets what is old.
#[derive(Clone, Debug)]
pub struct AddSpending(pub Vec<HourSpent>);

/// What was spent at an upstream in one hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HourSpent {
    /// Which upstream.
    pub code: UpstreamCode,
    /// The hour, counted from 1970.
    pub hour: i64,
    /// How much.
    pub spent: Money,
}

unrefused!(AddSpending, (), |change, tx| {
    for HourSpent { code, hour, spent } in &change.0 {
        tx.sql.run(
            "INSERT INTO upstream_hours (code, currency, hour, spent) VALUES ($1, $2, $3, $4)
             ON CONFLICT (code, currency, hour) DO UPDATE
                 SET spent = upstream_hours.spent + excluded.spent",
            &values![code, spent.currency(), *hour, spent.minor()],
        )?;
        tx.sql.run(
            "DELETE FROM upstream_hours WHERE code = $1 AND hour < $2",
            &values![code, hour - HOURS_KEPT],
        )?;
    }
    Ok(())
});

/// What an upstream said about our balance there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedBalance {
    /// Which upstream.
    pub code: UpstreamCode,
    /// What it said.
    pub balance: Money,
    /// Our own count at that moment, in the same currency.
    pub ours: Money,
    /// When.
    pub reported_at: Timestamp,
}

columns!(ReportedBalance: code, balance, ours, reported_at);

/// Our own count of a float, in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerFloat {
    /// Which upstream.
    pub code: UpstreamCode,
    /// Sandbox and live never share one.
    pub environment: Environment,
    /// What is left of what we paid, less what was delivered.
    pub ours: Money,
}

columns!(LedgerFloat: code, environment, ours);

/// What upstreams last said.
pub(crate) fn reported(sql: &mut dyn Sql) -> Result<Vec<ReportedBalance>> {
    all(
        sql,
        "SELECT code, currency, balance, currency, ours, reported_at
         FROM upstream_balances ORDER BY code",
        &[],
        from_row,
    )
}

/// Our own count of every float.
pub(crate) fn ledger(sql: &mut dyn Sql) -> Result<Vec<LedgerFloat>> {
    // A balance is what we owe: a float is the other way round.
    all(
        sql,
        "SELECT upstream, environment, currency, -balance FROM ledger_accounts
         WHERE purpose = 'float' ORDER BY upstream, environment, currency",
        &[],
        from_row,
    )
}

/// What was spent at an upstream, by hour, oldest first.
pub(crate) fn hours(
    sql: &mut dyn Sql,
    code: &UpstreamCode,
    currency: Currency,
) -> Result<Vec<(i64, i64)>> {
    all(
        sql,
        "SELECT hour, spent FROM upstream_hours WHERE code = $1 AND currency = $2 ORDER BY hour",
        &values![code, currency],
        from_row,
    )
}

/// The floats that were ever paid into: of those our own count is known.
pub(crate) fn funded(sql: &mut dyn Sql) -> Result<Vec<(UpstreamCode, Currency)>> {
    all(sql, "SELECT code, currency FROM upstream_floats ORDER BY code, currency", &[], from_row)
}
