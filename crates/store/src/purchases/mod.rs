//! Purchases: rows in, rows out. Below: references, evidence, jobs, slips.
//!
//! Every query on an account's rows names the account and the environment. Those for staff, and for
//! upstreams' updates, which name no account, say so.

pub(crate) mod digest;
mod evidence;
mod exchanges;
pub(crate) mod find;
pub(crate) mod jobs;
pub(crate) mod list;
mod moves;
mod rechecks;
mod references;
pub(crate) mod slips;

pub use evidence::{
    CallbackOnRecord, CloseCase, Evidence, KeepAcknowledgement, KeepEvidence, OpenCase,
};
pub(crate) use evidence::{
    attempts, callbacks_after_the_end, change_attempt, close_case, evidence, keep_evidence,
    open_case, open_cases,
};
pub(crate) use exchanges::exchanges;
pub use exchanges::{KeepExchanges, PruneExchanges};
pub use find::PurchaseOwners;
pub(crate) use find::{find, latest as latest_of};
pub use jobs::{DueJob, Jobs, OutboxEvent, WaitForTurn};
pub use list::{PurchaseFilter, RecentPurchase};
pub(crate) use list::{list, recent};
pub use moves::{OpenPurchase, TakeStep};
pub use rechecks::{EndedAttempt, MoveRecheckMark};
pub(crate) use rechecks::{ended_attempts, mark as recheck_mark};
pub use references::{KeepResponse, StoredReference};
pub(crate) use references::{kept_response, owner, owners_query, stored_reference, use_up};
pub use slips::KeepSlip;

use crate::backend::{Row, SetQuery, Sql, Value, WriteKey, all, first, values};
use crate::fault::Result;
use crate::ledger::Page;
use crate::read::{self, purchase_columns, select_purchases};
use digest::Digest;
use domain::{AccountId, Environment, Purchase, PurchaseId, PurchaseKey, ReferenceScope, State};
use std::borrow::Cow;

/// The values that name a purchase's rows in every table.
pub(crate) fn key_values(key: &PurchaseKey) -> [Value<'static>; 3] {
    values![key.id, key.account, key.environment]
}

/// Asks for the state and version of purchases.
///
/// Here, and wherever one purchase is meant, `IS NOT DISTINCT FROM` instead of `=` keeps PostgreSQL
/// from another index than the primary key. A new month's table has no statistics yet, and an index
/// of lists then looks as good: all purchases of the account would be read for each step of one.
/// SQLite takes it for `=`: it knows that it changes one row, and needs no savepoint for it.
pub(crate) fn versions_query(keys: &[PurchaseKey]) -> SetQuery<'static> {
    let mut query = SetQuery::new(
        "SELECT state, version FROM purchases
         WHERE id = $1 AND account_id IS NOT DISTINCT FROM $2
             AND environment IS NOT DISTINCT FROM $3",
        3,
    );
    keys.iter().for_each(|key| query.add(&key_values(key)));
    query
}

/// Reads a row of [`versions_query`].
pub(crate) fn version(row: &dyn Row) -> Result<(State, u32)> {
    Ok((read::state(row.text(0)?)?, row.u32(1)?))
}

/// A purchase of an account.
pub(crate) fn by_key(sql: &mut dyn Sql, key: &PurchaseKey) -> Result<Option<Purchase>> {
    first(
        sql,
        select_purchases!(
            "WHERE id = $1 AND account_id IS NOT DISTINCT FROM $2
                 AND environment IS NOT DISTINCT FROM $3"
        ),
        &key_values(key),
        read::purchase,
    )
}

/// A purchase of any account: for staff and for upstreams' updates, which name no account.
pub(crate) fn by_id(sql: &mut dyn Sql, id: PurchaseId) -> Result<Option<Purchase>> {
    first(sql, select_purchases!("WHERE id = $1"), &values![id], read::purchase)
}

/// For staff: the latest purchases of all accounts, at most `limit`; of one state if it is given.
pub(crate) fn latest(sql: &mut dyn Sql, state: Option<State>, limit: u32) -> Result<Vec<Purchase>> {
    match state {
        None => all(
            sql,
            select_purchases!("ORDER BY id DESC LIMIT $1"),
            &values![limit],
            read::purchase,
        ),
        // Open purchases are few and have a job each: found by their jobs. `id + 0` keeps the
        // database from walking the whole history in the order of ids until it has found enough.
        Some(state) if !state.is_final() => all(
            sql,
            select_purchases!(
                "WHERE state = $1 AND id IN (SELECT purchase_id FROM jobs)
                 ORDER BY id + 0 DESC LIMIT $2"
            ),
            &values![state, limit],
            read::purchase,
        ),
        Some(State::Delivered) => all(
            sql,
            select_purchases!("WHERE state = 'delivered' ORDER BY id DESC LIMIT $1"),
            &values![limit],
            read::purchase,
        ),
        // Other final states may be rare: found by an index of their events.
        Some(state) => all(
            sql,
            select_purchases!(
                "WHERE state = $1 AND id IN (
                     SELECT purchase_id FROM events WHERE state = $2 AND state <> 'delivered'
                     ORDER BY purchase_id DESC LIMIT $3) ORDER BY id + 0 DESC LIMIT $4"
            ),
            &values![state, state, limit, limit],
            read::purchase,
        ),
    }
}

