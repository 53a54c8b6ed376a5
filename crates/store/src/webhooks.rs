//! What accounts' servers must be told, how it went, and what is told once more.
//!
//! Written in the commit of the step, claimed under a lease. Invariant: of one purchase and one
//! endpoint nothing is claimed while something before it is owed, unless that was refused for good.

use crate::backend::{Row, SetIndex, SetQuery, Sql, Value, WriteKey, all};
use crate::fault::Fault;
use crate::{backend, read};
use domain::account::AccountId;
use domain::clock::Timestamp;
use domain::ids::{EndpointId, PurchaseId};
use domain::purchase::PurchaseKey;
use domain::webhook::schedule::{PendingWebhook, REFUSALS_HOLD_UP};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// What happens to webhooks.
#[derive(Clone, Debug)]
pub enum WebhookChange {
    /// Takes what is due, under a lease.
    Lease {
        /// Now.
        now: Timestamp,
        /// How long the taker has.
        lease: Duration,
        /// At most this many.
        limit: u32,
    },
    /// What became of one that was claimed; nothing happens if somebody claimed it since.
    End(Box<Ended>),
    /// One that belongs to no purchase.
    Owe(PurchaseKey, Arc<PendingWebhook>),
    /// Some are told once more, as they were.
    Replay {
        /// Which.
        which: Replayed,
        /// When.
        at: Timestamp,
    },
    /// Forgets what is older than `before`, a piece at a time.
    Prune {
        /// Until when.
        before: Timestamp,
        /// The highest id that a purchase of that time has.
        before_id: PurchaseId,
        /// At most this many.
        limit: u32,
    },
}

/// Which webhooks are told once more.
#[derive(Clone, Debug)]
pub enum Replayed {
    /// This one, to every endpoint it was for.
    One(PurchaseId, String),
    /// All of an account since then; of one endpoint, or of all.
    Since(AccountId, Timestamp, Option<EndpointId>),
}

/// A webhook that somebody has in hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueWebhook {
    /// About which purchase.
    pub key: PurchaseKey,
    /// What is owed.
    pub owed: Arc<PendingWebhook>,
    /// Since when it is.
    pub owed_since: Timestamp,
    /// How often it was tried in vain since then.
    pub tries: u32,
    /// How often of these it was refused (4xx).
    pub refusals: u32,
    /// The claim's number: whoever holds an older one has lost it.
    pub epoch: i64,
    /// When the lease ends.
    pub until: Timestamp,
}

/// What became of a webhook.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Which, as it was claimed.
    pub webhook: DueWebhook,
    /// How.
    pub end: End,
    /// The try that led to it, if there was one.
    pub tried: Option<Tried>,
    /// Whether those that wait for it may go now, and when that is.
    pub release: Option<Timestamp>,
}

/// How a claim ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was received.
    Accepted,
    /// Not now.
    PutOff {
        /// Again then.
        until: Timestamp,
        /// Whether it was tried, and refused.
        refused: bool,
    },
    /// Never by itself.
    GivenUp,
    /// Nothing is sent there any more.
    Off,
}

/// One try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// When.
    pub at: Timestamp,
    /// One word.
    pub verdict: String,
    /// The answer's status, if there was an answer.
    pub status: Option<u16>,
    /// How long it took.
    pub took_ms: u32,
    /// The beginning of the answer, or why there is none.
    pub says: String,
}

/// A webhook of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedWebhook {
    /// About which purchase.
    pub key: PurchaseKey,
    /// For which endpoint.
    pub endpoint: EndpointId,
    /// The event's name.
    pub event: String,
    /// Counts within the purchase.
    pub sequence: u32,
    /// Where it goes.
    pub url: String,
    /// What is sent.
    pub body: String,
    /// When it happened.
    pub at: Timestamp,
    /// `owed`, `waits`, `taken`, `given_up` or `off`.
    pub state: String,
    /// When it is tried next.
    pub due_at: Option<Timestamp>,
    /// How often it was tried in vain since it is owed.
    pub tries: u32,
    /// The try that was taken.
    pub taken: Option<Tried>,
}

