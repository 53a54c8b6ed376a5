//! A wallet's statement, page by page, latest first.
//!
//! Invariant: a page is read in one snapshot, so its running balances are consistent. First come
//! the journals after the end of the account's list (`lists`), then those of the list.

use super::lists::{self, AccountList};
use crate::backend::{Row, Sql, all, first, from_row, number, values};
use crate::fault::{Fault, Result};
use domain::ids::JournalSeq;
use domain::{AccountId, Currency, Environment, Money, PurchaseId, Reason, Timestamp};

/// A page of a list, latest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Only what has a lower number than this; none: the first page.
    pub before: Option<i64>,
    /// At most this many.
    pub limit: u32,
}

/// Which balance of a wallet a statement is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// What can be spent.
    Available,
    /// The commission that was earned and not yet paid out.
    Commission,
}

impl Balance {
    const fn purpose(self) -> &'static str {
        match self {
            Balance::Available => "available",
            Balance::Commission => "commission",
        }
    }
}

/// One line of a wallet's statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementLine {
    /// The journal that changed it.
    pub journal: JournalSeq,
    /// What the journal was for.
    pub reason: Reason,
    /// The purchase that it was for, if any.
    pub purchase: Option<PurchaseId>,
    /// By how much the balance changed.
    pub change: Money,
    /// The balance afterwards.
    pub available_after: Money,
    /// When the journal was posted.
    pub at: Timestamp,
}

/// Whose statement is asked for, and of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatementOf {
    /// The owner of the wallet.
    pub account: AccountId,
    /// The wallet's environment.
    pub environment: Environment,
    /// The wallet's currency.
    pub currency: Currency,
    /// Its available money, or its commission.
    pub balance: Balance,
}

/// The statement of a wallet: what changed one of its balances. `None` without such a wallet.
pub(crate) fn statement(
    sql: &mut dyn Sql,
    of: StatementOf,
    page: Page,
) -> Result<Option<Vec<StatementLine>>> {
    sql.begin_snapshot()?;
    let lines = in_snapshot(sql, of, page);
    sql.end_snapshot()?;
    lines
}

/// Lines of journals; `$from` and `$and` say which, and `$seq` which of two equal numbers has an
/// index in their order. The OFFSET keeps PostgreSQL from beginning with all entries of the wallet.
macro_rules! lines_text {
    ($from:literal, $and:literal, $seq:literal) => {
        concat!(
            "SELECT j.seq, j.reason, j.purchase_id, (SELECT CAST(sum(CASE WHEN e.credit_id = $1
                 THEN e.amount ELSE -e.amount END) AS BIGINT)
             FROM entries e WHERE e.journal_seq = j.seq AND e.month = j.month
                 AND (e.credit_id = $2 OR e.debit_id = $3)), j.at FROM ",
            $from,
            $and,
            " AND EXISTS (SELECT 1 FROM entries e WHERE e.journal_seq = j.seq AND e.month = j.month
                 AND (e.credit_id = $8 OR e.debit_id = $9) LIMIT 1 OFFSET 0) ORDER BY ",
            $seq,
            " DESC LIMIT $10"
        )
    };
}

/// Those of the list.
pub(crate) const LINES: &str = lines_text!(
    "(SELECT seq AS found FROM listed_journals WHERE account_id = $4 AND environment = $5
          AND seq <= $6 AND seq < $7) AS l CROSS JOIN journals j ",
    "WHERE j.seq = found",
    "found"
);
/// Those after its end.
pub(crate) const LATER_LINES: &str = lines_text!(
    "journals j ",
    "WHERE j.account_id + 0 = $4 AND j.environment || '' = $5 AND j.seq > $6 AND j.seq < $7",
    "j.seq"
);

fn in_snapshot(
    sql: &mut dyn Sql,
    of: StatementOf,
    page: Page,
) -> Result<Option<Vec<StatementLine>>> {
    let StatementOf { account, environment, currency, balance } = of;
    let wallet = first(
        sql,
        "SELECT id, balance FROM ledger_accounts
         WHERE account_id = $1 AND environment = $2 AND currency = $3 AND purpose = $4",
        &values![account, environment, currency, balance.purpose()],
        from_row,
    )?;
    let Some((wallet, balance)): Option<(i64, i64)> = wallet else { return Ok(None) };
    let before = page.before.unwrap_or(i64::MAX);
    let later = change_since(sql, account, environment, wallet, before)?;
    let mut available_after = balance - later;
    let mut line = |row: &dyn Row| {
        let reason = Reason::from_code(row.text(1)?).ok_or_else(|| Fault::corrupt("a reason"))?;
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
    };
    let end = lists::end(sql, AccountList::Journals)?;
    let mut found = Vec::new();
    for text in [LATER_LINES, LINES] {
        let limit = page.limit.saturating_sub(u32::try_from(found.len()).unwrap_or(u32::MAX));
        if limit > 0 {
            let which = values![wallet, wallet, wallet, account, environment, end, before];
            let args = [&which[..], &values![wallet, wallet, limit]].concat();
            found.extend(all(sql, text, &args, &mut line)?);
        }
    }
    Ok(Some(found))
}

/// By how much the journals from `seq` on changed a wallet's balance.
fn change_since(
    sql: &mut dyn Sql,
    account: AccountId,
    environment: Environment,
    wallet: i64,
    seq: i64,
) -> Result<i64> {
    let end = lists::end(sql, AccountList::Journals)?;
    let listed = values![wallet, account, environment, seq, end];
    let later = values![account, environment, end, seq, wallet, wallet];
    let args = [&listed[..], &later].concat();
    number(
        sql,
        "SELECT CAST(coalesce(sum(
             CASE WHEN e.credit_id = $1 THEN e.amount ELSE -e.amount END), 0) AS BIGINT)
         FROM (SELECT seq AS found FROM listed_journals
               WHERE account_id = $2 AND environment = $3 AND seq >= $4 AND seq <= $5
               UNION ALL SELECT seq FROM journals WHERE account_id + 0 = $6
               AND environment || '' = $7 AND seq > $8 AND seq >= $9) AS l
         CROSS JOIN journals j CROSS JOIN entries e
         WHERE j.seq = found AND e.journal_seq = j.seq AND e.month = j.month
             AND (e.credit_id = $10 OR e.debit_id = $11)",
        &args,
    )
}
