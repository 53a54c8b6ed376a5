//! Months that are closed: nothing of them changes any more, and once a file has one, its rows go.
//!
//! First a month is closed, in a commit that sees that nothing of it is open. Then it is copied, and
//! the copy is audited, however long that takes. Then one commit notes the file and what is carried
//! forward. From then on the live books begin after it, whether its rows are still there or not.
//! Invariants: a row goes only once a file has it; what is written after a closing is of a later month.

mod audit;
mod file;
mod late_outcomes;

pub(crate) use audit::audit_files;
pub use audit::{ArchivesAudit, MonthAudit, audit_month};
pub use file::Filed;
pub(crate) use file::{digest_of, month_in, write};
pub use late_outcomes::LateWord;
pub(crate) use late_outcomes::{close as close_words, keep as keep_word, open as open_words};

use crate::backend::{Row, Sql, WriteKey, all, first};
use crate::fault::Fault;
use crate::ledger::GENESIS;
use domain::clock::Timestamp;
use domain::{Month, PurchaseId};
use std::collections::BTreeMap;

/// What happens to months.
#[derive(Clone, Debug)]
pub enum ArchiveChange {
    /// A month is closed.
    Close(Closing),
    /// A file has a closed month: whole, flushed and audited. The live books begin after it.
    File {
        /// What is in it.
        filed: Box<Filed>,
        /// The file's name.
        name: String,
        /// When.
        at: Timestamp,
    },
    /// Rows of archived months go.
    Prune {
        /// About so many purchases, or journals, at a time.
        rows: u32,
    },
    /// An upstream said something about a purchase that is archived: kept for staff, once.
    Hear(LateWord),
    /// Staff have looked into what was said about it.
    CloseWords {
        /// About which purchase.
        purchase: PurchaseId,
        /// Who looked.
        by: String,
        /// What was found.
        evidence: String,
        /// When.
        at: Timestamp,
    },
}

/// A month that is to be closed, and where it lies in the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// Which.
    pub month: Month,
    /// Its first and last journal; a month without any has the one after the last as its first.
    pub journals: (i64, i64),
    /// The hash before its first journal, and that of its last.
    pub hashes: ([u8; 32], [u8; 32]),
    /// Its purchases' ids are from here on.
    pub ids_from: i64,
    /// When it was, or is, closed.
    pub at: Timestamp,
}

impl Closing {
    /// Its purchases' ids are below this.
    pub const fn ids_below(&self) -> i64 {
        self.month.next().first_id()
    }