/// What the log is asked for.
#[derive(Clone, Copy, Debug)]
pub struct LogPage {
    /// Of which account.
    pub account: AccountId,
    /// What happened since then.
    pub since: Timestamp,
    /// Only what is still owed.
    pub only_owed: bool,
    /// At most this many, latest first.
    pub limit: u32,
}

fn named(key: &PurchaseKey) -> [Value<'static>; 3] {
    [key.id.0.into(), key.account.0.into(), key.environment.code().into()]
}

/// Puts what a step owes.
pub(crate) fn owe(
    sql: &mut dyn Sql,
    run: i64,
    key: &PurchaseKey,
    owed: &PendingWebhook,
) -> Result<(), Fault> {
    let [id, account, environment] = named(key);
    let state = if owed.due.is_some() { "owed" } else { "off" };
    sql.defer(
        "INSERT INTO webhooks (purchase_id, account_id, environment, endpoint_id, event, sequence, url, body, at, state, owed_since,
             due_at, tries, refusals, epoch, run)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, 0, 0, $13) ON CONFLICT DO NOTHING",
        WriteKey::Purchase(key.id.0),
        &[
            id,
            account,
            environment,
            owed.endpoint.0.into(),
            owed.event.as_ref().into(),
            owed.sequence.into(),
            (&owed.url).into(),
            (&owed.body).into(),
            owed.at.0.into(),
            state.into(),
            owed.at.0.into(),
            owed.due.map(|due| due.0).into(),
            owed.is_in_hand.then_some(run).into(),
        ],
        None,
    )
}

/// When the next one is due.
pub(crate) fn next_due(sql: &mut dyn Sql) -> Result<Option<Timestamp>, Fault> {
    let text = "SELECT min(due_at) FROM webhooks WHERE due_at IS NOT NULL";
    Ok(backend::first(sql, text, &[], |row| row.opt_int(0))?.flatten().map(Timestamp))
}

/// What is of one purchase and for one endpoint goes out in order.
type Thread = (PurchaseKey, EndpointId);

/// Takes what is due, in order; what waits for something before it is put off until that is due.
pub(crate) fn claim(
    sql: &mut dyn Sql,
    run: i64,
    (now, lease): (Timestamp, Duration),
    limit: u32,
) -> Result<Vec<DueWebhook>, Fault> {
    let until = now.after(lease);
    let mut due = all(
        sql,
        "SELECT purchase_id, account_id, environment, endpoint_id, event, sequence, url, body, at, owed_since, tries, refusals, epoch
         FROM webhooks WHERE due_at IS NOT NULL AND due_at <= $1 ORDER BY due_at, purchase_id, sequence LIMIT $2",
        &[now.0.into(), limit.into()],
        |row| due_webhook(row, until),
    )?;
    due.sort_by_key(|webhook| (webhook.key, webhook.owed.endpoint, webhook.owed.sequence));
    let blocked = blocked(sql, &due)?;
    let mut stored_reference = Vec::with_capacity(due.len());
    for webhook in due {
        match blocked.get(&(webhook.key, webhook.owed.endpoint)) {
            Some(blocker) => wait(sql, &webhook, blocker.max(&now.after(WAITS_MIN)))?,
            None => {
                let [id, account, environment] = named(&webhook.key);
                sql.defer(
                    "UPDATE webhooks SET state = 'owed', due_at = $1, epoch = $2, run = $3
                     WHERE purchase_id = $4 AND account_id = $5 AND environment = $6 AND endpoint_id = $7 AND event = $8",
                    WriteKey::Purchase(webhook.key.id.0),
                    &[
                        until.0.into(),
                        webhook.epoch.into(),
                        run.into(),
                        id,
                        account,
                        environment,
                        webhook.owed.endpoint.0.into(),
                        webhook.owed.event.as_ref().into(),
                    ],
                    Some(1),
                )?;
                stored_reference.push(webhook);
            }
        }
    }
    Ok(stored_reference)
}

