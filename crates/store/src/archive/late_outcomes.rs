//! What upstreams said about purchases that are archived: kept until staff have looked into it.
//!
//! Nothing else is known of such a purchase here: not even whose it is. Its archive tells.

use crate::backend::{Sql, all};
use crate::fault::Fault;
use domain::PurchaseId;
use domain::clock::Timestamp;

/// What an upstream said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateWord {
    /// About which purchase.
    pub purchase: PurchaseId,
    /// About which of its attempts.
    pub attempt: u32,
    /// What, in one word.
    pub word: String,
    /// What came with it.
    pub text: Option<String>,
    /// The upstream's own number for it.
    pub upstream_reference: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// Keeps a word; one that was said before says nothing new.
pub(crate) fn keep(sql: &mut dyn Sql, word: &LateWord) -> Result<(), Fault> {
    sql.execute(
        "INSERT INTO late_words (purchase_id, attempt, word, text, upstream_reference, at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT DO NOTHING",
        &[
            word.purchase.0.into(),
            word.attempt.into(),
            (&word.word).into(),
            word.text.as_ref().into(),
            word.upstream_reference.as_ref().into(),
            word.at.0.into(),
        ],
    )
    .map(|_| ())
}

/// Closes what was said about a purchase; answers whether anything was open.
pub(crate) fn close(
    sql: &mut dyn Sql,
    purchase: PurchaseId,
    (by, evidence): (&str, &str),
    at: Timestamp,
) -> Result<bool, Fault> {
    let closed = sql.execute(
        "UPDATE late_words SET closed_at = $1, closed_by = $2, evidence = $3 WHERE purchase_id = $4 AND closed_at IS NULL",
        &[at.0.into(), by.into(), evidence.into(), purchase.0.into()],
    )?;
    Ok(closed > 0)
}

/// The words that wait for staff, oldest first.
pub(crate) fn open(sql: &mut dyn Sql) -> Result<Vec<LateWord>, Fault> {
    all(
        sql,
        "SELECT purchase_id, attempt, word, text, upstream_reference, at FROM late_words WHERE closed_at IS NULL ORDER BY at",
        &[],
        |row| {
            Ok(LateWord {
                purchase: PurchaseId(row.int(0)?),
                attempt: row.u32(1)?,
                word: row.text(2)?.to_owned(),
                text: row.opt_text(3)?.map(str::to_owned),
                upstream_reference: row.opt_text(4)?.map(str::to_owned),
                at: Timestamp(row.int(5)?),
            })
        },
    )
}