    pub(crate) const fn as_closed(&self) -> Closed {
        Closed {
            month: self.month,
            ids_below: self.ids_below(),
            last_journal: self.journals.1,
            last_hash: self.hashes.1,
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchiveDone {
    /// It is done.
    Written,
    /// It cannot be done as things stand, and why; nothing was written.
    NotYet(String),
    /// Rows went, and there are more.
    More,
}

/// The last month that is closed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closed {
    pub(crate) month: Month,
    /// What is below was bought then or earlier: nothing of it changes.
    pub(crate) ids_below: i64,
    pub(crate) last_journal: i64,
    pub(crate) last_hash: [u8; 32],
}

pub(crate) const LAST_CLOSED: &str = "SELECT month, ids_below, last_journal, last_hash FROM archives WHERE month = (SELECT max(month) FROM archives WHERE month > $1)";

pub(crate) fn month(number: i64) -> Result<Month, Fault> {
    Month::from_number(number).ok_or_else(|| Fault::corrupt(format!("month {number}")))
}

pub(crate) fn hash(bytes: &[u8]) -> Result<[u8; 32], Fault> {
    bytes.try_into().map_err(|_| Fault::corrupt("a hash has 32 bytes"))
}

pub(crate) fn closed(row: &dyn Row) -> Result<Closed, Fault> {
    Ok(Closed {
        month: month(row.int(0)?)?,
        ids_below: row.int(1)?,
        last_journal: row.int(2)?,
        last_hash: hash(row.bytes(3)?)?,
    })
}

/// Where the books stand, as the writer knows it.
pub(crate) struct Standing {
    pub(crate) closed: Option<Closed>,
    /// The last journal that is not archived, and its month.
    pub(crate) end: Option<(i64, Month)>,
}

/// Closes a month, unless something of it is still open. Closing it again changes nothing.
pub(crate) fn close(
    sql: &mut dyn Sql,
    closing: &Closing,
    standing: &Standing,
) -> Result<ArchiveDone, Fault> {
    if let Some(closed) = standing.closed {
        match closed.month {
            last if last == closing.month => return Ok(ArchiveDone::Written),
            last if last > closing.month => {
                return Ok(ArchiveDone::NotYet(format!("{last} is closed already")));
            }
            _ => {}
        }
    }
    // The last journal is of this month: is it the one that was seen?
    let is_written =
        |(seq, month): (i64, Month)| month <= closing.month && seq != closing.journals.1;
    if standing.end.is_some_and(is_written) {
        return Ok(ArchiveDone::NotYet("journals are still written in it".to_owned()));
    }
    if let Some(why) = still_open(sql, closing.ids_below())? {
        return Ok(ArchiveDone::NotYet(why));
    }
    // After this point nothing may refuse.
    note_closing(sql, closing)?;
    Ok(ArchiveDone::Written)
}

pub(crate) fn note_closing(sql: &mut dyn Sql, closing: &Closing) -> Result<(), Fault> {
    sql.execute(
        "INSERT INTO archives (month, ids_below, first_journal, last_journal, hash_before, last_hash, closed_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            closing.month.number().into(),
            closing.ids_below().into(),
            closing.journals.0.into(),
            closing.journals.1.into(),
            (&closing.hashes.0).into(),
            (&closing.hashes.1).into(),
            closing.at.0.into(),
        ],
    )
    .map(|_| ())
}

/// Notes that a file has a month, and what the month carries forward.
pub(crate) fn file(
    sql: &mut dyn Sql,
    filed: &Filed,
    name: &str,
    at: Timestamp,
) -> Result<ArchiveDone, Fault> {
    let month = filed.closing.month;
    let noted = sql.execute(
        "UPDATE archives SET archived_at = $1, file = $2, digest = $3, journals = $4, entries = $5, purchases = $6
         WHERE month = $7 AND digest IS NULL",
        &[
            at.0.into(),
            name.into(),
            (&filed.digest).into(),
            filed.journals.into(),
            filed.entries.into(),
            filed.purchases.into(),
            month.number().into(),
        ],
    )?;
    if noted != 1 {
        return Ok(ArchiveDone::NotYet(format!("{month} is not closed, or archived already")));
    }
    carry(sql, month.number(), &filed.carried, &filed.payments)?;
    // Few, and in no partition.
    sql.execute("DELETE FROM cases WHERE purchase_id < $1", &[filed.closing.ids_below().into()])?;
    Ok(ArchiveDone::Written)
}

/// Writes what a month carries forward.
pub(crate) fn carry(
    sql: &mut dyn Sql,
    month: i64,
    carried: &BTreeMap<i64, i64>,
    payments: &BTreeMap<(i64, String), i64>,
) -> Result<(), Fault> {
    for (ledger_account, balance) in carried {
        sql.defer(
            "INSERT INTO carried (month, ledger_account_id, balance) VALUES ($1, $2, $3)",
            WriteKey::LedgerAccount(*ledger_account),
            &[month.into(), (*ledger_account).into(), (*balance).into()],
            Some(1),
        )?;
    }
    for ((account, environment), count) in payments {
        sql.defer(
            "INSERT INTO carried_payments (month, account_id, environment, payments) VALUES ($1, $2, $3, $4)",
            WriteKey::Last,
            &[month.into(), (*account).into(), environment.into(), (*count).into()],
            Some(1),
        )?;
    }
    Ok(())
}

/// Takes some rows of archived months away: purchases with what hangs on them, then journals.
pub(crate) fn prune(sql: &mut dyn Sql, rows: u32) -> Result<ArchiveDone, Fault> {
    const OF_PURCHASES: [&str; 5] = [
        "DELETE FROM attempts WHERE purchase_id <= $1",
        "DELETE FROM events WHERE purchase_id <= $1",
        "DELETE FROM evidence WHERE purchase_id <= $1",
        "DELETE FROM slips WHERE purchase_id <= $1",
        "DELETE FROM purchases WHERE id <= $1",
    ];
    const OF_JOURNALS: [&str; 2] =
        ["DELETE FROM entries WHERE journal_seq <= $1", "DELETE FROM journals WHERE seq <= $1"];
    let Some(archived) = archived(sql)? else { return Ok(ArchiveDone::Written) };
    let purchases = first(
        sql,
        "SELECT max(id) FROM (SELECT id FROM purchases WHERE id < $1 ORDER BY id LIMIT $2) AS next_ones",
        &[archived.ids_below.into(), rows.into()],
        |row| row.opt_int(0),
    )?;
    let journals = first(
        sql,
        "SELECT max(seq) FROM (SELECT seq FROM journals WHERE seq <= $1 ORDER BY seq LIMIT $2) AS next_ones",
        &[archived.last_journal.into(), rows.into()],
        |row| row.opt_int(0),
    )?;
    let (statements, up_to) = match (purchases.flatten(), journals.flatten()) {
        (Some(id), _) => (&OF_PURCHASES[..], id),
        (None, Some(seq)) => (&OF_JOURNALS[..], seq),
        (None, None) => return Ok(ArchiveDone::Written),
    };
    for delete in statements {
        sql.execute(delete, &[up_to.into()])?;
    }
    Ok(ArchiveDone::More)
}

/// The last month that a file has.
pub(crate) fn archived(sql: &mut dyn Sql) -> Result<Option<Closed>, Fault> {
    first(
        sql,
        "SELECT month, ids_below, last_journal, last_hash FROM archives WHERE digest IS NOT NULL ORDER BY month DESC LIMIT 1",
        &[],
        closed,
    )
}

/// A month that was archived: its file's name and SHA-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// The month, as it was closed.
    pub closing: Closing,
    /// The file's name.
    pub file: String,
    /// The file's SHA-256.
    pub digest: [u8; 32],
    /// Journals in it.
    pub journals: i64,
    /// Purchases in it.
    pub purchases: i64,
}

