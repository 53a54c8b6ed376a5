//! Webhooks of an account that are sent again in the background: all that pass a filter, some at
//! once, from the place where the last step stopped.
//!
//! Invariants: one replay at a time of an account and environment; it sends each webhook once, no
//! more than its limit, and never one of another account.

use super::log::{send_again, sent_again};
use crate::backend::{Columns, FromRow, Sql, all, columns, first, from_row, values};
use crate::commit::unrefused;
use crate::fault::Result;
use crate::purchases::key_values;
use domain::ids::EndpointId;
use domain::{AccountId, Environment, PurchaseKey, Timestamp};

/// How long an ended replay is shown, in microseconds: 30 days, as long as its webhooks.
const SHOWN_FOR_US: i64 = 30 * 86_400_000_000;

/// Which webhooks are sent again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayFilter {
    /// In this state: `owed`, `waits`, `taken`, `given_up`, `off`; empty: in any.
    pub state: String,
    /// Of this event; empty: of any.
    pub event: String,
    /// For this endpoint; none: for any.
    pub endpoint: Option<EndpointId>,
    /// Only events since then; none: all that are kept.
    pub since: Option<Timestamp>,
}

columns!(ReplayFilter: state, event, endpoint, since by since);

/// 0: none.
fn since(columns: &mut Columns<'_>) -> Result<Option<Timestamp>> {
    Ok(Some(Timestamp::read(columns)?).filter(|since| since.0 > 0))
}

/// A replay as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookReplay {
    /// Whose.
    pub account: AccountId,
    /// The environment of its webhooks.
    pub environment: Environment,
    /// When it was asked for, in microseconds; its name.
    pub id: i64,
    /// What it sends.
    pub filter: ReplayFilter,
    /// How many it has sent.
    pub sent: u64,
    /// How many it sends at most.
    pub sent_max: u64,
    /// When it ended; none: it goes on.
    pub ended_at: Option<Timestamp>,
}

columns!(WebhookReplay: account, environment, id, filter, sent, sent_max, ended_at);

/// Begins a replay; `false` if one goes on in that account and environment.
#[derive(Clone, Debug)]
pub struct BeginReplay {
    /// Whose webhooks.
    pub account: AccountId,
    /// Of this environment.
    pub environment: Environment,
    /// Which of them.
    pub filter: ReplayFilter,
    /// At most so many.
    pub sent_max: u32,
    /// When it is asked for: later events are not sent.
    pub at: Timestamp,
}

/// Sends the next webhooks of a replay; answers whether there may be more.
#[derive(Clone, Copy, Debug)]
pub struct ContinueReplay {
    /// Whose.
    pub account: AccountId,
    /// Of this environment.
    pub environment: Environment,
    /// The replay.
    pub id: i64,
    /// At most so many at once.
    pub limit: u32,
    /// When they are due.
    pub at: Timestamp,
}

unrefused!(BeginReplay, bool, |begin, tx| {
    let BeginReplay { account, environment, filter, sent_max, at } = begin;
    let since = filter.since.map_or(0, |since| since.0);
    tx.sql.run(
        "DELETE FROM webhook_replays WHERE account_id = $1 AND environment = $2 AND id < $3
             AND ended_at IS NOT NULL",
        &values![*account, *environment, at.0 - SHOWN_FOR_US],
    )?;
    let begun = tx.sql.execute(
        "INSERT INTO webhook_replays (account_id, environment, id, state, event, endpoint_id, since,
             place_at, place_purchase, place_endpoint, place_event, sent, sent_max)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, '', 0, $9) ON CONFLICT DO NOTHING",
        &values![
            *account,
            *environment,
            *at,
            &filter.state,
            &filter.event,
            filter.endpoint,
            since,
            since,
            *sent_max
        ],
    )?;
    Ok(begun > 0)
});

/// Where a replay stands: the last webhook that it has sent.
struct Cursor {
    at: i64,
    purchase: i64,
    endpoint: i64,
    event: String,
}

columns!(Cursor: at, purchase, endpoint, event);

/// Selects replays, each with the place where it stands.
macro_rules! select_replays {
    ($rest:literal) => {
        concat!(
            "SELECT account_id, environment, id, state, event, endpoint_id, since, sent, sent_max,
                 ended_at, place_at, place_purchase, place_endpoint, place_event
             FROM webhook_replays ",
            $rest
        )
    };
}

/// A webhook that is sent again.
struct Chosen {
    key: PurchaseKey,
    place: Cursor,
}

