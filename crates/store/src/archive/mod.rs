//! Closed months, and the files that they are archived in.
//!
//! A month is first closed, in a commit that sees that nothing of it is open. It is then copied
//! into a file, and the file is audited, however long that takes. Then one commit records the file
//! and what the month carries forward: the live ledger begins after it from then on, whether its
//! rows are still there or not. Invariants: a row is deleted only once a recorded file contains it;
//! what is written after a closing belongs to a later month.

mod audit;
mod file;
mod late_outcomes;
mod next;

pub(crate) use audit::audit_files;
pub use audit::{ArchivesAudit, MonthAudit, audit_month};
pub use file::ArchiveFile;
pub(crate) use file::{digest_of, month_in, write};
pub use late_outcomes::LateOutcome;
pub(crate) use late_outcomes::open as open_late_outcomes;
pub(crate) use next::next;

use crate::backend::{Row, Sql, WriteKey, all, first, values};
use crate::change::Done;
use crate::fault::{Fault, Result};
use domain::{Month, PurchaseId, Timestamp};
use std::collections::BTreeMap;

/// A change of months that are over.
#[derive(Clone, Debug)]
pub enum ArchiveChange {
    /// Closes a month.
    Close(Closing),
    /// Records the file of a closed month: complete, flushed and audited. The live ledger begins
    /// after it.
    File {
        /// Its content.
        filed: Box<ArchiveFile>,
        /// The file's name.
        name: String,
        /// When it is recorded.
        at: Timestamp,
    },
    /// Deletes rows of archived months.
    Prune {
        /// About so many purchases, or journals, at a time.
        rows: u32,
    },
    /// Keeps what an upstream reported about an archived purchase, once, for staff.
    KeepLateOutcome(LateOutcome),
    /// Closes what upstreams reported about a purchase: staff have looked into it.
    CloseLateOutcomes {
        /// The purchase.
        purchase: PurchaseId,
        /// Who looked into it.
        by: String,
        /// What was found.
        evidence: String,
        /// When it is closed.
        at: Timestamp,
    },
}

/// A month that is to be closed or was, and its place in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// The month.
    pub month: Month,
    /// Its first and last journal. In a month without journals the first is the last one plus 1.
    pub journals: (i64, i64),
    /// The hash before its first journal, and the hash of its last.
    pub hashes: ([u8; 32], [u8; 32]),
    /// The ids of its purchases are at least this.
    pub ids_from: i64,
    /// When it was, or is, closed.
    pub at: Timestamp,
}

impl Closing {
    /// The ids of its purchases are below this.
    pub const fn ids_below(&self) -> i64 {
        self.month.next().first_id()
    }

    pub(crate) const fn as_closed(&self) -> ClosedMonth {
        ClosedMonth {
            month: self.month,
            ids_below: self.ids_below(),
            last_journal: self.journals.1,
            last_hash: self.hashes.1,
        }
    }
}

/// The result of a change of months.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchiveDone {
    /// The change is written, or was before.
    Written,
    /// It cannot be done yet, and why; nothing was written.
    NotYet(String),
    /// Rows were deleted, and there are more.
    More,
}

/// The end of a closed month.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClosedMonth {
    pub(crate) month: Month,
    /// Purchases with lower ids were made in this month or earlier: they do not change any more.
    pub(crate) ids_below: i64,
    pub(crate) last_journal: i64,
    pub(crate) last_hash: [u8; 32],
}

/// The last closed month, read by [`closed`].
pub(crate) const LAST_CLOSED: &str =
    "SELECT month, ids_below, last_journal, last_hash FROM archives
    WHERE month = (SELECT max(month) FROM archives WHERE month > $1)";

pub(crate) fn month(number: i64) -> Result<Month> {
    Month::from_number(number).ok_or_else(|| Fault::corrupt(format!("month {number}")))
}

pub(crate) fn hash(bytes: &[u8]) -> Result<[u8; 32]> {
    bytes.try_into().map_err(|_| Fault::corrupt("a hash has 32 bytes"))
}

