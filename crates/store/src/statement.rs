//! A wallet's statement and an account's purchases, page by page, latest first.
//!
//! Invariant: a page is read in one snapshot, so its running balances fit together.

use crate::backend::{Sql, all, first};
use crate::fault::Fault;
use crate::read;
use domain::clock::Timestamp;
use domain::ids::JournalSeq;
use domain::journal::Reason;
use domain::lifecycle::State;
use domain::purchase::{Purchase, Space};
use domain::{AccountId, Currency, Environment, Money, PurchaseId};

/// Part of a list, latest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// What was opened or written before this; none: from the latest on.
    pub before: Option<i64>,
    /// At most this many.
    pub limit: u32,
}

/// One line of a wallet's statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementLine {
    /// The journal that moved it.
    pub journal: JournalSeq,
    /// Why.
    pub reason: Reason,
    /// For which purchase, if it was for one.
    pub purchase: Option<PurchaseId>,
    /// By how much the available money changed.
    pub change: Money,
    /// The available money afterwards.
    pub available_after: Money,
    /// When.
    pub at: Timestamp,
}

/// A wallet's statement: what changed its available money. `None` without such a wallet.
pub(crate) fn statement(
    sql: &mut dyn Sql,
    whose: (AccountId, Environment, Currency),
    page: Page,
) -> Result<Option<Vec<StatementLine>>, Fault> {
    sql.run("BEGIN", &[])?;
    let lines = in_snapshot(sql, whose, page);
    sql.run("COMMIT", &[])?;
    lines
}

fn in_snapshot(
    sql: &mut dyn Sql,
    (account, environment, currency): (AccountId, Environment, Currency),
    page: Page,
) -> Result<Option<Vec<StatementLine>>, Fault> {
    let wallet = first(
        sql,
        "SELECT id, balance FROM ledger_accounts WHERE account_id = $1 AND environment = $2 AND currency = $3 AND purpose = 'available'",
        &[account.0.into(), environment.code().into(), currency.code().into()],
        |row| Ok((row.int(0)?, row.int(1)?)),
    )?;
    let Some((wallet, balance)) = wallet else { return Ok(None) };
    let before = page.before.unwrap_or(i64::MAX);
    let later = first(
        sql,
        "SELECT coalesce(sum(CASE WHEN e.credit_id = $1 THEN e.amount ELSE -e.amount END), 0) FROM journals j
         JOIN entries e ON e.journal_seq = j.seq AND (e.credit_id = $2 OR e.debit_id = $3)
         WHERE j.account_id = $4 AND j.environment = $5 AND j.seq >= $6",
        &[
            wallet.into(),
            wallet.into(),
            wallet.into(),
            account.0.into(),
            environment.code().into(),
            before.into(),
        ],
        |row| row.int(0),
    )?;
    let mut available_after = balance - later.unwrap_or(0);
    let rows = all(
        sql,
        "SELECT j.seq, j.reason, j.purchase_id, sum(CASE WHEN e.credit_id = $1 THEN e.amount ELSE -e.amount END), j.at FROM journals j
         JOIN entries e ON e.journal_seq = j.seq AND (e.credit_id = $2 OR e.debit_id = $3)
         WHERE j.account_id = $4 AND j.environment = $5 AND j.seq < $6
         GROUP BY j.seq, j.reason, j.purchase_id, j.at ORDER BY j.seq DESC LIMIT $7",
        &[
            wallet.into(),
            wallet.into(),
            wallet.into(),
            account.0.into(),
            environment.code().into(),
            before.into(),
            page.limit.into(),
        ],
        |row| {
            let reason =
                Reason::from_code(row.text(1)?).ok_or_else(|| Fault::corrupt("a reason"))?;
            let change = row.int(3)?;
            let line = StatementLine {
                journal: JournalSeq(row.int(0)?),
                reason,
                purchase: row.opt_int(2)?.map(PurchaseId),
                change: Money::new(change, currency),
                available_after: Money::new(available_after, currency),
                at: Timestamp(row.int(4)?),
            };
            available_after -= change;
            Ok(line)
        },
    )?;
    Ok(Some(rows))
}

/// The purchases that an account made by one face, latest first; of these states, or of all. Found
/// by its references, which lie together.
pub(crate) fn purchases_of(
    sql: &mut dyn Sql,
    (account, environment, space): (AccountId, Environment, Space),
    states: &[State],
    page: Page,
) -> Result<Vec<Purchase>, Fault> {
    let codes: Vec<&str> = states.iter().map(|state| state.code()).collect();
    let states = format!(",{},", codes.join(","));
    all(
        sql,
        concat!(
            "SELECT ",
            read::purchase_columns!(),
            " FROM purchases WHERE account_id = $1 AND environment = $2 AND id IN (
                 SELECT purchase_id FROM claims WHERE account_id = $3 AND environment = $4 AND space = $5 AND purchase_id < $6
             ) AND ($7 = ',,' OR $8 LIKE '%,' || state || ',%') ORDER BY id DESC LIMIT $9"
        ),
        &[
            account.0.into(),
            environment.code().into(),
            account.0.into(),
            environment.code().into(),
            space.code().into(),
            page.before.unwrap_or(i64::MAX).into(),
            states.as_str().into(),
            states.as_str().into(),
            page.limit.into(),
        ],
        read::purchase,
    )
}
