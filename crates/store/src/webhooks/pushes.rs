//! Pushes: a row for each event of a purchase and each device that must still be notified of it.
//!
//! Inserted in the commit of the event, leased by a worker, deleted when the push is sent or not
//! worth another try.

use crate::backend::{Sql, WriteKey, all, first, values};
use crate::change::Done;
use crate::fault::Result;
use crate::purchases::key_values;
use crate::read;
use domain::ids::DeviceId;
use domain::{Purchase, PurchaseKey, State, Timestamp};
use std::time::Duration;

/// A change of pushes.
#[derive(Clone, Debug)]
pub enum PushChange {
    /// Leases pushes that are due.
    Lease {
        /// The present time.
        now: Timestamp,
        /// The duration of the lease.
        lease: Duration,
        /// At most this many.
        limit: u32,
    },
    /// Deletes a push that is sent, or not worth another try.
    End(DuePush),
    /// Puts a push off; nothing happens if it was leased again since.
    PutOff {
        /// The push, as it was leased.
        push: DuePush,
        /// When it is due again.
        until: Timestamp,
    },
    /// Sends the last event of a purchase to every device once more.
    Resend {
        /// The purchase.
        key: PurchaseKey,
        /// When the pushes are due.
        at: Timestamp,
    },
}

/// A push that was leased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DuePush {
    /// The purchase that it is about.
    pub key: PurchaseKey,
    /// Its event's number within the purchase.
    pub sequence: u32,
    /// What the purchase became.
    pub state: State,
    /// When the event happened.
    pub at: Timestamp,
    /// The device that it is for.
    pub device: DeviceId,
    /// How often it was put off.
    pub tries: u32,
    /// The number of the lease: a result with an older one is ignored.
    pub epoch: i64,
}

/// Writes one change.
pub(crate) fn write(sql: &mut dyn Sql, change: &PushChange) -> Result<Done> {
    match change {
        PushChange::Lease { now, lease, limit } => {
            self::lease(sql, *now, *lease, *limit).map(Done::Pushes)
        }
        PushChange::End(due) => end(sql, due).map(|()| Done::Written),
        PushChange::PutOff { push, until } => put_off(sql, push, *until).map(|()| Done::Written),
        PushChange::Resend { key, at } => resend(sql, key, *at).map(|()| Done::Written),
    }
}

/// Inserts a push of a purchase's new event for each device of its account. A purchase by key pair
/// has no pushes.
pub(crate) fn enqueue(sql: &mut dyn Sql, after: &Purchase) -> Result<()> {
    if after.api_key.is_some() {
        return Ok(());
    }
    let [id, account, environment] = key_values(&after.key);
    sql.defer(
        "INSERT INTO pushes (purchase_id, account_id, environment, sequence, device_id, due_at,
             tries, epoch) SELECT $1, $2, $3, $4, id, $5, 0, 0 FROM devices WHERE account_id = $6",
        WriteKey::Purchase(after.key.id.0),
        &values![id, account, environment, after.version, after.updated_at, account],
        None,
    )
}

/// Sends the last event once more to every device for which no push is pending.
fn resend(sql: &mut dyn Sql, key: &PurchaseKey, at: Timestamp) -> Result<()> {
    let [id, account, environment] = key_values(key);
    sql.run(
        "INSERT INTO pushes (purchase_id, account_id, environment, sequence, device_id, due_at,
             tries, epoch)
         SELECT e.purchase_id, e.account_id, e.environment, max(e.sequence), d.id, $1, 0, 0
         FROM events e JOIN devices d ON d.account_id = e.account_id
         WHERE e.purchase_id = $2 AND e.account_id = $3 AND e.environment = $4
         GROUP BY e.purchase_id, e.account_id, e.environment, d.id ON CONFLICT DO NOTHING",
        &values![at, id, account, environment],
    )
}

/// When the next push is due.
pub(crate) fn next_due(sql: &mut dyn Sql) -> Result<Option<Timestamp>> {
    Ok(first(sql, "SELECT min(due_at) FROM pushes", &[], |row| row.opt_int(0))?
        .flatten()
        .map(Timestamp))
}

/// Leases pushes that are due.
pub(crate) fn lease(
    sql: &mut dyn Sql,
    now: Timestamp,
    lease: Duration,
    limit: u32,
) -> Result<Vec<DuePush>> {
    let due = all(
        sql,
        "SELECT p.purchase_id, p.account_id, p.environment, p.sequence, p.device_id, p.tries,
             p.epoch, e.state, e.at FROM pushes p
         JOIN events e ON e.purchase_id = p.purchase_id AND e.account_id = p.account_id
             AND e.environment = p.environment AND e.sequence = p.sequence
         WHERE p.due_at <= $1 ORDER BY p.due_at LIMIT $2",
        &values![now, limit],
        |row| {
            Ok(DuePush {
                key: read::purchase_key(row)?,
                sequence: row.u32(3)?,
                device: DeviceId(row.int(4)?),
                tries: row.u32(5)?,
                epoch: row.int(6)? + 1,
                state: read::state(row.text(7)?)?,
                at: Timestamp(row.int(8)?),
            })
        },
    )?;
    for push in &due {
        let [id, account, environment] = key_values(&push.key);
        sql.defer(
            "UPDATE pushes SET due_at = $1, epoch = $2
             WHERE purchase_id = $3 AND account_id = $4 AND environment = $5 AND sequence = $6
                 AND device_id = $7",
            WriteKey::Purchase(push.key.id.0),
            &values![
                now.after(lease),
                push.epoch,
                id,
                account,
                environment,
                push.sequence,
                push.device
            ],
            Some(1),
        )?;
    }
    Ok(due)
}

/// Deletes a push, unless it was leased again.
fn end(sql: &mut dyn Sql, push: &DuePush) -> Result<()> {
    let [id, account, environment] = key_values(&push.key);
    sql.defer(
        "DELETE FROM pushes
         WHERE purchase_id = $1 AND account_id = $2 AND environment = $3 AND sequence = $4
             AND device_id = $5 AND epoch = $6",
        WriteKey::Purchase(push.key.id.0),
        &values![id, account, environment, push.sequence, push.device, push.epoch],
        None,
    )
}

/// Puts a push off, unless it was leased again.
fn put_off(sql: &mut dyn Sql, push: &DuePush, until: Timestamp) -> Result<()> {
    let [id, account, environment] = key_values(&push.key);
    sql.defer(
        "UPDATE pushes SET due_at = $1, tries = tries + 1
         WHERE purchase_id = $2 AND account_id = $3 AND environment = $4 AND sequence = $5
             AND device_id = $6 AND epoch = $7",
        WriteKey::Purchase(push.key.id.0),
        &values![until, id, account, environment, push.sequence, push.device, push.epoch],
        None,
    )
}
