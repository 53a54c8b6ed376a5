//! Leases on webhooks: who may send which, and how a lease ends.
//!
//! A webhook that must wait for an earlier one has the state `waits` and no lease. It becomes due
//! when the earlier one ends, in the same commit, or by its own time at the latest. Invariant: a
//! result counts only with the epoch of the lease.

use super::{DeliveryAttempt, DueWebhook, EndedLease, LeaseEnd, webhook_values};
use crate::backend::{Row, SetIndex, SetQuery, Sql, Value, WriteKey, all, values};
use crate::commit::unrefused;
use crate::fault::{Fault, Result};
use crate::purchases::key_values;
use crate::queue::{DueRow, Queue, Statements, statements};
use crate::read;
use domain::ids::EndpointId;
use domain::webhook::schedule::BLOCKING_REFUSALS_MAX;
use domain::{PendingWebhook, PurchaseId, PurchaseKey, Timestamp};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// A webhook that waits is looked at again after this at the earliest, unless it is released.
const WAITS_MIN: Duration = Duration::from_millis(200);

/// The webhooks of one purchase for one endpoint, which are sent in order.
type Thread = (PurchaseKey, EndpointId);

/// The queue of webhooks. One that must wait for an earlier one is put off until that is due.
#[derive(Clone, Copy, Debug)]
pub struct Webhooks;

impl Queue for Webhooks {
    type Due = DueWebhook;

    const STATEMENTS: Statements = statements!(
        "webhooks",
        // As in `versions_query`: no index of lists may be taken.
        "purchase_id = $5 AND account_id IS NOT DISTINCT FROM $6
         AND environment IS NOT DISTINCT FROM $7 AND endpoint_id = $8 AND event = $9",
        "purchase_id = $3 AND account_id IS NOT DISTINCT FROM $4
         AND environment IS NOT DISTINCT FROM $5 AND endpoint_id = $6 AND event = $7",
        lease ", state = 'owed'",
        put_off ", run = NULL",
        take_over "run = NULL" where "run IS NOT NULL"
    );

    fn due(
        sql: &mut dyn Sql,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueWebhook>> {
        let mut due = all(
            sql,
            "SELECT purchase_id, account_id, environment, endpoint_id, event, sequence, url, body,
                 at, owed_since, tries, refusals, epoch
             FROM webhooks WHERE due_at IS NOT NULL AND due_at <= $1
             ORDER BY due_at, purchase_id, sequence LIMIT $2",
            &values![now, limit],
            |row| due_webhook(row, until),
        )?;
        due.sort_by_key(|due| (due.key, due.pending.endpoint, due.pending.sequence));
        let blocked = blocked(sql, &due)?;
        let mut free = Vec::with_capacity(due.len());
        for webhook in due {
            match blocked.get(&(webhook.key, webhook.pending.endpoint)) {
                Some(blocker) => wait(sql, &webhook, *blocker.max(&now.after(WAITS_MIN)))?,
                None => free.push(webhook),
            }
        }
        Ok(free)
    }
}

impl DueRow for DueWebhook {
    fn purchase(&self) -> PurchaseId {
        self.key.id
    }

    fn epoch(&self) -> i64 {
        self.epoch
    }

    fn key(&self) -> Vec<Value<'_>> {
        webhook_values(self).to_vec()
    }
}

/// The threads that must wait, and when what they wait for is due.
fn blocked(sql: &mut dyn Sql, due: &[DueWebhook]) -> Result<HashMap<Thread, Timestamp>> {
    let mut query = SetQuery::new(
        "SELECT due_at, refusals FROM webhooks
         WHERE purchase_id = $1 AND account_id IS NOT DISTINCT FROM $2
             AND environment IS NOT DISTINCT FROM $3 AND endpoint_id = $4 AND sequence < $5
             AND due_at IS NOT NULL",
        5,
    );
    let mut asked = Vec::new();
    let mut last = None;
    for webhook in due {
        let thread = (webhook.key, webhook.pending.endpoint);
        if last.replace(thread) != Some(thread) && webhook.pending.sequence > 1 {
            let [id, account, environment] = key_values(&webhook.key);
            let endpoint = webhook.pending.endpoint;
            query.add(&values![id, account, environment, endpoint, webhook.pending.sequence]);
            asked.push(thread);
        }
    }
    let mut blocked: HashMap<Thread, Timestamp> = HashMap::new();
    sql.query_sets(&[query], &mut |SetIndex { set, .. }, row| {
        if row.u32(1)? < BLOCKING_REFUSALS_MAX {
            let due_at = Timestamp(row.int(0)?);
            let latest = blocked.entry(asked[set]).or_insert(due_at);
            *latest = (*latest).max(due_at);
        }
        Ok(())
    })?;
    Ok(blocked)
}

fn wait(sql: &mut dyn Sql, webhook: &DueWebhook, until: Timestamp) -> Result<()> {
    let [id, account, environment, endpoint, event] = webhook_values(webhook);
    sql.defer(
        "UPDATE webhooks SET state = 'waits', due_at = $1, run = NULL
         WHERE purchase_id = $2 AND account_id IS NOT DISTINCT FROM $3
             AND environment IS NOT DISTINCT FROM $4 AND endpoint_id = $5 AND event = $6",
        WriteKey::Purchase(webhook.key.id.0),
        &values![until, id, account, environment, endpoint, event],
        Some(1),
    )
}

