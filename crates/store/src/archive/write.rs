//! Closing a month, recording its file, deleting its rows.

use super::{ArchiveFile, Closing, archived};
use crate::backend::{Sql, WriteKey, first, number, values};
use crate::commit::{Commit, CommitNeeds, Tx, unrefused};
use crate::fault::Result;
use domain::{Month, Timestamp};
use std::collections::BTreeMap;
use std::convert::Infallible;

/// Closes a month, unless something of it is still open. Closing it again changes nothing.
#[derive(Clone, Debug)]
pub struct CloseMonth(pub Closing);

/// Records the file of a closed month: complete, flushed and audited. The live ledger begins after
/// it.
#[derive(Clone, Debug)]
pub struct RecordFile {
    /// Its content.
    pub filed: Box<ArchiveFile>,
    /// The file's name.
    pub name: String,
    /// When it is recorded.
    pub at: Timestamp,
}

/// Deletes some rows of archived months: purchases with the rows that depend on them, then
/// journals. Answers whether there are more.
#[derive(Clone, Copy, Debug)]
pub struct PruneArchived {
    /// About so many purchases, or journals, at a time.
    pub rows: u32,
}

/// The result of closing a month, or of recording its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchiveDone {
    /// The change is written, or was before.
    Written,
    /// It cannot be done yet, and why; nothing was written.
    NotYet(String),
}

impl Commit for CloseMonth {
    type Done = ArchiveDone;
    type Denied = Infallible;

    fn needs(&self) -> CommitNeeds<'_> {
        CommitNeeds { reads_ledger_end: true, ..CommitNeeds::default() }
    }

    fn apply(&self, tx: &mut Tx<'_>) -> Result<ArchiveDone> {
        let closing = &self.0;
        if let Some(closed) = tx.ledger.closed() {
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
        if tx.ledger.end().is_some_and(has_grown) {
            return Ok(ArchiveDone::NotYet("journals are still written in it".to_owned()));
        }
        if let Some(why) = still_open(tx.sql, closing.ids_below)? {
            return Ok(ArchiveDone::NotYet(why));
        }
        // After this point the closing must succeed: nothing below may refuse.
        insert_closing(tx.sql, closing)?;
        // The rest of the batch must see it too.
        tx.ledger.set_closed(Some(closing.as_closed()));
        Ok(ArchiveDone::Written)
    }
}

pub(super) fn insert_closing(sql: &mut dyn Sql, closing: &Closing) -> Result<()> {
    sql.run(
        "INSERT INTO archives (month, ids_below, first_journal, last_journal, hash_before,
             last_hash, closed_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &values![
            closing.month.number(),
            closing.ids_below,
            closing.journals.0,
            closing.journals.1,
            &closing.hashes.0,
            &closing.hashes.1,
            closing.at
        ],
    )
}

unrefused!(RecordFile, ArchiveDone, |change, tx| {
    let filed = &change.filed;
    let month = filed.closing.month;
    let noted = tx.sql.execute(
        "UPDATE archives
             SET archived_at = $1, file = $2, digest = $3, journals = $4, entries = $5,
                 purchases = $6
             WHERE month = $7 AND digest IS NULL",
        &values![
            change.at,
            &change.name,
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
    carry(tx.sql, month.number(), &filed.carried, &filed.payments)?;
    // Cases are few, and in no partition.
    let below = filed.closing.ids_below;
    tx.sql.run("DELETE FROM cases WHERE purchase_id < $1", &values![below])?;
    Ok(ArchiveDone::Written)
});

/// Writes what a month carries forward.
pub(super) fn carry(
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

unrefused!(PruneArchived, bool, |change, tx| {
    const OF_PURCHASES: [&str; 7] = [
        "DELETE FROM listed_purchases
             WHERE (account_id, environment, operator, kind, purchase_id) IN
                 (SELECT account_id, environment, operator, kind, id FROM purchases
                  WHERE id <= $1)",
        "DELETE FROM listed_recipients WHERE (account_id, environment, recipient, purchase_id) IN
             (SELECT account_id, environment, recipient, id FROM purchases WHERE id <= $1)",
        "DELETE FROM attempts WHERE purchase_id <= $1",
        "DELETE FROM events WHERE purchase_id <= $1",
        "DELETE FROM evidence WHERE purchase_id <= $1",
        "DELETE FROM slips WHERE purchase_id <= $1",
        "DELETE FROM purchases WHERE id <= $1",
    ];
    const OF_JOURNALS: [&str; 3] = [
        "DELETE FROM listed_journals WHERE (account_id, environment, seq) IN
             (SELECT account_id, environment, seq FROM journals WHERE seq <= $1)",
        "DELETE FROM entries WHERE journal_seq <= $1",
        "DELETE FROM journals WHERE seq <= $1",
    ];
    let Some(archived) = archived(tx.sql)? else { return Ok(false) };
    let purchases = first(
        tx.sql,
        "SELECT max(id)
             FROM (SELECT id FROM purchases WHERE id < $1 ORDER BY id LIMIT $2) AS next_ones",
        &values![archived.ids_below, change.rows],
        |row| row.opt_int(0),
    )?;
    let journals = first(
        tx.sql,
        "SELECT max(seq)
             FROM (SELECT seq FROM journals WHERE seq <= $1 ORDER BY seq LIMIT $2) AS next_ones",
        &values![archived.last_journal, change.rows],
        |row| row.opt_int(0),
    )?;
    let (statements, up_to) = match (purchases.flatten(), journals.flatten()) {
        (Some(id), _) => (&OF_PURCHASES[..], id),
        (None, Some(seq)) => (&OF_JOURNALS[..], seq),
        (None, None) => return Ok(false),
    };
    for delete in statements {
        tx.sql.run(delete, &values![up_to])?;
    }
    Ok(true)
});

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
        let found = number(sql, count, &values![ids_below])?;
        if found > 0 {
            return Ok(Some(format!("{found} {what}")));
        }
    }
    Ok(None)
}
