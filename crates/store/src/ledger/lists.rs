//! What lists of an account read: tables that are filled behind the journals.
//!
//! A sale writes to pages that all accounts share. An index by account would add a page of its own
//! account for each of its rows; many accounts made a sale half as dear again. So the rows by
//! account are written later, many at once and in their order. Invariants: what a table says is
//! never wrong, only late; whoever reads it reads the journals after its end, too, which are never
//! more than a few steps. A purchase that opens without a journal is listed at once.

use crate::backend::{Sql, WriteKey, first, values};
use crate::commit::unrefused;
use crate::fault::{Fault, Result};
use domain::Purchase;

/// What lists of an account read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountList {
    /// Its journals, for statements.
    Journals,
    /// Its purchases, by operator and kind and by recipient.
    Purchases,
}

impl AccountList {
    /// Each of them.
    pub const ALL: [AccountList; 2] = [AccountList::Journals, AccountList::Purchases];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            AccountList::Journals => "journals",
            AccountList::Purchases => "purchases",
        }
    }
}

/// Adds the next so many journals to a list. Answers whether it did: fewer are left where they are.
#[derive(Clone, Copy, Debug)]
pub struct FillList {
    /// Which list.
    pub list: AccountList,
    /// How many journals.
    pub journals: u32,
}

const JOURNALS: &str = "INSERT INTO listed_journals
    SELECT account_id, environment, seq FROM journals WHERE seq > $1 AND seq <= $2
    ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING";
const PURCHASES: &str = "INSERT INTO listed_purchases
    SELECT p.account_id, p.environment, p.operator, p.kind, p.id
    FROM journals j CROSS JOIN purchases p
    WHERE p.id = j.purchase_id AND j.reason = 'hold' AND j.seq > $1 AND j.seq <= $2
    ORDER BY 1, 2, 3, 4, 5 ON CONFLICT DO NOTHING";
const RECIPIENTS: &str = "INSERT INTO listed_recipients
    SELECT p.account_id, p.environment, p.recipient, p.id
    FROM journals j CROSS JOIN purchases p
    WHERE p.id = j.purchase_id AND j.reason = 'hold' AND j.seq > $1 AND j.seq <= $2
    ORDER BY 1, 2, 3, 4 ON CONFLICT DO NOTHING";

unrefused!(FillList, bool, |change, tx| {
    let (from, last) = ends(tx.sql, change.list)?;
    let to = from.saturating_add(i64::from(change.journals));
    if to > last {
        return Ok(false);
    }
    let texts: &[&str] = match change.list {
        AccountList::Journals => &[JOURNALS],
        AccountList::Purchases => &[PURCHASES, RECIPIENTS],
    };
    for text in texts {
        tx.sql.run(text, &values![from, to])?;
    }
    tx.sql.run("UPDATE lists SET up_to = $1 WHERE name = $2", &values![to, change.list.name()])?;
    Ok(true)
});

/// Up to which journal a list is filled.
pub(crate) fn end(sql: &mut dyn Sql, list: AccountList) -> Result<i64> {
    let end =
        first(sql, "SELECT up_to FROM lists WHERE name = $1", &values![list.name()], |row| {
            row.int(0)
        })?;
    end.ok_or_else(|| Fault::corrupt(format!("the list of {} has no end", list.name())))
}

/// How many journals a list lacks.
pub(crate) fn lacks(sql: &mut dyn Sql, list: AccountList) -> Result<u64> {
    let (end, last) = ends(sql, list)?;
    Ok(u64::try_from(last.saturating_sub(end)).unwrap_or(0))
}

fn ends(sql: &mut dyn Sql, list: AccountList) -> Result<(i64, i64)> {
    let end = end(sql, list)?;
    let last = first(sql, "SELECT max(seq) FROM journals", &[], |row| row.opt_int(0))?;
    Ok((end, last.flatten().unwrap_or(0)))
}

/// Lists a purchase that opens without a journal.
pub(crate) fn add_purchase(sql: &mut dyn Sql, p: &Purchase) -> Result<()> {
    let (account, environment) = (p.key.account, p.key.environment);
    sql.defer(
        "INSERT INTO listed_purchases VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        WriteKey::Last,
        &values![account, environment, &p.operator, p.kind, p.key.id],
        None,
    )?;
    sql.defer(
        "INSERT INTO listed_recipients VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        WriteKey::Last,
        &values![account, environment, &p.recipient, p.key.id],
        None,
    )
}
