//! Purchases, their references and attempts: rows in, rows out.
//!
//! Every query on an account's rows names the account and the environment; those for staff and for
//! upstreams' words, who know no account, say so.

use crate::backend::{Row, SetQuery, Sql, Value, WriteKey, all, first};
use crate::fault::Fault;
use crate::read::{self, purchase_columns};
use domain::clock::Timestamp;
use domain::ledger::admission::ReferenceOwner;
use domain::purchase::lifecycle::State;
use domain::purchase::settle::{AttemptChange, Proof};
use domain::purchase::{Attempt, Purchase, PurchaseKey, ReferenceKey};
use domain::upstream::UpstreamCode;
use domain::{AccountId, Environment, PurchaseId};

/// The values that name a purchase's rows in every table.
fn named(key: &PurchaseKey) -> [Value<'static>; 3] {
    [key.id.0.into(), key.account.0.into(), key.environment.code().into()]
}

fn reference_values(reference: &ReferenceKey) -> [Value<'_>; 4] {
    [
        reference.account.0.into(),
        reference.environment.code().into(),
        reference.scope.code().into(),
        (&reference.text).into(),
    ]
}

const CLAIMED: &str = "SELECT purchase_id, digest FROM claims WHERE account_id = $1 AND environment = $2 AND space = $3 AND reference = $4";
const STANDING: &str =
    "SELECT state, version FROM purchases WHERE id = $1 AND account_id = $2 AND environment = $3";

/// Asks which references are used up.
pub(crate) fn ask_taken<'a>(references: &[&'a ReferenceKey]) -> SetQuery<'a> {
    let mut ask = SetQuery::new(CLAIMED, 4);
    references.iter().for_each(|reference| ask.add(&reference_values(reference)));
    ask
}

/// What a used reference stands for.
pub(crate) fn taken(row: &dyn Row, reference: &ReferenceKey) -> Result<ReferenceOwner, Fault> {
    Ok(ReferenceOwner { purchase: read_claim(row, reference)?.purchase })
}

/// Asks where purchases stand.
pub(crate) fn ask_standing(keys: &[PurchaseKey]) -> SetQuery<'static> {
    let mut ask = SetQuery::new(STANDING, 3);
    keys.iter().for_each(|key| ask.add(&named(key)));
    ask
}

/// Where a purchase stands, and as which version.
pub(crate) fn standing(row: &dyn Row) -> Result<(State, u32), Fault> {
    Ok((read::state(row.text(0)?)?, row.u32(1)?))
}

/// A reference that is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredReference {
    /// By which purchase; none: a deposit.
    pub purchase: Option<PurchaseKey>,
    /// The digest of the request that used it.
    pub digest: Option<[u8; 32]>,
}

/// A reference's claim.
pub(crate) fn stored_reference(
    sql: &mut dyn Sql,
    reference: &ReferenceKey,
) -> Result<Option<StoredReference>, Fault> {
    first(sql, CLAIMED, &reference_values(reference), |row| read_claim(row, reference))
}

fn read_claim(row: &dyn Row, reference: &ReferenceKey) -> Result<StoredReference, Fault> {
    let key = |id| PurchaseKey {
        account: reference.account,
        environment: reference.environment,
        id: PurchaseId(id),
    };
    Ok(StoredReference {
        purchase: row.opt_int(0)?.map(key),
        digest: row.opt_bytes(1)?.and_then(|d| d.try_into().ok()),
    })
}

/// Uses a reference up.
pub(crate) fn claim(
    sql: &mut dyn Sql,
    reference: &ReferenceKey,
    purchase: Option<PurchaseId>,
    digest: Option<&[u8; 32]>,
    at: Timestamp,
) -> Result<(), Fault> {
    let [account, environment, scope, text] = reference_values(reference);
    sql.defer(
        "INSERT INTO claims (account_id, environment, space, reference, purchase_id, digest, at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        WriteKey::Purchase(purchase.map_or(0, |p| p.0)),
        &[account, environment, scope, text, purchase.map(|p| p.0).into(), digest.into(), at.0.into()],
        Some(1),
    )
}