/// month, ids_below, last_journal, last_hash
pub(crate) fn closed(row: &dyn Row) -> Result<ClosedMonth> {
    Ok(ClosedMonth {
        month: month(row.int(0)?)?,
        ids_below: row.int(1)?,
        last_journal: row.int(2)?,
        last_hash: hash(row.bytes(3)?)?,
    })
}

/// The end of the ledger, as the writer knows it.
pub(crate) struct LedgerPosition {
    pub(crate) closed: Option<ClosedMonth>,
    /// The last journal that is not archived, and its month.
    pub(crate) end: Option<(i64, Month)>,
}

/// Writes one change.
pub(crate) fn write_change(
    sql: &mut dyn Sql,
    change: &ArchiveChange,
    position: &LedgerPosition,
) -> Result<Done> {
    match change {
        ArchiveChange::Close(closing) => close(sql, closing, position).map(Done::Archive),
        ArchiveChange::File { filed, name, at } => {
            record_file(sql, filed, name, *at).map(Done::Archive)
        }
        ArchiveChange::Prune { rows } => prune(sql, *rows).map(Done::Archive),
        ArchiveChange::KeepLateOutcome(late) => {
            late_outcomes::keep(sql, late).map(|()| Done::Written)
        }
        ArchiveChange::CloseLateOutcomes { purchase, by, evidence, at } => {
            let was_open = late_outcomes::close(sql, *purchase, by, evidence, *at)?;
            Ok(Done::Archive(match was_open {
                true => ArchiveDone::Written,
                false => ArchiveDone::NotYet("nothing was said about it".to_owned()),
            }))
        }
    }
}

/// Closes a month, unless something of it is still open. Closing it again changes nothing.
fn close(sql: &mut dyn Sql, closing: &Closing, position: &LedgerPosition) -> Result<ArchiveDone> {
    if let Some(closed) = position.closed {
        match closed.month {
            last if last == closing.month => return Ok(ArchiveDone::Written),
            last if last > closing.month => {
                return Ok(ArchiveDone::NotYet(format!("{last} is closed already")));
            }
            _ => {}
        }
    }
    // A journal of this month has followed the one that was its last.
    let has_grown =
        |(seq, month): (i64, Month)| month <= closing.month && seq != closing.journals.1;
    if position.end.is_some_and(has_grown) {
        return Ok(ArchiveDone::NotYet("journals are still written in it".to_owned()));
    }
    if let Some(why) = still_open(sql, closing.ids_below())? {
        return Ok(ArchiveDone::NotYet(why));
    }
    // After this point the closing must succeed: nothing below may refuse.
    insert_closing(sql, closing)?;
    Ok(ArchiveDone::Written)
}

fn insert_closing(sql: &mut dyn Sql, closing: &Closing) -> Result<()> {
    sql.run(
        "INSERT INTO archives (month, ids_below, first_journal, last_journal, hash_before,
             last_hash, closed_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &values![
            closing.month.number(),
            closing.ids_below(),
            closing.journals.0,
            closing.journals.1,
            &closing.hashes.0,
            &closing.hashes.1,
            closing.at
        ],
    )
}

/// Records the file of a closed month, and what the month carries forward.
fn record_file(
    sql: &mut dyn Sql,
    filed: &ArchiveFile,
    name: &str,
    at: Timestamp,
) -> Result<ArchiveDone> {
    let month = filed.closing.month;
    let noted = sql.execute(
        "UPDATE archives
         SET archived_at = $1, file = $2, digest = $3, journals = $4, entries = $5, purchases = $6
         WHERE month = $7 AND digest IS NULL",
        &values![
            at,
            name,
            &filed.digest,
            filed.journals,
            filed.entries,
            filed.purchases,
            month.number()
        ],
    )?;
    if noted != 1 {
        return Ok(ArchiveDone::NotYet(format!("{month} is not closed, or archived already")));
    }
    carry(sql, month.number(), &filed.carried, &filed.payments)?;
    // Cases are few, and in no partition.
    sql.execute("DELETE FROM cases WHERE purchase_id < $1", &values![filed.closing.ids_below()])?;
    Ok(ArchiveDone::Written)
}