fn due_webhook(row: &dyn Row, until: Timestamp) -> Result<DueWebhook> {
    let pending = PendingWebhook {
        event: row.text(4)?.to_owned().into(),
        sequence: row.u32(5)?,
        endpoint: EndpointId(row.int(3)?),
        url: row.text(6)?.to_owned(),
        body: row.text(7)?.to_owned(),
        at: Timestamp(row.int(8)?),
        due: Some(until),
        is_leased: true,
    };
    Ok(DueWebhook {
        key: read::purchase_key(row)?,
        pending: Arc::new(pending),
        pending_since: Timestamp(row.int(9)?),
        tries: row.u32(10)?,
        refusals: row.u32(11)?,
        epoch: row.int(12)? + 1,
        until,
    })
}

unrefused!(EndedLease, (), |change, tx| end(tx.sql, change));

/// Ends a lease. An attempt that was not accepted is logged in a row of its own.
fn end(sql: &mut dyn Sql, ended: &EndedLease) -> Result<()> {
    let webhook = &ended.webhook;
    match (ended.end, &ended.attempt) {
        (LeaseEnd::Accepted, Some(attempt)) => accept(sql, webhook, attempt)?,
        (LeaseEnd::Accepted, None) => {
            return Err(Fault::corrupt("a webhook is accepted without an attempt"));
        }
        (LeaseEnd::PutOff { until, refused }, attempt) => {
            put_off(sql, webhook, until, attempt.is_some(), refused)?;
        }
        (LeaseEnd::GivenUp, _) => stop(sql, webhook, "given_up")?,
        (LeaseEnd::Off, _) => stop(sql, webhook, "off")?,
    }
    if let (Some(attempt), false) = (&ended.attempt, ended.end == LeaseEnd::Accepted) {
        log_attempt(sql, webhook, attempt)?;
    }
    match ended.release {
        Some(now) => release(sql, webhook, now),
        None => Ok(()),
    }
}

/// Defers a statement about a webhook: with these values before those that name its row, and those
/// after them.
macro_rules! defer_for {
    ($sql:ident, $webhook:ident, $text:literal, [$($before:expr),*], [$($after:expr),+]) => {{
        let [id, account, environment, endpoint, event] = webhook_values($webhook);
        let key = WriteKey::Purchase($webhook.key.id.0);
        let args = values![$($before,)* id, account, environment, endpoint, event, $($after),+];
        $sql.defer($text, key, &args, None)
    }};
}

fn accept(sql: &mut dyn Sql, webhook: &DueWebhook, attempt: &DeliveryAttempt) -> Result<()> {
    defer_for!(
        sql,
        webhook,
        "UPDATE webhooks
         SET state = 'taken', due_at = NULL, taken_at = $1, status = $2, took_ms = $3, says = $4
         WHERE purchase_id = $5 AND account_id IS NOT DISTINCT FROM $6
             AND environment IS NOT DISTINCT FROM $7 AND endpoint_id = $8 AND event = $9
             AND epoch = $10",
        [attempt.at, attempt.status.map(i64::from), attempt.took_ms, &attempt.text],
        [webhook.epoch]
    )
}

fn put_off(
    sql: &mut dyn Sql,
    webhook: &DueWebhook,
    until: Timestamp,
    was_sent: bool,
    was_refused: bool,
) -> Result<()> {
    defer_for!(
        sql,
        webhook,
        "UPDATE webhooks SET due_at = $1, tries = tries + $2, refusals = refusals + $3, run = NULL
         WHERE purchase_id = $4 AND account_id IS NOT DISTINCT FROM $5
             AND environment IS NOT DISTINCT FROM $6 AND endpoint_id = $7 AND event = $8
             AND epoch = $9",
        [until, was_sent, was_refused],
        [webhook.epoch]
    )
}

fn stop(sql: &mut dyn Sql, webhook: &DueWebhook, state: &'static str) -> Result<()> {
    defer_for!(
        sql,
        webhook,
        "UPDATE webhooks SET state = $1, due_at = NULL
         WHERE purchase_id = $2 AND account_id IS NOT DISTINCT FROM $3
             AND environment IS NOT DISTINCT FROM $4 AND endpoint_id = $5 AND event = $6
             AND epoch = $7",
        [state],
        [webhook.epoch]
    )
}

fn log_attempt(sql: &mut dyn Sql, webhook: &DueWebhook, attempt: &DeliveryAttempt) -> Result<()> {
    let DeliveryAttempt { at, verdict, status, took_ms, text } = attempt;
    defer_for!(
        sql,
        webhook,
        "INSERT INTO webhook_tries (purchase_id, account_id, environment, endpoint_id, event, at,
             verdict, status, took_ms, says)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING",
        [],
        [*at, verdict, status.map(i64::from), *took_ms, text]
    )
}

/// Makes the webhooks due that wait for this one.
fn release(sql: &mut dyn Sql, webhook: &DueWebhook, now: Timestamp) -> Result<()> {
    let [id, account, environment, endpoint, _] = webhook_values(webhook);
    sql.defer(
        "UPDATE webhooks SET due_at = $1
         WHERE purchase_id = $2 AND account_id IS NOT DISTINCT FROM $3
             AND environment IS NOT DISTINCT FROM $4 AND endpoint_id = $5 AND state = 'waits'
             AND sequence > $6",
        WriteKey::Purchase(webhook.key.id.0),
        &values![now, id, account, environment, endpoint, webhook.pending.sequence],
        None,
    )
}
