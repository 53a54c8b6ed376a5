//! References that are used up, and the responses that are kept with them.
//!
//! One table, `claims`, for purchases and idempotency keys; those of payments from before they had
//! a table of their own are in it too. Invariant: it is never
//! pruned, so a reference stays used up for ever.

use super::digest;
use crate::backend::{Row, SetQuery, Sql, Value, WriteKey, first, from_row, values};
use crate::commit::unrefused;
use crate::fault::Result;
use domain::{PurchaseId, PurchaseKey, ReferenceKey, ReferenceOwner, Timestamp};

/// Keeps the first response to a request with an idempotency key.
#[derive(Clone, Debug)]
pub struct KeepResponse {
    /// The key, used up by its purchase.
    pub reference: ReferenceKey,
    /// The HTTP status.
    pub status: u16,
    /// The body, to the byte.
    pub body: String,
}

unrefused!(KeepResponse, (), |change, tx| {
    let [account, environment, scope, text] = reference_values(&change.reference);
    // Late: the same batch may use the reference up, under another key.
    tx.sql.defer(
        "INSERT INTO replays (account_id, environment, space, reference, status, body)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        WriteKey::Last,
        &values![account, environment, scope, text, i64::from(change.status), &change.body],
        None,
    )
});

/// A reference that is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredReference {
    /// The purchase that used it; none: a deposit of an older version.
    pub purchase: Option<PurchaseKey>,
    /// The digest of the request that used it.
    pub digest: Option<[u8; 32]>,
}

const FIND: &str = "SELECT purchase_id, digest FROM claims
    WHERE account_id = $1 AND environment = $2 AND space = $3 AND reference = $4";

/// Asks which references are used up.
pub(crate) fn owners_query<'a>(references: &[&'a ReferenceKey]) -> SetQuery<'a> {
    let mut query = SetQuery::new(FIND, 4);
    references.iter().for_each(|reference| query.add(&reference_values(reference)));
    query
}

/// Reads a row of [`owners_query`].
pub(crate) fn owner(row: &dyn Row, reference: &ReferenceKey) -> Result<ReferenceOwner> {
    Ok(ReferenceOwner { purchase: read_reference(row, reference)?.purchase })
}

/// What used a reference up; `None` while it is free.
pub(crate) fn stored_reference(
    sql: &mut dyn Sql,
    reference: &ReferenceKey,
) -> Result<Option<StoredReference>> {
    first(sql, FIND, &reference_values(reference), |row| read_reference(row, reference))
}

/// Uses a reference up, for ever.
pub(crate) fn use_up(
    sql: &mut dyn Sql,
    reference: &ReferenceKey,
    purchase: Option<PurchaseId>,
    digest: Option<&[u8; 32]>,
    at: Timestamp,
) -> Result<()> {
    let [account, environment, scope, text] = reference_values(reference);
    let row = values![account, environment, scope, text, purchase, digest, at];
    let row_digest = digest::of_values(&row);
    sql.defer(
        "INSERT INTO claims (account_id, environment, space, reference, purchase_id, digest, at,
             row_digest) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        WriteKey::Purchase(purchase.map_or(0, |p| p.0)),
        &values![account, environment, scope, text, purchase, digest, at, &row_digest],
        Some(1),
    )
}

/// The first response to a request with this idempotency key: status and body.
pub(crate) fn kept_response(
    sql: &mut dyn Sql,
    reference: &ReferenceKey,
) -> Result<Option<(u16, String)>> {
    first(
        sql,
        "SELECT status, body FROM replays
         WHERE account_id = $1 AND environment = $2 AND space = $3 AND reference = $4",
        &reference_values(reference),
        from_row,
    )
}

fn read_reference(row: &dyn Row, reference: &ReferenceKey) -> Result<StoredReference> {
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

/// The values that name a reference.
fn reference_values(reference: &ReferenceKey) -> [Value<'_>; 4] {
    values![reference.account, reference.environment, reference.scope, &reference.text]
}