/// Writes what a month carries forward.
fn carry(
    sql: &mut dyn Sql,
    month: i64,
    carried: &BTreeMap<i64, i64>,
    payments: &BTreeMap<(i64, String), i64>,
) -> Result<()> {
    for (ledger_account, balance) in carried {
        sql.defer(
            "INSERT INTO carried (month, ledger_account_id, balance) VALUES ($1, $2, $3)",
            WriteKey::LedgerAccount(*ledger_account),
            &values![month, *ledger_account, *balance],
            Some(1),
        )?;
    }
    for ((account, environment), count) in payments {
        sql.defer(
            "INSERT INTO carried_payments (month, account_id, environment, payments)
             VALUES ($1, $2, $3, $4)",
            WriteKey::Last,
            &values![month, *account, environment, *count],
            Some(1),
        )?;
    }
    Ok(())
}

/// Deletes some rows of archived months: purchases with the rows that depend on them, then
/// journals.
fn prune(sql: &mut dyn Sql, rows: u32) -> Result<ArchiveDone> {
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
        "SELECT max(id)
         FROM (SELECT id FROM purchases WHERE id < $1 ORDER BY id LIMIT $2) AS next_ones",
        &values![archived.ids_below, rows],
        |row| row.opt_int(0),
    )?;
    let journals = first(
        sql,
        "SELECT max(seq)
         FROM (SELECT seq FROM journals WHERE seq <= $1 ORDER BY seq LIMIT $2) AS next_ones",
        &values![archived.last_journal, rows],
        |row| row.opt_int(0),
    )?;
    let (statements, up_to) = match (purchases.flatten(), journals.flatten()) {
        (Some(id), _) => (&OF_PURCHASES[..], id),
        (None, Some(seq)) => (&OF_JOURNALS[..], seq),
        (None, None) => return Ok(ArchiveDone::Written),
    };
    for delete in statements {
        sql.execute(delete, &values![up_to])?;
    }
    Ok(ArchiveDone::More)
}

/// The last archived month.
pub(crate) fn archived(sql: &mut dyn Sql) -> Result<Option<ClosedMonth>> {
    first(
        sql,
        "SELECT month, ids_below, last_journal, last_hash FROM archives
         WHERE digest IS NOT NULL ORDER BY month DESC LIMIT 1",
        &[],
        closed,
    )
}

/// An archived month, and its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// The month, as it was closed.
    pub closing: Closing,
    /// The file's name.
    pub file: String,
    /// The file's SHA-256.
    pub digest: [u8; 32],
    /// The number of journals in it.
    pub journals: i64,
    /// The number of purchases in it.
    pub purchases: i64,
}

/// Every month that was archived, the first first.
pub(crate) fn every(sql: &mut dyn Sql) -> Result<Vec<Archive>> {
    let mut ids_from = 0;
    all(
        sql,
        "SELECT month, ids_below, last_journal, last_hash, first_journal, hash_before, closed_at,
             file, digest, journals, purchases
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
pub(crate) fn closing(row: &dyn Row) -> Result<Closing> {
    let closed = closed(row)?;
    Ok(Closing {
        month: closed.month,
        journals: (row.int(4)?, closed.last_journal),
        hashes: (hash(row.bytes(5)?)?, closed.last_hash),
        ids_from: 0,
        at: Timestamp(row.int(6)?),
    })
}

/// What of the purchases below an id is still open: jobs, cases, pushes, webhooks. Each query finds
/// its rows by the id: the table has only what is open, or an index of it.
fn still_open(sql: &mut dyn Sql, ids_below: i64) -> Result<Option<String>> {
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
        let found = first(sql, count, &values![ids_below], |row| row.int(0))?.unwrap_or(0);
        if found > 0 {
            return Ok(Some(format!("{found} {what}")));
        }
    }
    Ok(None)
}