/// One that waits is looked at again after this at the earliest, whatever happens before.
const WAITS_MIN: Duration = Duration::from_millis(200);

/// The threads that cannot go on, and when what they wait for is due.
fn blocked(sql: &mut dyn Sql, due: &[DueWebhook]) -> Result<HashMap<Thread, Timestamp>, Fault> {
    let mut ask = SetQuery::new(
        "SELECT due_at, refusals FROM webhooks WHERE purchase_id = $1 AND account_id = $2 AND environment = $3 AND endpoint_id = $4
             AND sequence < $5 AND due_at IS NOT NULL",
        5,
    );
    let mut asked = Vec::new();
    let mut last = None;
    for webhook in due {
        let thread = (webhook.key, webhook.owed.endpoint);
        if last.replace(thread) != Some(thread) && webhook.owed.sequence > 1 {
            let [id, account, environment] = named(&webhook.key);
            let endpoint = webhook.owed.endpoint.0.into();
            ask.add(&[id, account, environment, endpoint, webhook.owed.sequence.into()]);
            asked.push(thread);
        }
    }
    let mut blocked: HashMap<Thread, Timestamp> = HashMap::new();
    sql.query_sets(&[ask], &mut |SetIndex { set, .. }, row| {
        if row.u32(1)? < REFUSALS_HOLD_UP {
            let due_at = Timestamp(row.int(0)?);
            let latest = blocked.entry(asked[set]).or_insert(due_at);
            *latest = (*latest).max(due_at);
        }
        Ok(())
    })?;
    Ok(blocked)
}

fn wait(sql: &mut dyn Sql, webhook: &DueWebhook, until: &Timestamp) -> Result<(), Fault> {
    let [id, account, environment] = named(&webhook.key);
    sql.defer(
        "UPDATE webhooks SET state = 'waits', due_at = $1, run = NULL
         WHERE purchase_id = $2 AND account_id = $3 AND environment = $4 AND endpoint_id = $5 AND event = $6",
        WriteKey::Purchase(webhook.key.id.0),
        &[
            until.0.into(),
            id,
            account,
            environment,
            webhook.owed.endpoint.0.into(),
            webhook.owed.event.as_ref().into(),
        ],
        Some(1),
    )
}

fn due_webhook(row: &dyn Row, until: Timestamp) -> Result<DueWebhook, Fault> {
    let owed = PendingWebhook {
        event: row.text(4)?.to_owned().into(),
        sequence: row.u32(5)?,
        endpoint: EndpointId(row.int(3)?),
        url: row.text(6)?.to_owned(),
        body: row.text(7)?.to_owned(),
        at: Timestamp(row.int(8)?),
        due: Some(until),
        is_in_hand: true,
    };
    Ok(DueWebhook {
        key: key(row)?,
        owed: Arc::new(owed),
        owed_since: Timestamp(row.int(9)?),
        tries: row.u32(10)?,
        refusals: row.u32(11)?,
        epoch: row.int(12)? + 1,
        until,
    })
}

/// purchase_id, account_id, environment
fn key(row: &dyn Row) -> Result<PurchaseKey, Fault> {
    Ok(PurchaseKey {
        id: PurchaseId(row.int(0)?),
        account: AccountId(row.int(1)?),
        environment: read::environment(row.text(2)?)?,
    })
}

/// Writes what became of one that was claimed.
pub(crate) fn end(sql: &mut dyn Sql, ended: &Ended) -> Result<(), Fault> {
    let webhook = &ended.webhook;
    match (ended.end, &ended.tried) {
        (End::Accepted, Some(tried)) => taken(sql, webhook, tried)?,
        (End::Accepted, None) => return Err(Fault::corrupt("a webhook is taken without a try")),
        (End::PutOff { until, refused }, tried) => {
            put_off(sql, webhook, until, (tried.is_some(), refused))?;
        }
        (End::GivenUp, _) => stop(sql, webhook, "given_up")?,
        (End::Off, _) => stop(sql, webhook, "off")?,
    }
    if let (Some(tried), false) = (&ended.tried, ended.end == End::Accepted) {
        note(sql, webhook, tried)?;
    }
    match ended.release {
        Some(now) => release(sql, webhook, now),
        None => Ok(()),
    }
}

