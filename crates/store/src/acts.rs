//! The record of acts: who did what to what, in the commit of the act itself.
//!
//! A purchase, a quote and a step of a worker have records of their own. Invariant: rows are only
//! added.

use crate::backend::{Sql, all, columns, from_row, values};
use crate::commit::{Commit, CommitNeeds, Tx};
use crate::fault::Result;
use domain::{Act, Timestamp};

/// One act of a person, or of somebody on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActRecord {
    /// When it was done.
    pub at: Timestamp,
    /// Who did it: `machine: rahim`, `session 17 of account 3`.
    pub done_by: String,
    /// What was done.
    pub act: Act,
    /// To what: `purchase 12`, `account 3`.
    pub object: String,
    /// What it was before, as JSON; none: it was not there.
    pub before: Option<String>,
    /// What it is after, as JSON; none: it is gone, or only an event.
    pub after: Option<String>,
}

columns!(ActRecord: at, done_by, act, object, before, after);

/// A change together with the record of the act that it is.
pub struct Recorded<C: Commit> {
    /// The change.
    pub commit: C,
    /// What is recorded; nothing if the change has a record of its own.
    pub records: Vec<ActRecord>,
    /// Whether the change happened, by its answer: else nothing is recorded.
    pub happened: fn(&C::Done) -> bool,
}

impl<C: Commit> Commit for Recorded<C> {
    type Done = C::Done;
    type Denied = C::Denied;

    fn needs(&self) -> CommitNeeds<'_> {
        let needs = self.commit.needs();
        // The next number of a record is read.
        let is_optimistic = needs.is_optimistic && self.records.is_empty();
        CommitNeeds { is_optimistic, ..needs }
    }

    fn apply(&self, tx: &mut Tx<'_>) -> Result<C::Done> {
        let done = self.commit.apply(tx)?;
        if (self.happened)(&done) {
            self.records.iter().try_for_each(|record| insert(tx.sql, record))?;
        }
        Ok(done)
    }
}

fn insert(sql: &mut dyn Sql, record: &ActRecord) -> Result<()> {
    sql.run(
        "INSERT INTO acts (seq, at, done_by, act, object, before, after)
         SELECT coalesce(max(seq), 0) + 1, $1, $2, $3, $4, $5, $6 FROM acts",
        &values![
            record.at,
            &record.done_by,
            record.act.code(),
            &record.object,
            &record.before,
            &record.after
        ],
    )
}

macro_rules! select_acts {
    ($rest:literal) => {
        concat!("SELECT at, done_by, act, object, before, after FROM acts ", $rest)
    };
}

const LATEST: &str = select_acts!("ORDER BY seq DESC LIMIT $1");
pub(crate) const OF_OBJECT: &str = select_acts!("WHERE object = $1 ORDER BY seq DESC LIMIT $2");

/// The latest acts, latest first, at most `limit`; of one object, or of all.
pub(crate) fn latest(
    sql: &mut dyn Sql,
    object: Option<&str>,
    limit: u32,
) -> Result<Vec<ActRecord>> {
    match object {
        Some(object) => all(sql, OF_OBJECT, &values![object, limit], from_row),
        None => all(sql, LATEST, &values![limit], from_row),
    }
}