pub(crate) const NEXT: &str = "SELECT purchase_id, account_id, environment, endpoint_id, event, at
     FROM webhooks
     WHERE account_id = $1 AND environment = $2 AND at >= $3 AND at <= $4
         AND ($5 = '' OR state = $6) AND ($7 = '' OR event = $8)
         AND (CAST($9 AS BIGINT) = 0 OR endpoint_id = $10)
         AND (at > $11 OR (at = $12 AND (purchase_id > $13 OR (purchase_id = $14
             AND (endpoint_id > $15 OR (endpoint_id = $16 AND event > $17))))))
     ORDER BY at, purchase_id, endpoint_id, event LIMIT $18";

unrefused!(ContinueReplay, bool, |step, tx| {
    let ContinueReplay { account, environment, id, limit, at } = *step;
    let which = values![account, environment, id];
    let open: Option<(WebhookReplay, Cursor)> = first(
        tx.sql,
        select_replays!(
            "WHERE account_id = $1 AND environment = $2 AND id = $3 AND ended_at IS NULL"
        ),
        &which,
        from_row,
    )?;
    let Some((replay, place)) = open else { return Ok(false) };
    let left = replay.sent_max.saturating_sub(replay.sent);
    let limit = u64::from(limit).min(left);
    let chosen = next(tx.sql, &replay, &place, limit)?;
    for webhook in &chosen {
        send_one_again(tx.sql, webhook, at)?;
    }
    let sent = u64::try_from(chosen.len()).unwrap_or(u64::MAX);
    let has_more = sent == limit && sent < left;
    let place = chosen.into_iter().next_back().map_or(place, |last| last.place);
    let ended_at = (!has_more).then_some(at);
    let total = i64::try_from(replay.sent + sent).unwrap_or(i64::MAX);
    tx.sql.run(
        "UPDATE webhook_replays SET place_at = $1, place_purchase = $2, place_endpoint = $3,
             place_event = $4, sent = $5, ended_at = $6
         WHERE account_id = $7 AND environment = $8 AND id = $9",
        &values![
            place.at,
            place.purchase,
            place.endpoint,
            &place.event,
            total,
            ended_at,
            account,
            environment,
            id
        ],
    )?;
    Ok(has_more)
});

fn next(
    sql: &mut dyn Sql,
    replay: &WebhookReplay,
    place: &Cursor,
    limit: u64,
) -> Result<Vec<Chosen>> {
    let ReplayFilter { state, event, endpoint, since } = &replay.filter;
    let endpoint = endpoint.map_or(0, |endpoint| endpoint.0);
    let since = since.map_or(0, |since| since.0);
    let args = values![
        replay.account,
        replay.environment,
        since,
        replay.id,
        state,
        state,
        event,
        event,
        endpoint,
        endpoint,
        place.at,
        place.at,
        place.purchase,
        place.purchase,
        place.endpoint,
        place.endpoint,
        &place.event,
        i64::try_from(limit).unwrap_or(i64::MAX)
    ];
    all(sql, NEXT, &args, |row| {
        let (key, (endpoint, event, at)): (PurchaseKey, _) = from_row(row)?;
        Ok(Chosen { key, place: Cursor { at, purchase: key.id.0, endpoint, event } })
    })
}

fn send_one_again(sql: &mut dyn Sql, webhook: &Chosen, at: Timestamp) -> Result<usize> {
    let [id, account, environment] = key_values(&webhook.key);
    let (endpoint, event) = (webhook.place.endpoint, &webhook.place.event);
    let statements = sent_again!(
        "purchase_id = $1 AND account_id IS NOT DISTINCT FROM $2
             AND environment IS NOT DISTINCT FROM $3 AND endpoint_id = $4 AND event = $5",
        "purchase_id = $3 AND account_id IS NOT DISTINCT FROM $4
             AND environment IS NOT DISTINCT FROM $5 AND endpoint_id = $6 AND event = $7"
    );
    send_again(sql, statements, &values![id, account, environment, endpoint, event], at)
}

/// The replays of an account in an environment, latest first.
pub(crate) fn of(
    sql: &mut dyn Sql,
    account: AccountId,
    environment: Environment,
    limit: u32,
) -> Result<Vec<WebhookReplay>> {
    all(
        sql,
        select_replays!("WHERE account_id = $1 AND environment = $2 ORDER BY id DESC LIMIT $3"),
        &values![account, environment, limit],
        from_row,
    )
}

/// The replays that go on, of every account.
pub(crate) fn open(sql: &mut dyn Sql) -> Result<Vec<WebhookReplay>> {
    let open = select_replays!("WHERE ended_at IS NULL ORDER BY account_id, environment");
    all(sql, open, &[], from_row)
}
