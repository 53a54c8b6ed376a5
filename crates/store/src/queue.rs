//! Queues of work that is due: jobs, webhooks, pushes. One protocol for all of them.
//!
//! A row is due at a time. Who works on it leases it: the time moves to the lease's end, the epoch
//! grows, and the run is noted. The lease ends with the row's end, or puts it off; what a run left
//! that is not alive any more is taken over. Invariant: a result counts only with the epoch of its
//! lease. Not here: what each kind of work has besides (`purchases::jobs`, `webhooks`).

use crate::backend::{Sql, Value, WriteKey, first, values};
use crate::commit::{Commit, Tx, unrefused};
use crate::fault::Result;
use crate::purchases::jobs::Jobs;
use crate::webhooks::{Pushes, Webhooks};
use domain::{PurchaseId, Timestamp};
use std::convert::Infallible;
use std::marker::PhantomData;
use std::time::Duration;

/// The table of one kind of work, and how its rows are read.
pub trait Queue: Send + 'static {
    /// A row, as it was leased.
    type Due: DueRow + Send + 'static;

    /// Its statements.
    const STATEMENTS: Statements;

    /// The rows that are due, with the epoch that their lease gets, which ends at `until`. What
    /// must still wait is put off here.
    fn due(
        sql: &mut dyn Sql,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Self::Due>>;
}

/// A leased row.
pub trait DueRow {
    /// The purchase that it is about.
    fn purchase(&self) -> PurchaseId;

    /// The number of the lease.
    fn epoch(&self) -> i64;

    /// The values that name the row.
    fn key(&self) -> Vec<Value<'_>>;
}

/// A table's statements, made by [`statements`].
pub struct Statements {
    /// The time of the first row that is due.
    pub(crate) next_due: &'static str,
    /// Leases a row: the lease's end, the new epoch, the run, the epoch before, the row's key.
    pub(crate) lease: &'static str,
    /// Puts a row off: the time, the lease's epoch, the row's key.
    pub(crate) put_off: &'static str,
    /// Makes due what no live run works on: the time, the same, a live run that has not begun to
    /// work or 0.
    pub(crate) take_over: &'static str,
}

/// The statements of a table: `$lease`, `$put_off` and `$take_over` are what they set besides, and
/// `$where` which rows are taken over.
macro_rules! statements {
    ($table:literal, $key_of_lease:literal, $key_of_put_off:literal, lease $lease:literal,
     put_off $put_off:literal, take_over $take_over:literal where $where:literal) => {
        $crate::queue::Statements {
            next_due: concat!("SELECT min(due_at) FROM ", $table, " WHERE due_at IS NOT NULL"),
            lease: concat!(
                "UPDATE ",
                $table,
                " SET due_at = $1, epoch = $2, run = $3",
                $lease,
                " WHERE epoch = $4 AND ",
                $key_of_lease
            ),
            put_off: concat!(
                "UPDATE ",
                $table,
                " SET due_at = $1, tries = tries + 1",
                $put_off,
                " WHERE epoch = $2 AND ",
                $key_of_put_off
            ),
            take_over: concat!(
                "UPDATE ",
                $table,
                " SET due_at = $1, epoch = epoch + 1, ",
                $take_over,
                " WHERE due_at IS NOT NULL AND due_at > $2 AND ",
                $where,
                " AND NOT EXISTS (SELECT 1 FROM nodes n WHERE n.run = ",
                $table,
                ".run AND n.run <> $3)"
            ),
        }
    };
}
pub(crate) use statements;

/// Leases what is due: nobody else gets it before the lease ends.
#[derive(Clone, Copy, Debug)]
pub struct Lease<Q> {
    now: Timestamp,
    lease: Duration,
    limit: u32,
    queue: PhantomData<Q>,
}

impl<Q> Lease<Q> {
    /// At most `limit` rows that are due `now`, for the time of `lease`.
    pub const fn new(now: Timestamp, lease: Duration, limit: u32) -> Lease<Q> {
        Lease { now, lease, limit, queue: PhantomData }
    }
}

impl<Q: Queue> Commit for Lease<Q> {
    type Done = Vec<Q::Due>;
    type Denied = Infallible;

    fn apply(&self, tx: &mut Tx<'_>) -> Result<Vec<Q::Due>> {
        lease::<Q>(tx.sql, tx.run, self.now, self.now.after(self.lease), self.limit)
    }
}

pub(crate) fn lease<Q: Queue>(
    sql: &mut dyn Sql,
    run: i64,
    now: Timestamp,
    until: Timestamp,
    limit: u32,
) -> Result<Vec<Q::Due>> {
    let due = Q::due(sql, now, until, limit)?;
    for row in &due {
        let mut values = values![until, row.epoch(), run, row.epoch() - 1].to_vec();
        values.extend(row.key());
        sql.defer(Q::STATEMENTS.lease, WriteKey::Purchase(row.purchase().0), &values, Some(1))?;
    }
    Ok(due)
}

/// Puts off what was leased; nothing happens if it was leased again since, or is done.
#[derive(Clone, Copy, Debug)]
pub struct PutOff<Q: Queue> {
    /// What was leased.
    pub due: Q::Due,
    /// When it is due again.
    pub until: Timestamp,
}

impl<Q: Queue> Commit for PutOff<Q> {
    type Done = ();
    type Denied = Infallible;

    fn apply(&self, tx: &mut Tx<'_>) -> Result<()> {
        let mut values = values![self.until, self.due.epoch()].to_vec();
        values.extend(self.due.key());
        let key = WriteKey::Purchase(self.due.purchase().0);
        tx.sql.defer(Q::STATEMENTS.put_off, key, &values, None)
    }
}

/// When the next row is due; `None` without any.
pub(crate) fn next_due<Q: Queue>(sql: &mut dyn Sql) -> Result<Option<Timestamp>> {
    let next = first(sql, Q::STATEMENTS.next_due, &[], |row| row.opt_int(0))?;
    Ok(next.flatten().map(Timestamp))
}

/// Removes runs whose lease has ended, if it still has, and makes everything due that no live run
/// works on: after a start, what the process before it left.
#[derive(Clone, Debug)]
pub struct TakeOver {
    /// Runs whose lease was seen to have ended.
    pub dead: Vec<DeadRun>,
    /// Whether this run's own workers start only now: they do not work on its rows yet.
    pub is_start: bool,
    /// The present time.
    pub now: Timestamp,
}

/// A node's run whose lease has ended, as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadRun {
    /// The run's number.
    pub run: i64,
    /// When its lease ended, by the database's clock. A run that has renewed it since is alive.
    pub lease_until: i64,
}

unrefused!(TakeOver, (), |change, tx| {
    // A run that left in an orderly way has set this itself.
    tx.sql.run("DELETE FROM nodes WHERE lease_until = 0", &[])?;
    for DeadRun { run, lease_until } in &change.dead {
        tx.sql.run(
            "DELETE FROM nodes WHERE run = $1 AND lease_until = $2",
            &values![*run, *lease_until],
        )?;
    }
    take_over(tx.sql, if change.is_start { tx.run } else { 0 }, change.now)
});

/// Makes everything due that no live run works on. `idle` is a live run that has not begun to work,
/// or 0.
pub(crate) fn take_over(sql: &mut dyn Sql, idle: i64, now: Timestamp) -> Result<()> {
    for table in [Jobs::STATEMENTS, Webhooks::STATEMENTS, Pushes::STATEMENTS] {
        sql.run(table.take_over, &values![now, now, idle])?;
    }
    Ok(())
}
