//! What accounts' servers and devices are sent: webhooks, their endpoints, pushes.
//!
//! A webhook row is inserted in the commit of the step that it reports; who sends it holds a lease.
//! Invariant: of one purchase and one endpoint no webhook is leased while an earlier one is
//! pending, unless that one was refused (4xx) too often.

pub(crate) mod endpoints;
mod lease;
pub(crate) mod log;
pub(crate) mod pushes;
pub(crate) mod replay;
mod reported;

pub use endpoints::{
    Destination, Endpoint, EndpointHealth, SetEndpoint, SetEndpointHealth, TrustHost,
};
pub use lease::Webhooks;
pub use log::{DeliveryFilter, LogPage, LoggedWebhook};
pub(crate) use log::{attempts, deliveries, log, of};
pub use pushes::{DuePush, EndPush, Pushes, ResendPushes};
pub use reported::Reported;

use crate::backend::{Sql, Value, WriteKey, columns, values};
use crate::commit::unrefused;
use crate::fault::Result;
use crate::purchases::key_values;
use domain::ids::EndpointId;
use domain::{AccountId, PendingWebhook, PurchaseId, PurchaseKey, PurchaseNumber, Timestamp};
use std::sync::Arc;

/// Makes webhooks pending once more, with the bodies that they had and their schedule from the
/// start. Answers how many.
#[derive(Clone, Debug)]
pub struct ReplayWebhooks {
    /// Which webhooks.
    pub which: ReplayScope,
    /// When they are due.
    pub at: Timestamp,
}

/// Deletes webhooks that are older than `before` and not pending, with their attempts. Answers how
/// many.
#[derive(Clone, Copy, Debug)]
pub struct PruneWebhooks {
    /// Only webhooks of events before this time.
    pub before: Timestamp,
    /// The highest id that a purchase of that time has.
    pub before_id: PurchaseId,
    /// At most this many.
    pub limit: u32,
}

/// Enqueues a webhook that no step of a purchase enqueued.
#[derive(Clone, Debug)]
pub struct EnqueueWebhook(pub PurchaseKey, pub Arc<PendingWebhook>);

unrefused!(ReplayWebhooks, usize, |change, tx| log::replay(tx.sql, &change.which, change.at));

unrefused!(PruneWebhooks, usize, |change, tx| log::prune(
    tx.sql,
    change.before,
    change.before_id,
    change.limit
));

unrefused!(EnqueueWebhook, (), |change, tx| enqueue(tx.sql, tx.run, &change.0, &change.1));

/// Which webhooks are replayed.
#[derive(Clone, Debug)]
pub enum ReplayScope {
    /// One event of a purchase, by the last word of its name, to every endpoint it was for.
    One(PurchaseNumber, String),
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

/// The result of a lease; nothing happens if the webhook was leased again since.
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

columns!(DeliveryAttempt: at, verdict, status, took_ms, text);

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
