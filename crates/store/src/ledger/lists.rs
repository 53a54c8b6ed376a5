//! What lists of an account read: in SQLite, tables that are filled behind the journals; in
//! PostgreSQL, views over indexes, with nothing to fill.
//!
//! A sale writes to pages that all accounts share. An index by account would add a page of its own
//! account for each of its rows; many accounts made a sale half as dear again. So the rows by
//! account are written later, many at once and in their order. Invariants: what a table says is
//! never wrong, only late; whoever reads it reads the journals after its end, too. A purchase that
//! opens without a journal is listed at once.

use crate::archive;
use crate::backend::{
    Columns, FromRow, Sql, WriteKey, all, columns, first, from_row, number, values,
};
use crate::commit::unrefused;
use crate::fault::{Fault, Result};
use domain::{AccountId, Environment, Kind, Purchase, PurchaseId};

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

/// Adds a part of the next rows to a list, in the order of their keys; the last part moves its end.
/// Answers whether the list still ended where the rows begin.
#[derive(Clone, Debug)]
pub struct FillList {
    list: AccountList,
    from: i64,
    rows: ListRows,
    /// In the last part: up to which journal the list is filled now.
    end: Option<i64>,
}

/// Rows of one table.
#[derive(Clone, Debug)]
enum ListRows {
    Journals(Vec<ListedJournal>),
    Purchases(Vec<ListedPurchase>),
    Recipients(Vec<ListedRecipient>),
}

// Sorted by their fields, which stand in the order of the key: neighbours share pages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ListedJournal {
    account: AccountId,
    environment: Environment,
    seq: i64,
}

