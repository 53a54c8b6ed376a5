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
mod search;
mod write;

pub(crate) use audit::audit_files;
pub use audit::{ArchivesAudit, MonthAudit, audit_month};
pub use file::ArchiveFile;
pub(crate) use file::{digest_of, month_in, write};
pub(crate) use late_outcomes::open as open_late_outcomes;
pub use late_outcomes::{CloseLateOutcomes, KeepLateOutcome, LateOutcome};
pub(crate) use next::next;
pub use search::{ArchivedPurchase, archived_purchase, find_archived};
pub use write::{ArchiveDone, CloseMonth, PruneArchived, RecordFile};

use crate::backend::{Row, Sql, all, first};
use crate::fault::{Fault, Result};
use domain::{Month, Timestamp};

/// A month that is to be closed or was, and its place in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// The month.
    pub month: Month,
    /// Its first and last journal. In a month without journals the first is the last one plus 1.
    pub journals: (i64, i64),
    /// The hash before its first journal, and the hash of its last.
    pub hashes: ([u8; 32], [u8; 32]),
    /// The ids of its purchases are at least this, and below the other one.
    pub ids_from: i64,
    /// The end of the ids of its purchases.
    pub ids_below: i64,
    /// When it was, or is, closed.
    pub at: Timestamp,
}

impl Closing {
    pub(crate) const fn as_closed(&self) -> ClosedMonth {
        ClosedMonth {
            month: self.month,
            ids_below: self.ids_below,
            last_journal: self.journals.1,
            last_hash: self.hashes.1,
        }
    }
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
            ids_from = closing.ids_below;
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
        ids_below: closed.ids_below,
        at: Timestamp(row.int(6)?),
    })
}