fn taken(sql: &mut dyn Sql, webhook: &DueWebhook, tried: &Tried) -> Result<(), Fault> {
    let [id, account, environment] = named(&webhook.key);
    sql.defer(
        "UPDATE webhooks SET state = 'taken', due_at = NULL, taken_at = $1, status = $2, took_ms = $3, says = $4
         WHERE purchase_id = $5 AND account_id = $6 AND environment = $7 AND endpoint_id = $8 AND event = $9 AND epoch = $10",
        WriteKey::Purchase(webhook.key.id.0),
        &[
            tried.at.0.into(),
            tried.status.map(i64::from).into(),
            tried.took_ms.into(),
            (&tried.says).into(),
            id,
            account,
            environment,
            webhook.owed.endpoint.0.into(),
            webhook.owed.event.as_ref().into(),
            webhook.epoch.into(),
        ],
        None,
    )
}

fn put_off(
    sql: &mut dyn Sql,
    webhook: &DueWebhook,
    until: Timestamp,
    (tried, refused): (bool, bool),
) -> Result<(), Fault> {
    let [id, account, environment] = named(&webhook.key);
    sql.defer(
        "UPDATE webhooks SET due_at = $1, tries = tries + $2, refusals = refusals + $3, run = NULL
         WHERE purchase_id = $4 AND account_id = $5 AND environment = $6 AND endpoint_id = $7 AND event = $8 AND epoch = $9",
        WriteKey::Purchase(webhook.key.id.0),
        &[
            until.0.into(),
            tried.into(),
            refused.into(),
            id,
            account,
            environment,
            webhook.owed.endpoint.0.into(),
            webhook.owed.event.as_ref().into(),
            webhook.epoch.into(),
        ],
        None,
    )
}

fn stop(sql: &mut dyn Sql, webhook: &DueWebhook, state: &'static str) -> Result<(), Fault> {
    let [id, account, environment] = named(&webhook.key);
    sql.defer(
        "UPDATE webhooks SET state = $1, due_at = NULL
         WHERE purchase_id = $2 AND account_id = $3 AND environment = $4 AND endpoint_id = $5 AND event = $6 AND epoch = $7",
        WriteKey::Purchase(webhook.key.id.0),
        &[
            state.into(),
            id,
            account,
            environment,
            webhook.owed.endpoint.0.into(),
            webhook.owed.event.as_ref().into(),
            webhook.epoch.into(),
        ],
        None,
    )
}

fn note(sql: &mut dyn Sql, webhook: &DueWebhook, tried: &Tried) -> Result<(), Fault> {
    let [id, account, environment] = named(&webhook.key);
    sql.defer(
        "INSERT INTO webhook_tries (purchase_id, account_id, environment, endpoint_id, event, at, verdict, status, took_ms, says)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING",
        WriteKey::Purchase(webhook.key.id.0),
        &[
            id,
            account,
            environment,
            webhook.owed.endpoint.0.into(),
            webhook.owed.event.as_ref().into(),
            tried.at.0.into(),
            (&tried.verdict).into(),
            tried.status.map(i64::from).into(),
            tried.took_ms.into(),
            (&tried.says).into(),
        ],
        None,
    )
}

/// Lets those go that wait for this one.
fn release(sql: &mut dyn Sql, webhook: &DueWebhook, now: Timestamp) -> Result<(), Fault> {
    let [id, account, environment] = named(&webhook.key);
    sql.defer(
        "UPDATE webhooks SET due_at = $1
         WHERE purchase_id = $2 AND account_id = $3 AND environment = $4 AND endpoint_id = $5 AND state = 'waits' AND sequence > $6",
        WriteKey::Purchase(webhook.key.id.0),
        &[
            now.0.into(),
            id,
            account,
            environment,
            webhook.owed.endpoint.0.into(),
            webhook.owed.sequence.into(),
        ],
        None,
    )
}

