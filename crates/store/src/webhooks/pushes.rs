//! Pushes: a row for each event of a purchase and each device that must still be notified of it.
//!
//! Inserted in the commit of the event, leased by a worker, deleted when the push is sent or not
//! worth another try.

use crate::backend::{Sql, Value, WriteKey, all, columns, from_row, values};
use crate::commit::{Commit, CommitNeeds, Tx, unrefused};
use crate::fault::Result;
use crate::purchases::key_values;
use crate::queue::{DueRow, Queue, Statements, statements};
use domain::ids::DeviceId;
use domain::{MonthClosed, Purchase, PurchaseId, PurchaseKey, State, Timestamp};

/// Ends a push that is sent, or not worth another try; nothing happens if it was leased again
/// since.
#[derive(Clone, Copy, Debug)]
pub struct EndPush(pub DuePush);

/// Sends the last event of a purchase once more to every device for which no push is pending.
#[derive(Clone, Copy, Debug)]
pub struct ResendPushes {
    /// The purchase.
    pub key: PurchaseKey,
    /// When the pushes are due.
    pub at: Timestamp,
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

columns!(DuePush: key, sequence, device, tries, epoch, state, at);

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

/// The queue of pushes.
#[derive(Clone, Copy, Debug)]
pub struct Pushes;

impl Queue for Pushes {
    type Due = DuePush;

    const STATEMENTS: Statements = statements!(
        "pushes",
        "purchase_id = $5 AND account_id = $6 AND environment = $7 AND sequence = $8
         AND device_id = $9",
        "purchase_id = $3 AND account_id = $4 AND environment = $5 AND sequence = $6
         AND device_id = $7",
        lease "",
        put_off ", run = NULL",
        take_over "run = NULL" where "run IS NOT NULL"
    );

    fn due(sql: &mut dyn Sql, now: Timestamp, _: Timestamp, limit: u32) -> Result<Vec<DuePush>> {
        all(
            sql,
            "SELECT p.purchase_id, p.account_id, p.environment, p.sequence, p.device_id, p.tries,
                 p.epoch + 1, e.state, e.at FROM pushes p
             JOIN events e ON e.purchase_id = p.purchase_id AND e.account_id = p.account_id
                 AND e.environment = p.environment AND e.sequence = p.sequence
             WHERE p.due_at <= $1 ORDER BY p.due_at LIMIT $2",
            &values![now, limit],
            from_row,
        )
    }
}

impl DueRow for DuePush {
    fn purchase(&self) -> PurchaseId {
        self.key.id
    }

    fn epoch(&self) -> i64 {
        self.epoch
    }

    fn key(&self) -> Vec<Value<'_>> {
        let [id, account, environment] = key_values(&self.key);
        values![id, account, environment, self.sequence, self.device].to_vec()
    }
}

unrefused!(EndPush, (), |change, tx| {
    let EndPush(push) = change;
    let [id, account, environment] = key_values(&push.key);
    tx.sql.defer(
        "DELETE FROM pushes
             WHERE purchase_id = $1 AND account_id = $2 AND environment = $3 AND sequence = $4
                 AND device_id = $5 AND epoch = $6",
        WriteKey::Purchase(push.key.id.0),
        &values![id, account, environment, push.sequence, push.device, push.epoch],
        None,
    )
});

impl Commit for ResendPushes {
    type Done = ();
    type Denied = MonthClosed;

    fn needs(&self) -> CommitNeeds<'_> {
        CommitNeeds::open_month(self.key.id)
    }

    fn apply(&self, tx: &mut Tx<'_>) -> Result<()> {
        let [id, account, environment] = key_values(&self.key);
        tx.sql.run(
            "INSERT INTO pushes (purchase_id, account_id, environment, sequence, device_id, due_at,
                 tries, epoch)
             SELECT e.purchase_id, e.account_id, e.environment, max(e.sequence), d.id, $1, 0, 0
             FROM events e JOIN devices d ON d.account_id = e.account_id
             WHERE e.purchase_id = $2 AND e.account_id = $3 AND e.environment = $4
             GROUP BY e.purchase_id, e.account_id, e.environment, d.id ON CONFLICT DO NOTHING",
            &values![self.at, id, account, environment],
        )
    }
}
