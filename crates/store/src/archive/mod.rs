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

use crate::backend::{Columns, FromRow, Row, Sql, all, columns, first, from_row};
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

columns!(ClosedMonth: month, ids_below, last_journal, last_hash);

/// The last closed month, read by [`closed`].
pub(crate) const LAST_CLOSED: &str =
    "SELECT month, ids_below, last_journal, last_hash FROM archives
    WHERE month = (SELECT max(month) FROM archives WHERE month > $1)";

pub(crate) fn hash(bytes: &[u8]) -> Result<[u8; 32]> {
    bytes.try_into().map_err(|_| Fault::corrupt("a hash has 32 bytes"))
}

/// month, ids_below, last_journal, last_hash
pub(crate) fn closed(row: &dyn Row) -> Result<ClosedMonth> {
    from_row(row)
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

columns!(Archive: closing, file, digest, journals, purchases);

/// Every month that was archived, the first first.
pub(crate) fn every(sql: &mut dyn Sql) -> Result<Vec<Archive>> {
    let mut archives: Vec<Archive> = all(
        sql,
        "SELECT month, ids_below, last_journal, last_hash, first_journal, hash_before, closed_at,
             file, digest, journals, purchases
         FROM archives WHERE digest IS NOT NULL ORDER BY month",
        &[],
        from_row,
    )?;
    let mut ids_from = 0;
    for Archive { closing, .. } in &mut archives {
        closing.ids_from = std::mem::replace(&mut ids_from, closing.ids_below);
    }
    Ok(archives)
}

/// month, ids_below, last_journal, last_hash, first_journal, hash_before, closed_at
impl FromRow for Closing {
    fn read(columns: &mut Columns<'_>) -> Result<Closing> {
        let ClosedMonth { month, ids_below, last_journal, last_hash } = FromRow::read(columns)?;
        let (first_journal, hash_before, at) = FromRow::read(columns)?;
        let (journals, hashes) = ((first_journal, last_journal), (hash_before, last_hash));
        Ok(Closing { month, journals, hashes, ids_from: 0, ids_below, at })
    }
}
