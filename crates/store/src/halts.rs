//! Halts: from a restore until staff resume, nothing is sent upstream. Each has a row that stays.
//!
//! Not here: what a halted installation still does (the engine's).

use crate::backend::{Sql, first, values};
use crate::catalog::notify_nodes;
use crate::fault::Result;
use domain::Timestamp;

/// Begins or ends a halt.
#[derive(Clone, Debug)]
pub enum HaltChange {
    /// Nothing is sent upstream from now on.
    Begin {
        /// The reason, shown to staff.
        why: String,
        /// When it begins.
        at: Timestamp,
    },
    /// Every halt ends, and jobs that wait to be sent are due; nothing happens without a halt.
    End {
        /// Who decided it.
        by: String,
        /// Why it is safe to go on.
        evidence: String,
        /// When it ends.
        at: Timestamp,
    },
}

/// A halt in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halt {
    /// The reason, shown to staff.
    pub why: String,
    /// When it began.
    pub since: Timestamp,
}

/// The halt in force; `None` while purchases are sent upstream.
pub(crate) fn current(sql: &mut dyn Sql) -> Result<Option<Halt>> {
    first(
        sql,
        "SELECT why, begun_at FROM halts WHERE ended_at IS NULL ORDER BY seq DESC LIMIT 1",
        &[],
        |row| Ok(Halt { why: row.text(0)?.to_owned(), since: Timestamp(row.int(1)?) }),
    )
}

pub(crate) fn write(sql: &mut dyn Sql, change: &HaltChange) -> Result<()> {
    match change {
        HaltChange::Begin { why, at } => {
            sql.execute(
                "INSERT INTO halts (seq, begun_at, why)
                 SELECT coalesce(max(seq), 0) + 1, $1, $2 FROM halts",
                &values![*at, why],
            )?;
        }
        HaltChange::End { by, evidence, at } => {
            let ended = sql.execute(
                "UPDATE halts SET ended_at = $1, ended_by = $2, evidence = $3
                 WHERE ended_at IS NULL",
                &values![*at, by, evidence],
            )?;
            if ended > 0 {
                sql.execute(
                    "UPDATE jobs SET due_at = $1, tries = 0, epoch = epoch + 1
                     WHERE job = 'submit' AND due_at > $2",
                    &values![*at, *at],
                )?;
            }
        }
    }
    // A halt is for all nodes, whichever one it was asked of.
    notify_nodes(sql, "halt")
}
