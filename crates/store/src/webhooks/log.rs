//! The log of webhooks: reading it, replaying from it, pruning it.
//!
//! A webhook's row has its last accepted attempt; all other attempts have rows in `webhook_tries`.

use super::{DeliveryAttempt, ReplayScope};
use crate::backend::{Columns, FromRow, Sql, Value, WriteKey, all, columns, from_row, values};
use crate::fault::Result;
use crate::numbers;
use crate::purchases::key_values;
use domain::ids::EndpointId;
use domain::{AccountId, Environment, PurchaseId, PurchaseKey, Timestamp};

/// A webhook of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedWebhook {
    /// The purchase that it is about.
    pub key: PurchaseKey,
    /// The endpoint that it is for.
    pub endpoint: EndpointId,
    /// The event's name.
    pub event: String,
    /// Its number within the purchase.
    pub sequence: u32,
    /// The URL that it goes to.
    pub url: String,
    /// What is sent, to the byte.
    pub body: String,
    /// When the event happened.
    pub at: Timestamp,
    /// `owed`, `waits`, `taken`, `given_up` or `off`.
    pub state: String,
    /// When it is sent next; none: it is not pending.
    pub due_at: Option<Timestamp>,
    /// Failed attempts since it is pending.
    pub tries: u32,
    /// The attempt that was accepted.
    pub accepted: Option<DeliveryAttempt>,
}

columns! {
    LoggedWebhook: key, endpoint, event, sequence, url, body, at, state, due_at, tries,
    accepted by accepted
}

fn accepted(columns: &mut Columns<'_>) -> Result<Option<DeliveryAttempt>> {
    let Some(at) = FromRow::read(columns)? else { return Ok(None) };
    let (status, took_ms, text) = FromRow::read(columns)?;
    Ok(Some(DeliveryAttempt { at, verdict: "taken".to_owned(), status, took_ms, text }))
}

/// A query for the log.
#[derive(Clone, Copy, Debug)]
pub struct LogPage {
    /// The account whose webhooks are listed.
    pub account: AccountId,
    /// Only events since then.
    pub since: Timestamp,
    /// Only what is still pending.
    pub only_pending: bool,
    /// At most this many, latest first.
    pub limit: u32,
}

/// Which webhooks of an account are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// In this state: `owed`, `waits`, `taken`, `given_up`, `off`; empty: in any.
    pub state: String,
    /// Of this event; empty: of any.
    pub event: String,
    /// Only events until then.
    pub until: Option<Timestamp>,
    /// Of the last moment of that, so many are left out: they were shown.
    pub skipped: u32,
    /// At most this many, latest first.
    pub limit: u32,
}

/// Selects webhooks of the log; `$rest` follows the table's name.
macro_rules! select_log {
    ($rest:literal) => {
        concat!(
            "SELECT purchase_id, account_id, environment, endpoint_id, event, sequence, url, body,
                 at, state, due_at, tries, taken_at, status, took_ms, says
             FROM webhooks ",
            $rest
        )
    };
}

/// The log of an account, latest first.
pub(crate) fn log(sql: &mut dyn Sql, page: LogPage) -> Result<Vec<LoggedWebhook>> {
    all(
        sql,
        select_log!(
            "WHERE account_id = $1 AND at >= $2 AND (CAST($3 AS BIGINT) = 0 OR due_at IS NOT NULL)
             ORDER BY at DESC LIMIT $4"
        ),
        &values![page.account, page.since, page.only_pending, page.limit],
        from_row,
    )
}

pub(crate) const DELIVERIES: &str = select_log!(
    "WHERE account_id = $1 AND environment = $2 AND at <= $3 AND ($4 = '' OR state = $5)
         AND ($6 = '' OR event = $7)
     ORDER BY at DESC, purchase_id DESC, event DESC, endpoint_id DESC LIMIT $8"
);
/// The same for webhooks that were not accepted, which have an index of their own.
pub(crate) const NOT_ACCEPTED: &str = select_log!(
    "WHERE account_id = $1 AND environment = $2 AND state = $3
         AND (state = 'given_up' OR state = 'off') AND at <= $4 AND ($5 = '' OR event = $6)
     ORDER BY at DESC, purchase_id DESC, event DESC, endpoint_id DESC LIMIT $7"
);

/// The webhooks of an account in an environment that pass a filter, latest first.
pub(crate) fn deliveries(
    sql: &mut dyn Sql,
    account: AccountId,
    environment: Environment,
    filter: &DeliveryFilter,
) -> Result<Vec<LoggedWebhook>> {
    let DeliveryFilter { state, event, until, skipped, limit } = filter;
    let until = until.map_or(i64::MAX, |until| until.0);
    let limit = limit.saturating_add(*skipped);
    let mut found = match state.as_str() {
        "given_up" | "off" => {
            let args = values![account, environment, state, until, event, event, limit];
            all(sql, NOT_ACCEPTED, &args, from_row)?
        }
        _ => {
            let args = values![account, environment, until, state, state, event, event, limit];
            all(sql, DELIVERIES, &args, from_row)?
        }
    };
    let is_shown = |webhook: &LoggedWebhook| webhook.at.0 == until;
    let shown = found.iter().take_while(|webhook| is_shown(webhook)).count();
    found.drain(..shown.min(usize::try_from(*skipped).unwrap_or(usize::MAX)));
    Ok(found)
}

