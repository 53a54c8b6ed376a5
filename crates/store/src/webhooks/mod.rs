//! What accounts' servers and devices are sent: webhooks, their endpoints, pushes.
//!
//! A webhook row is inserted in the commit of the step that it reports; who sends it holds a lease.
//! Invariant: of one purchase and one endpoint no webhook is leased while an earlier one is
//! pending, unless that one was refused (4xx) too often.

pub(crate) mod endpoints;
mod lease;
mod log;
pub(crate) mod pushes;

pub use endpoints::{Destination, Endpoint, EndpointChange, EndpointHealth};
pub(crate) use lease::{next_due, take_over};
pub use log::{LogPage, LoggedWebhook};
pub(crate) use log::{attempts, log, of};
pub use pushes::{DuePush, PushChange};

use crate::backend::{Sql, Value, WriteKey, values};
use crate::change::Done;
use crate::fault::Result;
use crate::purchases::key_values;
use domain::ids::EndpointId;
use domain::{AccountId, PendingWebhook, PurchaseId, PurchaseKey, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// A change of webhooks.
#[derive(Clone, Debug)]
pub enum WebhookChange {
    /// Leases webhooks that are due.
    Lease {
        /// The present time.
        now: Timestamp,
        /// The duration of the lease.
        lease: Duration,
        /// At most this many.
        limit: u32,
    },
    /// Ends a lease with its result; nothing happens if the webhook was leased again since.
    End(Box<EndedLease>),
    /// Enqueues a webhook that no step of a purchase enqueued.
    Enqueue(PurchaseKey, Arc<PendingWebhook>),
    /// Makes webhooks pending once more, with the bodies that they had.
    Replay {
        /// Which webhooks.
        which: ReplayScope,
        /// When they are due.
        at: Timestamp,
    },
    /// Deletes webhooks that are older than `before` and not pending.
    Prune {
        /// Only webhooks of events before this time.
        before: Timestamp,
        /// The highest id that a purchase of that time has.
        before_id: PurchaseId,
        /// At most this many.
        limit: u32,
    },
}

/// Which webhooks are replayed.
#[derive(Clone, Debug)]
pub enum ReplayScope {
    /// One event of a purchase, by the last word of its name, to every endpoint it was for.
    One(PurchaseId, String),
    /// All of an account since then; of one endpoint, or of all.
    Since(AccountId, Timestamp, Option<EndpointId>),
}

/// A webhook that was leased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueWebhook {
    /// The purchase that it is about.
    pub key: PurchaseKey,
    /// What is to be sent, and where.
    pub pending: Arc<PendingWebhook>,
    /// Since when it is pending: the event, or the last replay.
    pub pending_since: Timestamp,
    /// Failed attempts since then.
    pub tries: u32,
    /// How many of these were refused (4xx).
    pub refusals: u32,
    /// The number of the lease: a result with an older one is ignored.
    pub epoch: i64,
    /// When the lease ends.
    pub until: Timestamp,
}

/// The result of a lease.
#[derive(Clone, Debug)]
pub struct EndedLease {
    /// The webhook, as it was leased.
    pub webhook: DueWebhook,
    /// What becomes of it.
    pub end: LeaseEnd,
    /// The attempt that led to it, if there was one.
    pub attempt: Option<DeliveryAttempt>,
    /// When the webhooks that wait for this one are due; none: they go on waiting.
    pub release: Option<Timestamp>,
}

/// What becomes of a webhook when its lease ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseEnd {
    /// The receiver accepted it.
    Accepted,
    /// It stays pending.
    PutOff {
        /// When it is due again.
        until: Timestamp,
        /// Whether there was an attempt that was refused (4xx).
        refused: bool,
    },
    /// It is sent only if somebody replays it.
    GivenUp,
    /// Its address is switched off.
    Off,
}

/// One attempt to deliver a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryAttempt {
    /// When it was sent.
    pub at: Timestamp,
    /// The result, in one word.
    pub verdict: String,
    /// The status of the response, if there was one.
    pub status: Option<u16>,
    /// Milliseconds until the result.
    pub took_ms: u32,
    /// The beginning of the response, or why there is none.
    pub text: String,
}

/// Writes one change; `run` is the run whose worker asks for it.
pub(crate) fn write(sql: &mut dyn Sql, run: i64, change: &WebhookChange) -> Result<Done> {
    match change {
        WebhookChange::Lease { now, lease, limit } => {
            lease::lease(sql, run, *now, *lease, *limit).map(Done::Webhooks)
        }
        WebhookChange::End(ended) => lease::end(sql, ended).map(|()| Done::Written),
        WebhookChange::Enqueue(key, pending) => {
            enqueue(sql, run, key, pending).map(|()| Done::Written)
        }
        WebhookChange::Replay { which, at } => log::replay(sql, which, *at).map(Done::Counted),
        WebhookChange::Prune { before, before_id, limit } => {
            log::prune(sql, *before, *before_id, *limit).map(Done::Counted)
        }
    }
}

/// Inserts a webhook; one that is in hand has a lease of `run` already.
pub(crate) fn enqueue(
    sql: &mut dyn Sql,
    run: i64,
    key: &PurchaseKey,
    pending: &PendingWebhook,
) -> Result<()> {
    let [id, account, environment] = key_values(key);
    let state = if pending.due.is_some() { "owed" } else { "off" };
    sql.defer(
        "INSERT INTO webhooks (purchase_id, account_id, environment, endpoint_id, event, sequence,
             url, body, at, state, owed_since, due_at, tries, refusals, epoch, run)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, 0, 0, $13)
         ON CONFLICT DO NOTHING",
        WriteKey::Purchase(key.id.0),
        &values![
            id,
            account,
            environment,
            pending.endpoint,
            pending.event.as_ref(),
            pending.sequence,
            &pending.url,
            &pending.body,
            pending.at,
            state,
            pending.at,
            pending.due,
            pending.is_leased.then_some(run)
        ],
        None,
    )
}

/// The values that name a webhook's row.
fn webhook_values(webhook: &DueWebhook) -> [Value<'_>; 5] {
    let [id, account, environment] = key_values(&webhook.key);
    let pending = &webhook.pending;
    values![id, account, environment, pending.endpoint, pending.event.as_ref()]
}
