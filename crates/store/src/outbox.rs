//! Jobs that open purchases owe, events that accounts must be told, cases for staff.

use crate::backend::{Sql, Value, WriteKey, all, first};
use crate::change::{DeadRun, DueJob};
use crate::fault::Fault;
use crate::{pushes, read};
use domain::clock::Timestamp;
use domain::purchase::lifecycle::{Job, State};
use domain::purchase::settle::{Case, CaseKind};
use domain::purchase::{Purchase, PurchaseKey};
use domain::{AccountId, PurchaseId};
use std::time::Duration;

fn named(key: &PurchaseKey) -> [Value<'static>; 3] {
    [key.id.0.into(), key.account.0.into(), key.environment.code().into()]
}

/// Puts the job that a new purchase owes; `run` is the node's that has it in hand.
pub(crate) fn owe(
    sql: &mut dyn Sql,
    run: i64,
    key: &PurchaseKey,
    (job, due): (Job, Timestamp),
) -> Result<(), Fault> {
    let [id, account, environment] = named(key);
    sql.defer(
        "INSERT INTO jobs (purchase_id, account_id, environment, job, due_at, tries, epoch, run) VALUES ($1, $2, $3, $4, $5, 0, 0, $6)",
        WriteKey::Purchase(key.id.0),
        &[id, account, environment, job.code().into(), due.0.into(), run.into()],
        Some(1),
    )
}

/// After a step: the job that is owed now, or, once the purchase is final, the event to tell.
pub(crate) fn owe_next(
    sql: &mut dyn Sql,
    run: i64,
    after: &Purchase,
    (job, due): (Job, Timestamp),
) -> Result<(), Fault> {
    let [id, account, environment] = named(&after.key);
    if job == Job::Tell {
        sql.defer(
            "DELETE FROM jobs WHERE purchase_id = $1 AND account_id = $2 AND environment = $3",
            WriteKey::Purchase(after.key.id.0),
            &named(&after.key),
            None,
        )?;
        tell(sql, after)?;
        return pushes::owe(sql, after);
    }
    sql.defer(
        "UPDATE jobs SET job = $1, due_at = $2, run = $3, tries = 0, epoch = epoch + 1 WHERE purchase_id = $4 AND account_id = $5 AND environment = $6",
        WriteKey::Purchase(after.key.id.0),
        &[job.code().into(), due.0.into(), run.into(), id, account, environment],
        None,
    )
}

/// Puts an event into the outbox.
fn tell(sql: &mut dyn Sql, after: &Purchase) -> Result<(), Fault> {
    let [id, account, environment] = named(&after.key);
    sql.defer(
        "INSERT INTO events (purchase_id, account_id, environment, sequence, state, at) VALUES ($1, $2, $3, $4, $5, $6)",
        WriteKey::Purchase(after.key.id.0),
        &[id, account, environment, after.version.into(), after.state.code().into(), after.updated_at.0.into()],
        Some(1),
    )
}

/// An event in the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxEvent {
    /// Counts up within its purchase.
    pub sequence: u32,
    /// What the purchase became.
    pub state: State,
    /// When.
    pub at: Timestamp,
}

/// A purchase's events, first to last.
pub(crate) fn events(sql: &mut dyn Sql, key: &PurchaseKey) -> Result<Vec<OutboxEvent>, Fault> {
    all(
        sql,
        "SELECT sequence, state, at FROM events WHERE purchase_id = $1 AND account_id = $2 AND environment = $3 ORDER BY sequence",
        &named(key),
        |row| {
            Ok(OutboxEvent {
                sequence: row.u32(0)?,
                state: read::state(row.text(1)?)?,
                at: Timestamp(row.int(2)?),
            })
        },
    )
}

/// When the next job is due.
pub(crate) fn next_due(sql: &mut dyn Sql) -> Result<Option<Timestamp>, Fault> {
    Ok(first(sql, "SELECT min(due_at) FROM jobs", &[], |row| row.opt_int(0))?
        .flatten()
        .map(Timestamp))
}

