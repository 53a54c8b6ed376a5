//! Halts: from a restore until staff resume, nothing is sent upstream. Each has a row that stays.
//!
//! Not here: what a halted installation still does (the engine's).

use crate::backend::{Sql, columns, first, from_row, values};
use crate::catalog::notify_nodes;
use crate::commit::unrefused;
use crate::fault::Result;
use domain::Timestamp;

/// More purchases than any installation opens between a backup and its restore.
const NUMBERS_SKIPPED: i64 = 1_000_000;

/// Begins a halt: nothing is sent upstream from now on.
#[derive(Clone, Debug)]
pub struct BeginHalt {
    /// The reason, shown to staff.
    pub why: String,
    /// When it begins.
    pub at: Timestamp,
}

/// Ends every halt, and makes jobs due that wait to be sent; nothing happens without a halt.
#[derive(Clone, Debug)]
pub struct EndHalts {
    /// Who decided it.
    pub by: String,
    /// Why it is safe to go on.
    pub evidence: String,
    /// When they end.
    pub at: Timestamp,
}

/// A halt in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halt {
    /// The reason, shown to staff.
    pub why: String,
    /// When it began.
    pub since: Timestamp,
}

columns!(Halt: why, since);

/// The halt in force; `None` while purchases are sent upstream.
pub(crate) fn current(sql: &mut dyn Sql) -> Result<Option<Halt>> {
    let current =
        "SELECT why, begun_at FROM halts WHERE ended_at IS NULL ORDER BY seq DESC LIMIT 1";
    first(sql, current, &[], from_row)
}

unrefused!(BeginHalt, (), |change, tx| {
    tx.sql.run(
        "INSERT INTO halts (seq, begun_at, why)
             SELECT coalesce(max(seq), 0) + 1, $1, $2 FROM halts",
        &values![change.at, &change.why],
    )?;
    // Numbers that were given after the backup was taken may be known outside: they are not given
    // again.
    tx.sql.run(
        "UPDATE sequences SET last = last + $1 WHERE name = 'purchase'",
        &values![NUMBERS_SKIPPED],
    )?;
    // A halt is for all nodes, whichever one it was asked of.
    notify_nodes(tx.sql, "halt")
});

unrefused!(EndHalts, (), |change, tx| {
    let ended = tx.sql.execute(
        "UPDATE halts SET ended_at = $1, ended_by = $2, evidence = $3
             WHERE ended_at IS NULL",
        &values![change.at, &change.by, &change.evidence],
    )?;
    if ended > 0 {
        tx.sql.run(
            "UPDATE jobs SET due_at = $1, tries = 0, epoch = epoch + 1
                 WHERE job = 'submit' AND due_at > $2",
            &values![change.at, change.at],
        )?;
    }
    notify_nodes(tx.sql, "halt")
});