columns!(ListedJournal: account, environment, seq);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ListedPurchase {
    account: AccountId,
    environment: Environment,
    operator: String,
    kind: Kind,
    id: PurchaseId,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ListedRecipient {
    account: AccountId,
    environment: Environment,
    recipient: String,
    id: PurchaseId,
}

/// What two tables have of a purchase.
struct NextPurchase(ListedPurchase, ListedRecipient);

impl FromRow for NextPurchase {
    fn read(columns: &mut Columns<'_>) -> Result<NextPurchase> {
        let (account, environment) = (FromRow::read(columns)?, FromRow::read(columns)?);
        let (operator, kind) = (FromRow::read(columns)?, FromRow::read(columns)?);
        let (recipient, id) = (FromRow::read(columns)?, FromRow::read(columns)?);
        let purchase = ListedPurchase { account, environment, operator, kind, id };
        Ok(NextPurchase(purchase, ListedRecipient { account, environment, recipient, id }))
    }
}

const NEXT_JOURNALS: &str =
    "SELECT account_id, environment, seq FROM journals WHERE seq > $1 AND seq <= $2";
const NEXT_PURCHASES: &str = "SELECT p.account_id, p.environment, p.operator, p.kind, p.recipient,
        p.id
    FROM journals j CROSS JOIN purchases p
    WHERE p.id = j.purchase_id AND j.reason = 'hold' AND j.seq > $1 AND j.seq <= $2";

unrefused!(FillList, bool, |part, tx| {
    if end(tx.sql, part.list)? != part.from {
        return Ok(false);
    }
    // What was archived since the rows were read may be gone already.
    let (journals, purchases) = match archive::archived(tx.sql)? {
        Some(archived) => (archived.last_journal, archived.ids_below),
        None => (0, 0),
    };
    match &part.rows {
        ListRows::Journals(rows) => {
            for row in rows.iter().filter(|row| row.seq > journals) {
                tx.sql.run(
                    "INSERT INTO listed_journals VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                    &values![row.account, row.environment, row.seq],
                )?;
            }
        }
        ListRows::Purchases(rows) => {
            for row in rows.iter().filter(|row| row.id.0 >= purchases) {
                tx.sql.run(
                    "INSERT INTO listed_purchases VALUES ($1, $2, $3, $4, $5)
                     ON CONFLICT DO NOTHING",
                    &values![row.account, row.environment, &row.operator, row.kind, row.id],
                )?;
            }
        }
        ListRows::Recipients(rows) => {
            for row in rows.iter().filter(|row| row.id.0 >= purchases) {
                tx.sql.run(
                    "INSERT INTO listed_recipients VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
                    &values![row.account, row.environment, &row.recipient, row.id],
                )?;
            }
        }
    }
    if let Some(end) = part.end {
        let end = values![end, part.list.name()];
        tx.sql.run("UPDATE lists SET up_to = $1 WHERE name = $2", &end)?;
    }
    Ok(true)
});

/// What a list lacks, in parts of so many rows; none if it lacks fewer journals than `at_least`. It
/// is read and sorted here, so that buyers wait for the writes alone; a part is so small that they
/// do not notice its commit.
pub(crate) fn parts(
    sql: &mut dyn Sql,
    list: AccountList,
    at_least: u32,
    rows: u32,
) -> Result<Vec<FillList>> {
    let (from, last) = (end(sql, list)?, last_journal(sql)?);
    if from.saturating_add(i64::from(at_least)) > last {
        return Ok(Vec::new());
    }
    let to = last.min(from.saturating_add(READ_AT_ONCE));
    let (between, rows) = (values![from, to], rows as usize);
    let sorted = match list {
        AccountList::Journals => {
            let mut next: Vec<ListedJournal> = all(sql, NEXT_JOURNALS, &between, from_row)?;
            next.sort_unstable();
            in_parts(next, rows, ListRows::Journals)
        }
        AccountList::Purchases => {
            let next: Vec<NextPurchase> = all(sql, NEXT_PURCHASES, &between, from_row)?;
            let next = next.into_iter().map(|NextPurchase(purchase, of)| (purchase, of));
            let (mut purchases, mut recipients): (Vec<_>, Vec<_>) = next.unzip();
            purchases.sort_unstable();
            recipients.sort_unstable();
            let mut both = in_parts(purchases, rows, ListRows::Purchases);
            both.extend(in_parts(recipients, rows, ListRows::Recipients));
            both
        }
    };
    let part = |rows| FillList { list, from, rows, end: None };
    let mut parts: Vec<FillList> = sorted.into_iter().map(part).collect();
    if let Some(last) = parts.last_mut() {
        last.end = Some(to);
    }
    Ok(parts)
}

/// Journals that are read together at most: some 20 MB.
const READ_AT_ONCE: i64 = 100_000;

/// The number of the last journal that is in the database; 0 before the first.
pub(crate) fn last_journal(sql: &mut dyn Sql) -> Result<i64> {
    number(sql, "SELECT coalesce(max(seq), 0) FROM journals", &[])
}

/// At least one part, though it may be empty: the last one moves the end.
fn in_parts<T>(sorted: Vec<T>, rows: usize, of: impl Fn(Vec<T>) -> ListRows) -> Vec<ListRows> {
    let mut rest = sorted.into_iter();
    let mut parts = Vec::new();
    loop {
        let part: Vec<T> = rest.by_ref().take(rows).collect();
        if part.is_empty() && !parts.is_empty() {
            return parts;
        }
        parts.push(of(part));
    }
}

/// Up to which journal a list is filled.
pub(crate) fn end(sql: &mut dyn Sql, list: AccountList) -> Result<i64> {
    let end = "SELECT up_to FROM lists WHERE name = $1";
    let end = first(sql, end, &values![list.name()], from_row)?;
    end.ok_or_else(|| Fault::corrupt(format!("the list of {} has no end", list.name())))
}

/// Lists a purchase that opens without a journal.
pub(crate) fn add_purchase(sql: &mut dyn Sql, p: &Purchase) -> Result<()> {
    let (account, environment) = (p.key.account, p.key.environment);
    sql.defer(
        "INSERT INTO listed_purchases VALUES ($1, $2, $3, $4, $5)",
        WriteKey::Last,
        &values![account, environment, &p.operator, p.kind, p.key.id],
        None,
    )?;
    sql.defer(
        "INSERT INTO listed_recipients VALUES ($1, $2, $3, $4)",
        WriteKey::Last,
        &values![account, environment, &p.recipient, p.key.id],
        None,
    )
}