/// Makes some owed once more, their schedule from the start; tells how many.
pub(crate) fn replay(sql: &mut dyn Sql, which: &Replayed, at: Timestamp) -> Result<usize, Fault> {
    match which {
        Replayed::One(purchase, tail) => {
            let tail = format!("%.{tail}");
            let chosen = [purchase.0.into(), tail.as_str().into()];
            sql.execute(
                "INSERT INTO webhook_tries (purchase_id, account_id, environment, endpoint_id, event, at, verdict, status, took_ms, says)
                 SELECT purchase_id, account_id, environment, endpoint_id, event, taken_at, 'taken', status, took_ms, says
                 FROM webhooks WHERE purchase_id = $1 AND event LIKE $2 AND taken_at IS NOT NULL ON CONFLICT DO NOTHING",
                &chosen,
            )?;
            sql.execute(
                "UPDATE webhooks SET state = 'owed', due_at = $1, owed_since = $2, tries = 0, refusals = 0, epoch = epoch + 1, run = NULL,
                     taken_at = NULL
                 WHERE purchase_id = $3 AND event LIKE $4",
                &[at.0.into(), at.0.into(), chosen[0], chosen[1]],
            )
        }
        Replayed::Since(account, since, endpoint) => {
            let endpoint = endpoint.map_or(0, |e| e.0);
            let chosen = [account.0.into(), since.0.into(), endpoint.into(), endpoint.into()];
            sql.execute(
                "INSERT INTO webhook_tries (purchase_id, account_id, environment, endpoint_id, event, at, verdict, status, took_ms, says)
                 SELECT purchase_id, account_id, environment, endpoint_id, event, taken_at, 'taken', status, took_ms, says
                 FROM webhooks WHERE account_id = $1 AND at >= $2 AND (CAST($3 AS BIGINT) = 0 OR endpoint_id = $4) AND taken_at IS NOT NULL
                 ON CONFLICT DO NOTHING",
                &chosen,
            )?;
            let [account, since, endpoint, same] = chosen;
            sql.execute(
                "UPDATE webhooks SET state = 'owed', due_at = $1, owed_since = $2, tries = 0, refusals = 0, epoch = epoch + 1, run = NULL,
                     taken_at = NULL
                 WHERE account_id = $3 AND at >= $4 AND (CAST($5 AS BIGINT) = 0 OR endpoint_id = $6)",
                &[at.0.into(), at.0.into(), account, since, endpoint, same],
            )
        }
    }
}

/// Makes due what is in no living run's hands, though its lease has not ended; `idle` is a run that lives
/// and has not begun to work, or 0.
pub(crate) fn take_over(sql: &mut dyn Sql, idle: i64, now: Timestamp) -> Result<(), Fault> {
    sql.execute(
        "UPDATE webhooks SET due_at = $1, epoch = epoch + 1, run = NULL
         WHERE due_at IS NOT NULL AND due_at > $2 AND run IS NOT NULL AND NOT EXISTS (SELECT 1 FROM nodes n WHERE n.run = webhooks.run AND n.run <> $3)",
        &[now.0.into(), now.0.into(), idle.into()],
    )?;
    Ok(())
}

