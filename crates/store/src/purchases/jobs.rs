//! Jobs that open purchases require, and the events that are put into the outbox.
//!
//! Invariant: an open purchase has exactly one job, a final one has none; the job is replaced in
//! the commit of each step.

use super::key_values;
use crate::backend::{Sql, Value, WriteKey, all, values};
use crate::commit::{Commit, Tx};
use crate::fault::{Fault, Result};
use crate::queue::{DueRow, Queue, Statements, statements};
use crate::read;
use crate::webhooks::pushes;
use domain::{Job, Purchase, PurchaseId, PurchaseKey, State, Timestamp};
use std::convert::Infallible;

/// A job that was leased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueJob {
    /// The purchase that requires it.
    pub key: PurchaseKey,
    /// What is to be done.
    pub job: Job,
    /// The purchase's version when it was leased; a later version requires another job.
    pub version: u32,
    /// How often it was put off.
    pub tries: u32,
    /// The number of the lease: a worker with an older one has lost the job.
    pub epoch: i64,
}

/// Puts off a job that could not begin, which is no try; nothing happens if it was leased again
/// since, or is done.
#[derive(Clone, Copy, Debug)]
pub struct WaitForTurn {
    /// What was leased.
    pub due: DueJob,
    /// When it is due again.
    pub until: Timestamp,
}

impl Commit for WaitForTurn {
    type Done = ();
    type Denied = Infallible;

    fn apply(&self, tx: &mut Tx<'_>) -> Result<()> {
        let [id, account, environment] = key_values(&self.due.key);
        tx.sql.defer(
            "UPDATE jobs SET due_at = $1
             WHERE epoch = $2 AND purchase_id = $3 AND account_id = $4 AND environment = $5",
            WriteKey::Purchase(self.due.key.id.0),
            &values![self.until, self.due.epoch, id, account, environment],
            None,
        )
    }
}

/// An event in the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxEvent {
    /// Its number within the purchase: the version that it reports.
    pub sequence: u32,
    /// What the purchase became.
    pub state: State,
    /// When it became that.
    pub at: Timestamp,
}

/// Inserts the job of a new purchase; `run` is the run that works on it.
pub(crate) fn enqueue(
    sql: &mut dyn Sql,
    run: i64,
    key: &PurchaseKey,
    job: Job,
    due: Timestamp,
) -> Result<()> {
    let [id, account, environment] = key_values(key);
    sql.defer(
        "INSERT INTO jobs (purchase_id, account_id, environment, job, due_at, tries, epoch, run)
         VALUES ($1, $2, $3, $4, $5, 0, 0, $6)",
        WriteKey::Purchase(key.id.0),
        &values![id, account, environment, job, due, run],
        Some(1),
    )
}

/// After a step: replaces the job, or, once the purchase is final, replaces it by an event.
pub(crate) fn replace(
    sql: &mut dyn Sql,
    run: i64,
    after: &Purchase,
    job: Job,
    due: Timestamp,
) -> Result<()> {
    let [id, account, environment] = key_values(&after.key);
    if job == Job::Notify {
        sql.defer(
            "DELETE FROM jobs WHERE purchase_id = $1 AND account_id = $2 AND environment = $3",
            WriteKey::Purchase(after.key.id.0),
            &key_values(&after.key),
            None,
        )?;
        put_event(sql, after)?;
        return pushes::enqueue(sql, after);
    }
    sql.defer(
        "UPDATE jobs SET job = $1, due_at = $2, run = $3, tries = 0, epoch = epoch + 1
         WHERE purchase_id = $4 AND account_id = $5 AND environment = $6",
        WriteKey::Purchase(after.key.id.0),
        &values![job, due, run, id, account, environment],
        None,
    )
}

/// Puts an event into the outbox.
fn put_event(sql: &mut dyn Sql, after: &Purchase) -> Result<()> {
    let [id, account, environment] = key_values(&after.key);
    sql.defer(
        "INSERT INTO events (purchase_id, account_id, environment, sequence, state, at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        WriteKey::Purchase(after.key.id.0),
        &values![id, account, environment, after.version, after.state, after.updated_at],
        Some(1),
    )
}

/// A purchase's events, first to last.
pub(crate) fn events(sql: &mut dyn Sql, key: &PurchaseKey) -> Result<Vec<OutboxEvent>> {
    all(
        sql,
        "SELECT sequence, state, at FROM events
         WHERE purchase_id = $1 AND account_id = $2 AND environment = $3 ORDER BY sequence",
        &key_values(key),
        |row| {
            Ok(OutboxEvent {
                sequence: row.u32(0)?,
                state: read::state(row.text(1)?)?,
                at: Timestamp(row.int(2)?),
            })
        },
    )
}

/// The queue of jobs. The job *expire* keeps its time when its run ends; all others are taken over
/// with their tries counted from 0.
#[derive(Clone, Copy, Debug)]
pub struct Jobs;

impl Queue for Jobs {
    type Due = DueJob;

    const STATEMENTS: Statements = statements!(
        "jobs",
        "purchase_id = $5 AND account_id = $6 AND environment = $7",
        "purchase_id = $3 AND account_id = $4 AND environment = $5",
        lease "",
        put_off "",
        take_over "tries = 0" where "job <> 'expire'"
    );

    fn due(sql: &mut dyn Sql, now: Timestamp, _: Timestamp, limit: u32) -> Result<Vec<DueJob>> {
        all(
            sql,
            "SELECT j.purchase_id, j.account_id, j.environment, j.job, j.tries, j.epoch, p.version
             FROM jobs j JOIN purchases p ON p.id = j.purchase_id AND p.account_id = j.account_id
                 AND p.environment = j.environment
             WHERE j.due_at <= $1 ORDER BY j.due_at LIMIT $2",
            &values![now, limit],
            |row| {
                Ok(DueJob {
                    key: read::purchase_key(row)?,
                    job: Job::from_code(row.text(3)?).ok_or_else(|| Fault::corrupt("a job"))?,
                    version: row.u32(6)?,
                    tries: row.u32(4)?,
                    epoch: row.int(5)? + 1,
                })
            },
        )
    }
}

impl DueRow for DueJob {
    fn purchase(&self) -> PurchaseId {
        self.key.id
    }

    fn epoch(&self) -> i64 {
        self.epoch
    }

    fn key(&self) -> Vec<Value<'_>> {
        key_values(&self.key).to_vec()
    }
}
