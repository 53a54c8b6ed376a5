//! What devices must still be told: a line of the outbox for each event and device.
//!
//! Written in the commit of the event, claimed under a lease, gone when it is told or hopeless.

use crate::backend::{Sql, Value, WriteKey, all, first};
use crate::fault::Fault;
use crate::read;
use domain::clock::Timestamp;
use domain::ids::DeviceId;
use domain::purchase::lifecycle::State;
use domain::purchase::{Purchase, PurchaseKey};
use domain::{AccountId, PurchaseId};
use std::time::Duration;

/// What happens to pushes.
#[derive(Clone, Debug)]
pub enum PushChange {
    /// Takes pushes that are due, under a lease.
    Lease {
        /// Now.
        now: Timestamp,
        /// How long the taker has.
        lease: Duration,
        /// At most this many.
        limit: u32,
    },
    /// One is told, or is not worth another try.
    End(DuePush),
    /// One is tried again later; nothing happens if somebody claimed it since.
    PutOff {
        /// Which.
        push: DuePush,
        /// Until when.
        until: Timestamp,
    },
    /// The last event of a purchase is told to every device once more.
    Again {
        /// Of which purchase.
        key: PurchaseKey,
        /// When.
        at: Timestamp,
    },
}

/// A push that was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DuePush {
    /// About which purchase.
    pub key: PurchaseKey,
    /// Its event's number within the purchase.
    pub sequence: u32,
    /// What the purchase became by it.
    pub state: State,
    /// When it did.
    pub at: Timestamp,
    /// To which device.
    pub device: DeviceId,
    /// How often it was put off.
    pub tries: u32,
    /// The claim's number: whoever holds an older one has lost it.
    pub epoch: i64,
}

fn named(key: &PurchaseKey) -> [Value<'static>; 3] {
    [key.id.0.into(), key.account.0.into(), key.environment.code().into()]
}

/// With a purchase's new event: its account's devices must be told. A purchase by key pair has none.
pub(crate) fn owe(sql: &mut dyn Sql, after: &Purchase) -> Result<(), Fault> {
    if after.api_key.is_some() {
        return Ok(());
    }
    let [id, account, environment] = named(&after.key);
    sql.defer(
        "INSERT INTO pushes (purchase_id, account_id, environment, sequence, device_id, due_at, tries, epoch)
         SELECT $1, $2, $3, $4, id, $5, 0, 0 FROM devices WHERE account_id = $6",
        WriteKey::Purchase(after.key.id.0),
        &[
            id,
            account,
            environment,
            after.version.into(),
            after.updated_at.0.into(),
            account,
        ],
        None,
    )
}

/// The last event once more, to every device that is not about to be told anyway.
pub(crate) fn again(sql: &mut dyn Sql, key: &PurchaseKey, at: Timestamp) -> Result<(), Fault> {
    let [id, account, environment] = named(key);
    sql.execute(
        "INSERT INTO pushes (purchase_id, account_id, environment, sequence, device_id, due_at, tries, epoch)
         SELECT e.purchase_id, e.account_id, e.environment, max(e.sequence), d.id, $1, 0, 0 FROM events e
         JOIN devices d ON d.account_id = e.account_id
         WHERE e.purchase_id = $2 AND e.account_id = $3 AND e.environment = $4
         GROUP BY e.purchase_id, e.account_id, e.environment, d.id
         ON CONFLICT DO NOTHING",
        &[at.0.into(), id, account, environment],
    )?;
    Ok(())
}

/// When the next push is due.
pub(crate) fn next_due(sql: &mut dyn Sql) -> Result<Option<Timestamp>, Fault> {
    Ok(first(sql, "SELECT min(due_at) FROM pushes", &[], |row| row.opt_int(0))?
        .flatten()
        .map(Timestamp))
}

/// Takes pushes that are due; each is the taker's until the lease ends.
pub(crate) fn claim(
    sql: &mut dyn Sql,
    now: Timestamp,
    lease: Duration,
    limit: u32,
) -> Result<Vec<DuePush>, Fault> {
    let due = all(
        sql,
        "SELECT p.purchase_id, p.account_id, p.environment, p.sequence, p.device_id, p.tries, p.epoch, e.state, e.at FROM pushes p
         JOIN events e ON e.purchase_id = p.purchase_id AND e.account_id = p.account_id AND e.environment = p.environment
             AND e.sequence = p.sequence
         WHERE p.due_at <= $1 ORDER BY p.due_at LIMIT $2",
        &[now.0.into(), limit.into()],
        |row| {
            Ok(DuePush {
                key: PurchaseKey {
                    id: PurchaseId(row.int(0)?),
                    account: AccountId(row.int(1)?),
                    environment: read::environment(row.text(2)?)?,
                },
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
        let [id, account, environment] = named(&push.key);
        sql.defer(
            "UPDATE pushes SET due_at = $1, epoch = $2
             WHERE purchase_id = $3 AND account_id = $4 AND environment = $5 AND sequence = $6 AND device_id = $7",
            WriteKey::Purchase(push.key.id.0),
            &[
                now.after(lease).0.into(),
                push.epoch.into(),
                id,
                account,
                environment,
                push.sequence.into(),
                push.device.0.into(),
            ],
            Some(1),
        )?;
    }
    Ok(due)
}

/// Forgets a push that its taker is done with.
pub(crate) fn end(sql: &mut dyn Sql, push: &DuePush) -> Result<(), Fault> {
    let [id, account, environment] = named(&push.key);
    sql.defer(
        "DELETE FROM pushes WHERE purchase_id = $1 AND account_id = $2 AND environment = $3 AND sequence = $4 AND device_id = $5 AND epoch = $6",
        WriteKey::Purchase(push.key.id.0),
        &[id, account, environment, push.sequence.into(), push.device.0.into(), push.epoch.into()],
        None,
    )
}

/// Puts a claimed push off, unless it was claimed again.
pub(crate) fn put_off(sql: &mut dyn Sql, push: &DuePush, until: Timestamp) -> Result<(), Fault> {
    let [id, account, environment] = named(&push.key);
    sql.defer(
        "UPDATE pushes SET due_at = $1, tries = tries + 1
         WHERE purchase_id = $2 AND account_id = $3 AND environment = $4 AND sequence = $5 AND device_id = $6 AND epoch = $7",
        WriteKey::Purchase(push.key.id.0),
        &[
            until.0.into(),
            id,
            account,
            environment,
            push.sequence.into(),
            push.device.0.into(),
            push.epoch.into(),
        ],
        None,
    )
}