/// Every month that was archived, the first first.
pub(crate) fn every(sql: &mut dyn Sql) -> Result<Vec<Archive>, Fault> {
    let mut ids_from = 0;
    all(
        sql,
        "SELECT month, ids_below, last_journal, last_hash, first_journal, hash_before, closed_at, file, digest, journals, purchases
         FROM archives WHERE digest IS NOT NULL ORDER BY month",
        &[],
        |row| {
            let closing = Closing { ids_from, ..closing(row)? };
            ids_from = closing.ids_below();
            Ok(Archive {
                closing,
                file: row.text(7)?.to_owned(),
                digest: hash(row.bytes(8)?)?,
                journals: row.int(9)?,
                purchases: row.int(10)?,
            })
        },
    )
}

/// month, ids_below, last_journal, last_hash, first_journal, hash_before, closed_at
pub(crate) fn closing(row: &dyn Row) -> Result<Closing, Fault> {
    let closed = closed(row)?;
    Ok(Closing {
        month: closed.month,
        journals: (row.int(4)?, closed.last_journal),
        hashes: (hash(row.bytes(5)?)?, closed.last_hash),
        ids_from: 0,
        at: Timestamp(row.int(6)?),
    })
}

/// What of the purchases below an id is still open: jobs, cases, what must still be told. Each of
/// these tables is found by the id, and holds what is open only, or has an index of it.
fn still_open(sql: &mut dyn Sql, ids_below: i64) -> Result<Option<String>, Fault> {
    const LOOKS: [(&str, &str); 4] = [
        ("SELECT count(*) FROM jobs WHERE purchase_id < $1", "purchases are open"),
        (
            "SELECT count(*) FROM cases WHERE closed_at IS NULL AND purchase_id < $1",
            "cases wait for staff",
        ),
        ("SELECT count(*) FROM pushes WHERE purchase_id < $1", "pushes wait to be told"),
        (
            "SELECT count(*) FROM webhooks WHERE due_at IS NOT NULL AND purchase_id < $1",
            "webhooks wait to be told",
        ),
    ];
    for (count, what) in LOOKS {
        let found = first(sql, count, &[ids_below.into()], |row| row.int(0))?.unwrap_or(0);
        if found > 0 {
            return Ok(Some(format!("{found} {what}")));
        }
    }
    Ok(None)
}