pub(crate) const BY_LOGINS: &str = select_purchases!(
    "WHERE account_id = $1 AND environment = $2 AND key_id IS NULL AND id < $3 AND space = $4
         AND ($5 = ',,' OR $6 LIKE '%,' || state || ',%')
     ORDER BY id DESC LIMIT $7"
);

/// The purchases that an account's logins made in one dialect, latest first; of these states, or of
/// all.
pub(crate) fn by_logins(
    sql: &mut dyn Sql,
    account: AccountId,
    environment: Environment,
    scope: ReferenceScope,
    states: &[State],
    page: Page,
) -> Result<Vec<Purchase>> {
    let codes: Vec<&str> = states.iter().map(|state| state.code()).collect();
    let states = format!(",{},", codes.join(","));
    all(
        sql,
        BY_LOGINS,
        &values![
            account,
            environment,
            page.before.unwrap_or(i64::MAX),
            scope,
            &states,
            &states,
            page.limit
        ],
        read::purchase,
    )
}

/// The kinds of [`purchase_columns`] for the digest of a purchase. `available_after` is left out:
/// it is written by itself, and the journals confirm it.
pub(crate) const DIGEST_KINDS: &str = "iitttitttttiii-tttiitttiiit";

/// Inserts a new purchase.
pub(crate) fn insert(sql: &mut dyn Sql, p: &Purchase, available_after: i64) -> Result<()> {
    let details = details(p)?;
    let row = row_values(p, available_after, &details);
    let digest = row_digest(&row);
    let mut all = row.to_vec();
    all.push((&digest).into());
    sql.defer(
        concat!(
            "INSERT INTO purchases (",
            purchase_columns!(),
            ", row_digest) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,
                 $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28)"
        ),
        WriteKey::Purchase(p.key.id.0),
        &all,
        Some(1),
    )
}

/// The values of [`purchase_columns`].
fn row_values<'a>(p: &'a Purchase, available_after: i64, details: &'a str) -> [Value<'a>; 27] {
    let [id, account, environment] = key_values(&p.key);
    values![
        id,
        account,
        environment,
        p.scope,
        &p.reference,
        p.api_key,
        p.kind,
        &p.operator,
        &p.recipient,
        p.service_type.code(),
        p.amount.currency(),
        p.amount.minor(),
        p.fee.minor(),
        p.commission.minor(),
        available_after,
        details,
        &p.webhook_url,
        p.state,
        p.version,
        p.attempts,
        &p.upstream,
        &p.text,
        p.decider.map(|d| d.code()),
        p.opened_at,
        p.updated_at,
        p.delivered_at,
        &p.product
    ]
}

/// The digest of [`row_values`].
fn row_digest(row: &[Value<'_>; 27]) -> Digest {
    let kinds = DIGEST_KINDS.bytes();
    let covered = row.iter().zip(kinds).filter(|(_, kind)| *kind != b'-');
    digest::of(covered.map(|(value, _)| *value))
}

fn details(p: &Purchase) -> Result<Cow<'static, str>> {
    if p.details.is_empty() {
        return Ok(Cow::Borrowed("{}"));
    }
    read::to_json(&p.details).map(Cow::Owned)
}

/// What a step writes into the purchase itself.
pub(crate) const STEP: &str = "UPDATE purchases
    SET state = $1, version = $2, attempts = $3, upstream = $4, text = $5, decider = $6,
        updated_at = $7, delivered_at = $8, row_digest = $9
    WHERE id = $10 AND account_id IS NOT DISTINCT FROM $11
        AND environment IS NOT DISTINCT FROM $12 AND version = $13";

/// Updates a purchase by compare-and-swap on its version.
pub(crate) fn update(sql: &mut dyn Sql, p: &Purchase, from_version: u32) -> Result<()> {
    let [id, account, environment] = key_values(&p.key);
    let details = details(p)?;
    let digest = row_digest(&row_values(p, p.available_after.minor(), &details));
    sql.defer(
        STEP,
        WriteKey::Purchase(p.key.id.0),
        &values![
            p.state,
            p.version,
            p.attempts,
            &p.upstream,
            &p.text,
            p.decider.map(|d| d.code()),
            p.updated_at,
            p.delivered_at,
            &digest,
            id,
            account,
            environment,
            from_version
        ],
        Some(1),
    )
}

/// Stores what the wallet had available right after the hold.
pub(crate) fn set_available_after(
    sql: &mut dyn Sql,
    key: &PurchaseKey,
    available_after: i64,
) -> Result<()> {
    let [id, account, environment] = key_values(key);
    sql.defer(
        "UPDATE purchases SET available_after = $1
         WHERE id = $2 AND account_id IS NOT DISTINCT FROM $3
             AND environment IS NOT DISTINCT FROM $4",
        WriteKey::Purchase(key.id.0),
        &values![available_after, id, account, environment],
        Some(1),
    )
}