/// Keeps a first answer.
pub(crate) fn remember(
    sql: &mut dyn Sql,
    reference: &ReferenceKey,
    status: u16,
    body: &str,
) -> Result<(), Fault> {
    let [account, environment, scope, text] = reference_values(reference);
    // Late: its claim may be of the same batch, under another key.
    sql.defer(
        "INSERT INTO replays (account_id, environment, space, reference, status, body) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        WriteKey::Last,
        &[account, environment, scope, text, i64::from(status).into(), body.into()],
        None,
    )
}

/// The first answer that was kept.
pub(crate) fn replay(
    sql: &mut dyn Sql,
    reference: &ReferenceKey,
) -> Result<Option<(u16, String)>, Fault> {
    first(
        sql,
        "SELECT status, body FROM replays WHERE account_id = $1 AND environment = $2 AND space = $3 AND reference = $4",
        &reference_values(reference),
        |row| {
            let status = u16::try_from(row.int(0)?).map_err(|_| Fault::corrupt("a status"))?;
            Ok((status, row.text(1)?.to_owned()))
        },
    )
}

/// A purchase.
pub(crate) fn by_key(sql: &mut dyn Sql, key: &PurchaseKey) -> Result<Option<Purchase>, Fault> {
    first(
        sql,
        concat!(
            "SELECT ",
            purchase_columns!(),
            " FROM purchases WHERE id = $1 AND account_id = $2 AND environment = $3"
        ),
        &named(key),
        read::purchase,
    )
}

/// The purchase that an id names, whoever's it is: for staff and for upstreams' words, who know no
/// account.
pub(crate) fn by_id(sql: &mut dyn Sql, id: PurchaseId) -> Result<Option<Purchase>, Fault> {
    first(
        sql,
        concat!("SELECT ", purchase_columns!(), " FROM purchases WHERE id = $1"),
        &[id.0.into()],
        read::purchase,
    )
}

/// The latest purchases of everybody, at most `limit`; of one state if it is given.
pub(crate) fn latest(
    sql: &mut dyn Sql,
    state: Option<State>,
    limit: u32,
) -> Result<Vec<Purchase>, Fault> {
    match state {
        None => all(
            sql,
            concat!("SELECT ", purchase_columns!(), " FROM purchases ORDER BY id DESC LIMIT $1"),
            &[limit.into()],
            read::purchase,
        ),
        // Open purchases are few and owe a job each: found by their jobs. `id + 0`: no database may take
        // the order as an invitation to walk the history until it has met enough of them.
        Some(state) if !state.is_final() => all(
            sql,
            concat!(
                "SELECT ",
                purchase_columns!(),
                " FROM purchases WHERE state = $1 AND id IN (SELECT purchase_id FROM jobs) ORDER BY id + 0 DESC LIMIT $2"
            ),
            &[state.code().into(), limit.into()],
            read::purchase,
        ),
        Some(State::Delivered) => all(
            sql,
            concat!(
                "SELECT ",
                purchase_columns!(),
                " FROM purchases WHERE state = 'delivered' ORDER BY id DESC LIMIT $1"
            ),
            &[limit.into()],
            read::purchase,
        ),
        // Other ends may be rare: found by their events, of which there is an index.
        Some(state) => all(
            sql,
            concat!(
                "SELECT ",
                purchase_columns!(),
                " FROM purchases WHERE state = $1 AND id IN
                 (SELECT purchase_id FROM events WHERE state = $2 AND state <> 'delivered' ORDER BY purchase_id DESC LIMIT $3)
                 ORDER BY id + 0 DESC LIMIT $4"
            ),
            &[state.code().into(), state.code().into(), limit.into(), limit.into()],
            read::purchase,
        ),
    }
}

/// The highest id of any purchase: new ids go on from there.
pub(crate) fn highest_id(sql: &mut dyn Sql) -> Result<i64, Fault> {
    Ok(first(sql, "SELECT coalesce(max(id), 0) FROM purchases", &[], |row| row.int(0))?
        .unwrap_or(0))
}