/// The month that is next to be archived, if it is before `before`: one that is closed already, or
/// the first of which there is anything.
pub(crate) fn next(
    sql: &mut dyn Sql,
    before: Month,
    now: Timestamp,
) -> Result<Option<Closing>, Fault> {
    sql.begin_snapshot()?;
    let found = next_in_snapshot(sql, before, now);
    sql.end_snapshot()?;
    found
}

fn next_in_snapshot(
    sql: &mut dyn Sql,
    before: Month,
    now: Timestamp,
) -> Result<Option<Closing>, Fault> {
    let mut rows = all(
        sql,
        "SELECT month, ids_below, last_journal, last_hash, first_journal, hash_before, closed_at, digest FROM archives ORDER BY month DESC LIMIT 2",
        &[],
        |row| Ok((closed(row)?, closing(row)?, row.opt_bytes(7)?.is_some())),
    )?
    .into_iter();
    let last = rows.next();
    let ids_from = rows.next().map_or(0, |(closed, _, _)| closed.ids_below);
    let archived = match last {
        Some((_, closing, false)) => {
            return Ok((closing.month < before).then_some(Closing { ids_from, ..closing }));
        }
        Some((closed, _, true)) => Some(closed),
        None => None,
    };
    first_of_live(sql, archived, before, now)
}

fn first_of_live(
    sql: &mut dyn Sql,
    archived: Option<Closed>,
    before: Month,
    at: Timestamp,
) -> Result<Option<Closing>, Fault> {
    let (seq, hash_before) = archived.map_or((0, GENESIS), |c| (c.last_journal, c.last_hash));
    let ids_from = archived.map_or(0, |c| c.ids_below);
    let journal = month_at(sql, seq + 1)?;
    let purchase = first(
        sql,
        "SELECT id FROM purchases WHERE id >= $1 ORDER BY id LIMIT 1",
        &[ids_from.into()],
        |row| Ok(Month::of_id(PurchaseId(row.int(0)?))),
    )?;
    let Some(month) = [journal, purchase].into_iter().flatten().min().filter(|m| *m < before)
    else {
        return Ok(None);
    };
    let last = last_of(sql, month, seq)?;
    let last_hash = match last > seq {
        true => first(sql, "SELECT hash FROM journals WHERE seq = $1", &[last.into()], |row| {
            hash(row.bytes(0)?)
        })?
        .ok_or_else(|| Fault::corrupt(format!("journal {last} is not there")))?,
        false => hash_before,
    };
    Ok(Some(Closing {
        month,
        journals: (seq + 1, last),
        hashes: (hash_before, last_hash),
        ids_from,
        at,
    }))
}

fn month_at(sql: &mut dyn Sql, seq: i64) -> Result<Option<Month>, Fault> {
    let found =
        first(sql, "SELECT month FROM journals WHERE seq = $1", &[seq.into()], |row| row.int(0))?;
    found.map(month).transpose()
}

/// The last journal of the months up to `month`, after the journal `seq`. Months never step back
/// along the chain, so it is found by halving.
fn last_of(sql: &mut dyn Sql, up_to: Month, seq: i64) -> Result<i64, Fault> {
    let end = first(
        sql,
        "SELECT coalesce(max(seq), 0) FROM journals WHERE seq > $1",
        &[seq.into()],
        |row| row.int(0),
    )?;
    let (mut is_in, mut beyond) = (seq, end.unwrap_or(0).max(seq) + 1);
    while beyond - is_in > 1 {
        let middle = is_in + (beyond - is_in) / 2;
        match month_at(sql, middle)? {
            Some(month) if month <= up_to => is_in = middle,
            Some(_) => beyond = middle,
            None => return Err(Fault::corrupt(format!("journal {middle} is not there"))),
        }
    }
    Ok(is_in)
}