/// The webhooks about a purchase, by endpoint and in the order of its events.
pub(crate) fn of(sql: &mut dyn Sql, purchase: PurchaseId) -> Result<Vec<LoggedWebhook>> {
    all(
        sql,
        select_log!("WHERE purchase_id = $1 ORDER BY endpoint_id, sequence"),
        &values![purchase],
        from_row,
    )
}

/// The failed attempts of a webhook, and all attempts before a replay, oldest first.
pub(crate) fn attempts(sql: &mut dyn Sql, webhook: &LoggedWebhook) -> Result<Vec<DeliveryAttempt>> {
    let [id, account, environment] = key_values(&webhook.key);
    all(
        sql,
        "SELECT at, verdict, status, took_ms, says FROM webhook_tries
         WHERE purchase_id = $1 AND account_id = $2 AND environment = $3 AND endpoint_id = $4
             AND event = $5 ORDER BY at",
        &values![id, account, environment, webhook.endpoint, &webhook.event],
        from_row,
    )
}

/// The statements of [`send_again`] for the webhooks that `$which` names. `$same` is the same with
/// numbers of parameters that follow two others.
macro_rules! sent_again {
    ($which:literal, $same:literal) => {
        [
            concat!(
                "INSERT INTO webhook_tries (purchase_id, account_id, environment, endpoint_id,
                     event, at, verdict, status, took_ms, says)
                 SELECT purchase_id, account_id, environment, endpoint_id, event, taken_at, 'taken',
                     status, took_ms, says
                 FROM webhooks WHERE ",
                $which,
                " AND taken_at IS NOT NULL ON CONFLICT DO NOTHING"
            ),
            concat!(
                "UPDATE webhooks
                 SET state = 'owed', due_at = $1, owed_since = $2, tries = 0, refusals = 0,
                     epoch = epoch + 1, run = NULL, taken_at = NULL
                 WHERE ",
                $same
            ),
        ]
    };
}
pub(super) use sent_again;

/// Makes webhooks pending once more, with their schedule from the start; answers how many. An
/// accepted attempt moves to `webhook_tries` first. `which` has the values of [`sent_again`].
pub(super) fn send_again(
    sql: &mut dyn Sql,
    [keep_accepted, requeue]: [&'static str; 2],
    which: &[Value<'_>],
    at: Timestamp,
) -> Result<usize> {
    sql.run(keep_accepted, which)?;
    sql.execute(requeue, &[&values![at, at][..], which].concat())
}

/// Sends webhooks again; answers how many.
pub(super) fn replay(sql: &mut dyn Sql, which: &ReplayScope, at: Timestamp) -> Result<usize> {
    match which {
        ReplayScope::One(number, tail) => {
            let Some(purchase) = numbers::id_of(sql, *number)? else { return Ok(0) };
            let statements = sent_again!(
                "purchase_id = $1 AND event LIKE $2",
                "purchase_id = $3 AND event LIKE $4"
            );
            send_again(sql, statements, &values![purchase, format!("%.{tail}").as_str()], at)
        }
        ReplayScope::Since(account, since, endpoint) => {
            let endpoint = endpoint.map_or(0, |e| e.0);
            let statements = sent_again!(
                "account_id = $1 AND at >= $2 AND (CAST($3 AS BIGINT) = 0 OR endpoint_id = $4)",
                "account_id = $3 AND at >= $4 AND (CAST($5 AS BIGINT) = 0 OR endpoint_id = $6)"
            );
            send_again(sql, statements, &values![*account, *since, endpoint, endpoint], at)
        }
    }
}

/// Deletes old webhooks that are not pending, with their attempts; answers how many.
pub(super) fn prune(
    sql: &mut dyn Sql,
    before: Timestamp,
    before_id: PurchaseId,
    limit: u32,
) -> Result<usize> {
    let old: Vec<(PurchaseKey, EndpointId, String)> = all(
        sql,
        "SELECT purchase_id, account_id, environment, endpoint_id, event
         FROM webhooks WHERE purchase_id <= $1 AND at < $2 AND due_at IS NULL
         ORDER BY purchase_id LIMIT $3",
        &values![before_id, before, limit],
        from_row,
    )?;
    for (key, endpoint, event) in &old {
        let [id, account, environment] = key_values(key);
        let which = [id, account, environment, (*endpoint).into(), event.into()];
        sql.defer(
            "DELETE FROM webhook_tries
             WHERE purchase_id = $1 AND account_id = $2 AND environment = $3 AND endpoint_id = $4
                 AND event = $5",
            WriteKey::Purchase(key.id.0),
            &which,
            None,
        )?;
        sql.defer(
            "DELETE FROM webhooks
             WHERE purchase_id = $1 AND account_id IS NOT DISTINCT FROM $2
                 AND environment IS NOT DISTINCT FROM $3
                 AND endpoint_id = $4 AND event = $5",
            WriteKey::Purchase(key.id.0),
            &which,
            None,
        )?;
    }
    Ok(old.len())
}
