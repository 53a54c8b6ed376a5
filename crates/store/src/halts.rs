//! Halts: from a restore until somebody resumes, nothing is sent upstream. A line each, kept.
//!
//! Not here: what a halted installation still does (the engine's matter).

use crate::backend::{Sql, first};
use crate::catalog::spread;
use crate::fault::Fault;
use domain::clock::Timestamp;

/// What happens to halts.
#[derive(Clone, Debug)]
pub enum HaltChange {
    /// Nothing is sent from now on.
    Begin {
        /// Why, for people.
        why: String,
        /// When.
        at: Timestamp,
    },
    /// Every halt ends, and what waited to be sent is due; nothing happens if there is none.
    End {
        /// Who decides.
        by: String,
        /// What shows that it may go on.
        evidence: String,
        /// When.
        at: Timestamp,
    },
}

/// A halt that lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halt {
    /// Why, for people.
    pub why: String,
    /// Since when.
    pub since: Timestamp,
}

/// The halt that lasts; `None`: what is bought is sent.
pub(crate) fn current(sql: &mut dyn Sql) -> Result<Option<Halt>, Fault> {
    first(
        sql,
        "SELECT why, begun_at FROM halts WHERE ended_at IS NULL ORDER BY seq DESC LIMIT 1",
        &[],
        |row| Ok(Halt { why: row.text(0)?.to_owned(), since: Timestamp(row.int(1)?) }),
    )
}

pub(crate) fn write(sql: &mut dyn Sql, change: &HaltChange) -> Result<(), Fault> {
    match change {
        HaltChange::Begin { why, at } => {
            sql.execute(
                "INSERT INTO halts (seq, begun_at, why) SELECT coalesce(max(seq), 0) + 1, $1, $2 FROM halts",
                &[at.0.into(), why.into()],
            )?;
        }
        HaltChange::End { by, evidence, at } => {
            let ended = sql.execute(
                "UPDATE halts SET ended_at = $1, ended_by = $2, evidence = $3 WHERE ended_at IS NULL",
                &[at.0.into(), by.into(), evidence.into()],
            )?;
            if ended > 0 {
                sql.execute(
                    "UPDATE jobs SET due_at = $1, tries = 0, epoch = epoch + 1 WHERE job = 'submit' AND due_at > $2",
                    &[at.0.into(), at.0.into()],
                )?;
            }
        }
    }
    // Whichever node it was said on, all know soon.
    spread(sql, "halt")
}
