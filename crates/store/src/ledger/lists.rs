//! What lists of an account read: in SQLite, tables that are filled behind the journals; in
//! PostgreSQL, views over indexes, with nothing to fill.
//!
//! A sale writes to pages that all accounts share. An index by account would add a page of its own
//! account for each of its rows; many accounts made a sale half as dear again. So the rows by
//! account are written later, many at once and in their order. Invariants: what a table says is
//! never wrong, only late; whoever reads it reads the journals after its end, too, which are never
//! more than a few steps. A purchase that opens without a journal is listed at once.

use crate::backend::{Sql, WriteKey, all, columns, first, from_row, number, values};
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

/// Adds a part of the next journals to a list; the last part moves its end. Answers whether they
/// were still to add.
#[derive(Clone, Debug)]
pub struct FillList {
    list: AccountList,
    /// Journals after this, up to that.
    from: i64,
    to: i64,
    /// Of these, those after this key, up to that.
    after: JournalKey,
    until: JournalKey,
    is_last: bool,
}

/// By what journals are sorted in a list.
#[derive(Clone, Debug)]
struct JournalKey {
    account: i64,
    environment: String,
    seq: i64,
}

columns!(JournalKey: account, environment, seq);

macro_rules! of_part {
    ($columns:literal, $from:literal, $order:literal) => {
        concat!(
            $columns,
            $from,
            " j.seq > $1 AND j.seq <= $2
                 AND (j.account_id, j.environment, j.seq) > ($3, $4, $5)
                 AND (j.account_id, j.environment, j.seq) <= ($6, $7, $8)",
            $order
        )
    };
}

const JOURNALS: &str = of_part!(
    "INSERT INTO listed_journals SELECT j.account_id, j.environment, j.seq",
    " FROM journals j WHERE",
    " ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING"
);
const PURCHASES: &str = of_part!(
    "INSERT INTO listed_purchases SELECT p.account_id, p.environment, p.operator, p.kind, p.id",
    " FROM journals j CROSS JOIN purchases p WHERE p.id = j.purchase_id AND j.reason = 'hold' AND",
    " ORDER BY 1, 2, 3, 4, 5 ON CONFLICT DO NOTHING"
);
const RECIPIENTS: &str = of_part!(
    "INSERT INTO listed_recipients SELECT p.account_id, p.environment, p.recipient, p.id",
    " FROM journals j CROSS JOIN purchases p WHERE p.id = j.purchase_id AND j.reason = 'hold' AND",
    " ORDER BY 1, 2, 3, 4 ON CONFLICT DO NOTHING"
);

unrefused!(FillList, bool, |part, tx| {
    if end(tx.sql, part.list)? != part.from {
        return Ok(false);
    }
    let texts: &[&str] = match part.list {
        AccountList::Journals => &[JOURNALS],
        AccountList::Purchases => &[PURCHASES, RECIPIENTS],
    };
    let (after, until) = (&part.after, &part.until);
    let after = values![part.from, part.to, after.account, &after.environment, after.seq];
    let until = values![until.account, &until.environment, until.seq];
    let args = [&after[..], &until].concat();
    for text in texts {
        tx.sql.run(text, &args)?;
    }
    if part.is_last {
        let end = values![part.to, part.list.name()];
        tx.sql.run("UPDATE lists SET up_to = $1 WHERE name = $2", &end)?;
    }
    Ok(true)
});

/// The next so many journals of a list, in so many parts of about the same size, in the order of
/// their keys; none if the list lacks fewer. A part is so small that buyers do not notice its
/// commit, and neighbours still share pages.
pub(crate) fn parts(
    sql: &mut dyn Sql,
    list: AccountList,
    journals: u32,
    parts: u32,
) -> Result<Vec<FillList>> {
    let from = end(sql, list)?;
    let to = from.saturating_add(i64::from(journals));
    if to > number(sql, "SELECT coalesce(max(seq), 0) FROM journals", &[])? {
        return Ok(Vec::new());
    }
    let every = (journals / parts / SAMPLE).max(1);
    let keys = all(
        sql,
        "SELECT account_id, environment, seq FROM journals
         WHERE seq > $1 AND seq <= $2 AND seq % $3 = 0 ORDER BY 1, 2, 3",
        &values![from, to, i64::from(every)],
        from_row,
    )?;
    let size = keys.len().div_ceil(parts as usize).max(1);
    let (ends, others) = (keys.into_iter().skip(size - 1), parts as usize - 1);
    let mut keys: Vec<JournalKey> = ends.step_by(size).take(others).collect();
    keys.push(JournalKey::new(i64::MAX, "", 0));
    let (count, mut after) = (keys.len(), JournalKey::new(0, "", 0));
    let part = |(i, until): (usize, JournalKey)| {
        let after = std::mem::replace(&mut after, until.clone());
        FillList { list, from, to, after, until, is_last: i + 1 == count }
    };
    Ok(keys.into_iter().enumerate().map(part).collect())
}

/// So many journals of a part decide where it ends.
const SAMPLE: u32 = 16;

impl JournalKey {
    fn new(account: i64, environment: &str, seq: i64) -> JournalKey {
        JournalKey { account, environment: environment.to_owned(), seq }
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