/// Forgets old ones that are owed no more, with their tries; tells how many.
pub(crate) fn prune(
    sql: &mut dyn Sql,
    before: Timestamp,
    before_id: PurchaseId,
    limit: u32,
) -> Result<usize, Fault> {
    let old = all(
        sql,
        "SELECT purchase_id, account_id, environment, endpoint_id, event FROM webhooks
         WHERE purchase_id <= $1 AND at < $2 AND due_at IS NULL ORDER BY purchase_id LIMIT $3",
        &[before_id.0.into(), before.0.into(), limit.into()],
        |row| Ok((key(row)?, row.int(3)?, row.text(4)?.to_owned())),
    )?;
    for (key, endpoint, event) in &old {
        let [id, account, environment] = named(key);
        let which = [id, account, environment, (*endpoint).into(), event.into()];
        sql.defer(
            "DELETE FROM webhook_tries WHERE purchase_id = $1 AND account_id = $2 AND environment = $3 AND endpoint_id = $4 AND event = $5",
            WriteKey::Purchase(key.id.0),
            &which,
            None,
        )?;
        sql.defer(
            "DELETE FROM webhooks WHERE purchase_id = $1 AND account_id = $2 AND environment = $3 AND endpoint_id = $4 AND event = $5",
            WriteKey::Purchase(key.id.0),
            &which,
            None,
        )?;
    }
    Ok(old.len())
}

macro_rules! log_columns {
    () => {
        "purchase_id, account_id, environment, endpoint_id, event, sequence, url, body, at, state, due_at, tries, taken_at, status, \
         took_ms, says"
    };
}

fn logged(row: &dyn Row) -> Result<LoggedWebhook, Fault> {
    let taken = match row.opt_int(12)? {
        Some(at) => Some(Tried {
            at: Timestamp(at),
            verdict: "taken".to_owned(),
            status: status(row.opt_int(13)?)?,
            took_ms: row.u32(14)?,
            says: row.text(15)?.to_owned(),
        }),
        None => None,
    };
    Ok(LoggedWebhook {
        key: key(row)?,
        endpoint: EndpointId(row.int(3)?),
        event: row.text(4)?.to_owned(),
        sequence: row.u32(5)?,
        url: row.text(6)?.to_owned(),
        body: row.text(7)?.to_owned(),
        at: Timestamp(row.int(8)?),
        state: row.text(9)?.to_owned(),
        due_at: row.opt_int(10)?.map(Timestamp),
        tries: row.u32(11)?,
        taken,
    })
}

fn status(stored: Option<i64>) -> Result<Option<u16>, Fault> {
    stored.map(|s| u16::try_from(s).map_err(|_| Fault::corrupt("an HTTP status"))).transpose()
}

/// The log of an account, latest first.
pub(crate) fn log(sql: &mut dyn Sql, page: LogPage) -> Result<Vec<LoggedWebhook>, Fault> {
    all(
        sql,
        concat!(
            "SELECT ",
            log_columns!(),
            " FROM webhooks WHERE account_id = $1 AND at >= $2 AND (CAST($3 AS BIGINT) = 0 OR due_at IS NOT NULL) ORDER BY at DESC LIMIT $4"
        ),
        &[page.account.0.into(), page.since.0.into(), page.only_owed.into(), page.limit.into()],
        logged,
    )
}

/// What was told of a purchase, in order.
pub(crate) fn of(sql: &mut dyn Sql, purchase: PurchaseId) -> Result<Vec<LoggedWebhook>, Fault> {
    all(
        sql,
        concat!(
            "SELECT ",
            log_columns!(),
            " FROM webhooks WHERE purchase_id = $1 ORDER BY endpoint_id, sequence"
        ),
        &[purchase.0.into()],
        logged,
    )
}

/// The tries of one that were not taken, and those before a replay, oldest first.
pub(crate) fn tries(sql: &mut dyn Sql, webhook: &LoggedWebhook) -> Result<Vec<Tried>, Fault> {
    let [id, account, environment] = named(&webhook.key);
    all(
        sql,
        "SELECT at, verdict, status, took_ms, says FROM webhook_tries
         WHERE purchase_id = $1 AND account_id = $2 AND environment = $3 AND endpoint_id = $4 AND event = $5 ORDER BY at",
        &[id, account, environment, webhook.endpoint.0.into(), (&webhook.event).into()],
        |row| {
            Ok(Tried {
                at: Timestamp(row.int(0)?),
                verdict: row.text(1)?.to_owned(),
                status: status(row.opt_int(2)?)?,
                took_ms: row.u32(3)?,
                says: row.text(4)?.to_owned(),
            })
        },
    )
}