/// Writes a new purchase.
pub(crate) fn insert(sql: &mut dyn Sql, p: &Purchase, available_after: i64) -> Result<(), Fault> {
    let details = details(p)?;
    let [id, account, environment] = named(&p.key);
    sql.defer(
        concat!(
            "INSERT INTO purchases (",
            purchase_columns!(),
            ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27)"
        ),
        WriteKey::Purchase(p.key.id.0),
        &[
            id,
            account,
            environment,
            p.scope.code().into(),
            (&p.reference).into(),
            p.api_key.map(|k| k.0).into(),
            p.kind.code().into(),
            (&p.operator).into(),
            (&p.recipient).into(),
            p.service_type.code().into(),
            p.amount.currency().code().into(),
            p.amount.minor().into(),
            p.fee.minor().into(),
            p.commission.minor().into(),
            available_after.into(),
            details.as_str().into(),
            p.webhook_url.as_ref().into(),
            p.state.code().into(),
            p.version.into(),
            p.attempts.into(),
            p.upstream.as_ref().map(UpstreamCode::as_str).into(),
            p.text.as_ref().into(),
            p.decider.map(|d| d.code()).into(),
            p.opened_at.0.into(),
            p.updated_at.0.into(),
            p.delivered_at.map(|t| t.0).into(),
            p.product.as_ref().into(),
        ],
        Some(1),
    )
}

fn details(p: &Purchase) -> Result<String, Fault> {
    if p.details.is_empty() {
        return Ok("{}".to_owned());
    }
    serde_json::to_string(&p.details).map_err(|error| Fault::corrupt(error.to_string()))
}

/// Writes a step: from one version, and from no other.
pub(crate) fn step(sql: &mut dyn Sql, p: &Purchase, from_version: u32) -> Result<(), Fault> {
    let [id, account, environment] = named(&p.key);
    sql.defer(
        "UPDATE purchases SET state = $1, version = $2, attempts = $3, upstream = $4, text = $5, decider = $6,
                updated_at = $7, delivered_at = $8
         WHERE id = $9 AND account_id = $10 AND environment = $11 AND version = $12",
        WriteKey::Purchase(p.key.id.0),
        &[
            p.state.code().into(),
            p.version.into(),
            p.attempts.into(),
            p.upstream.as_ref().map(UpstreamCode::as_str).into(),
            p.text.as_ref().into(),
            p.decider.map(|d| d.code()).into(),
            p.updated_at.0.into(),
            p.delivered_at.map(|t| t.0).into(),
            id,
            account,
            environment,
            from_version.into(),
        ],
        Some(1),
    )
}

/// Notes what was left in the wallet right after the hold.
pub(crate) fn leave(
    sql: &mut dyn Sql,
    key: &PurchaseKey,
    available_after: i64,
) -> Result<(), Fault> {
    let [id, account, environment] = named(key);
    sql.defer(
        "UPDATE purchases SET available_after = $1 WHERE id = $2 AND account_id = $3 AND environment = $4",
        WriteKey::Purchase(key.id.0),
        &[available_after.into(), id, account, environment],
        Some(1),
    )
}

/// Writes what a step does to the attempts.
pub(crate) fn attempt(
    sql: &mut dyn Sql,
    key: &PurchaseKey,
    change: &AttemptChange,
    at: Timestamp,
) -> Result<(), Fault> {
    let [id, account, environment] = named(key);
    match change {
        AttemptChange::Start(attempt) => sql.defer(
            "INSERT INTO attempts (purchase_id, account_id, environment, number, upstream, started_at) VALUES ($1, $2, $3, $4, $5, $6)",
            WriteKey::Purchase(key.id.0),
            &[id, account, environment, attempt.number.into(), attempt.upstream.as_str().into(), attempt.started_at.0.into()],
            Some(1),
        ),
        AttemptChange::Heard { number, proof } => sql.defer(
            "UPDATE attempts SET outcome = $1, upstream_reference = coalesce($2, upstream_reference), text = $3, heard_at = $4
             WHERE purchase_id = $5 AND account_id = $6 AND environment = $7 AND number = $8",
            WriteKey::Purchase(key.id.0),
            &[
                (&proof.word).into(),
                proof.upstream_reference.as_ref().into(),
                proof.text.as_ref().into(),
                at.0.into(),
                id,
                account,
                environment,
                (*number).into(),
            ],
            None,
        ),
    }
}