/// Takes jobs that are due; each is the taker's until the lease ends.
pub(crate) fn claim(
    sql: &mut dyn Sql,
    run: i64,
    (now, lease): (Timestamp, Duration),
    limit: u32,
) -> Result<Vec<DueJob>, Fault> {
    let due = all(
        sql,
        "SELECT j.purchase_id, j.account_id, j.environment, j.job, j.tries, j.epoch, p.version FROM jobs j
         JOIN purchases p ON p.id = j.purchase_id AND p.account_id = j.account_id AND p.environment = j.environment
         WHERE j.due_at <= $1 ORDER BY j.due_at LIMIT $2",
        &[now.0.into(), limit.into()],
        |row| {
            let environment = read::environment(row.text(2)?)?;
            let job = Job::from_code(row.text(3)?).ok_or_else(|| Fault::corrupt("a job"))?;
            Ok(DueJob {
                key: PurchaseKey {
                    id: PurchaseId(row.int(0)?),
                    account: AccountId(row.int(1)?),
                    environment,
                },
                job,
                version: row.u32(6)?,
                tries: row.u32(4)?,
                epoch: row.int(5)? + 1,
            })
        },
    )?;
    for job in &due {
        let [id, account, environment] = named(&job.key);
        sql.defer(
            "UPDATE jobs SET due_at = $1, epoch = $2, run = $3 WHERE purchase_id = $4 AND account_id = $5 AND environment = $6",
            WriteKey::Purchase(job.key.id.0),
            &[now.after(lease).0.into(), job.epoch.into(), run.into(), id, account, environment],
            Some(1),
        )?;
    }
    Ok(due)
}

/// Puts a claimed job off, unless it was claimed again or is done.
pub(crate) fn put_off(sql: &mut dyn Sql, job: &DueJob, until: Timestamp) -> Result<(), Fault> {
    let [id, account, environment] = named(&job.key);
    sql.defer(
        "UPDATE jobs SET due_at = $1, tries = tries + 1 WHERE purchase_id = $2 AND account_id = $3 AND environment = $4 AND epoch = $5",
        WriteKey::Purchase(job.key.id.0),
        &[until.0.into(), id, account, environment, job.epoch.into()],
        None,
    )
}

/// Forgets runs whose lease has ended and makes due what is in no living run's hands, as if it were
/// owed for the first time; `idle` is a run that lives and has not begun to work, or 0. What expires does so
/// in its own time.
pub(crate) fn take_over(
    sql: &mut dyn Sql,
    dead: &[DeadRun],
    idle: i64,
    now: Timestamp,
) -> Result<(), Fault> {
    // Who left in an orderly way has said so.
    sql.execute("DELETE FROM nodes WHERE lease_until = 0", &[])?;
    for DeadRun { run, lease_until } in dead {
        sql.execute(
            "DELETE FROM nodes WHERE run = $1 AND lease_until = $2",
            &[(*run).into(), (*lease_until).into()],
        )?;
    }
    sql.execute(
        "UPDATE jobs SET due_at = $1, tries = 0, epoch = epoch + 1
         WHERE job <> 'expire' AND due_at > $2 AND NOT EXISTS (SELECT 1 FROM nodes n WHERE n.run = jobs.run AND n.run <> $3)",
        &[now.0.into(), now.0.into(), idle.into()],
    )?;
    Ok(())
}

/// Opens a case, or opens it again; a second one of the same kind adds nothing to an open one.
pub(crate) fn open_case(
    sql: &mut dyn Sql,
    key: &PurchaseKey,
    case: &Case,
    at: Timestamp,
) -> Result<(), Fault> {
    let [id, account, environment] = named(key);
    let text = format!(
        "{} said {}{}",
        case.proof.source.label(),
        case.proof.word,
        case.proof.text.as_ref().map_or(String::new(), |t| format!(": {t}"))
    );
    sql.defer(
        "INSERT INTO cases (purchase_id, account_id, environment, why, opened_at, text) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (purchase_id, account_id, environment, why) DO UPDATE
             SET opened_at = excluded.opened_at, text = excluded.text, closed_at = NULL WHERE cases.closed_at IS NOT NULL",
        WriteKey::Purchase(key.id.0),
        &[id, account, environment, case.why.code().into(), at.0.into(), text.as_str().into()],
        None,
    )
}

/// Closes a case, if it is open.
pub(crate) fn close_case(
    sql: &mut dyn Sql,
    key: &PurchaseKey,
    why: CaseKind,
    at: Timestamp,
) -> Result<(), Fault> {
    let [id, account, environment] = named(key);
    sql.defer(
        "UPDATE cases SET closed_at = $1 WHERE purchase_id = $2 AND account_id = $3 AND environment = $4 AND why = $5 AND closed_at IS NULL",
        WriteKey::Purchase(key.id.0),
        &[at.0.into(), id, account, environment, why.code().into()],
        None,
    )
}