/// The attempts of a purchase, first to last.
pub(crate) fn attempts(sql: &mut dyn Sql, key: &PurchaseKey) -> Result<Vec<Attempt>, Fault> {
    all(
        sql,
        "SELECT number, upstream, started_at, outcome, upstream_reference, text FROM attempts
         WHERE purchase_id = $1 AND account_id = $2 AND environment = $3 ORDER BY number",
        &named(key),
        |row| {
            Ok(Attempt {
                number: row.u32(0)?,
                upstream: UpstreamCode::new(row.text(1)?),
                started_at: Timestamp(row.int(2)?),
                outcome: row.opt_text(3)?.map(str::to_owned),
                upstream_reference: row.opt_text(4)?.map(str::to_owned),
                text: row.opt_text(5)?.map(str::to_owned),
            })
        },
    )
}

/// Keeps a word as evidence.
pub(crate) fn keep(
    sql: &mut dyn Sql,
    key: &PurchaseKey,
    proof: &Proof,
    at: Timestamp,
) -> Result<(), Fault> {
    let [id, account, environment] = named(key);
    sql.defer(
        "INSERT INTO evidence (purchase_id, account_id, environment, line, at, source, attempt, word, text, upstream_reference)
         VALUES ($1, $2, $3, (SELECT coalesce(max(line), 0) + 1 FROM evidence WHERE purchase_id = $1 AND account_id = $2 AND environment = $3),
                 $4, $5, $6, $7, $8, $9)",
        WriteKey::Purchase(key.id.0),
        &[
            id,
            account,
            environment,
            at.0.into(),
            proof.source.label().as_str().into(),
            proof.source.attempt().into(),
            (&proof.word).into(),
            proof.text.as_ref().into(),
            proof.upstream_reference.as_ref().into(),
        ],
        Some(1),
    )
}

/// A line of evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// When.
    pub at: Timestamp,
    /// Who said it.
    pub source: String,
    /// What, in one word.
    pub word: String,
    /// What came with it.
    pub text: Option<String>,
}

/// The evidence of a purchase, first to last.
pub(crate) fn evidence(sql: &mut dyn Sql, key: &PurchaseKey) -> Result<Vec<Evidence>, Fault> {
    all(
        sql,
        "SELECT at, source, word, text FROM evidence WHERE purchase_id = $1 AND account_id = $2 AND environment = $3 ORDER BY line",
        &named(key),
        |row| {
            Ok(Evidence {
                at: Timestamp(row.int(0)?),
                source: row.text(1)?.to_owned(),
                word: row.text(2)?.to_owned(),
                text: row.opt_text(3)?.map(str::to_owned),
            })
        },
    )
}

/// A case that staff must look into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCase {
    /// About which purchase.
    pub key: PurchaseKey,
    /// `clash` or `doubt`.
    pub why: String,
    /// Since when.
    pub opened_at: Timestamp,
    /// What was said.
    pub text: String,
}

/// The cases that are open, oldest first.
pub(crate) fn open_cases(sql: &mut dyn Sql) -> Result<Vec<OpenCase>, Fault> {
    all(
        sql,
        "SELECT purchase_id, account_id, environment, why, opened_at, text FROM cases WHERE closed_at IS NULL ORDER BY opened_at, purchase_id, why",
        &[],
        |row| {
            let environment: Environment = read::environment(row.text(2)?)?;
            Ok(OpenCase {
                key: PurchaseKey {
                    id: PurchaseId(row.int(0)?),
                    account: AccountId(row.int(1)?),
                    environment,
                },
                why: row.text(3)?.to_owned(),
                opened_at: Timestamp(row.int(4)?),
                text: row.text(5)?.to_owned(),
            })
        },
    )
}
