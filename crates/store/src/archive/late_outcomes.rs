//! What upstreams report about archived purchases: kept until staff have looked into it.
//!
//! Nothing else is known of such a purchase here, not even its account: only its archive has it.

use crate::backend::{Sql, all, columns, from_row, values};
use crate::commit::unrefused;
use crate::fault::Result;
use domain::{PurchaseId, Timestamp};

/// What an upstream reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateOutcome {
    /// The purchase that it is about.
    pub purchase: PurchaseId,
    /// The number of the attempt that it is about.
    pub attempt: u32,
    /// What was reported, in one word.
    pub word: String,
    /// The text that came with it.
    pub text: Option<String>,
    /// The upstream's own number for it.
    pub upstream_reference: Option<String>,
    /// When it came in.
    pub at: Timestamp,
}

columns!(LateOutcome: purchase, attempt, word, text, upstream_reference, at);

/// Keeps what was reported, once, for staff; the same once more changes nothing.
#[derive(Clone, Debug)]
pub struct KeepLateOutcome(pub LateOutcome);

/// Closes what upstreams reported about a purchase: staff have looked into it. Answers whether
/// anything was open.
#[derive(Clone, Debug)]
pub struct CloseLateOutcomes {
    /// The purchase.
    pub purchase: PurchaseId,
    /// Who looked into it.
    pub by: String,
    /// What was found.
    pub evidence: String,
    /// When it is closed.
    pub at: Timestamp,
}

unrefused!(KeepLateOutcome, (), |change, tx| {
    let late = &change.0;
    tx.sql.run(
        "INSERT INTO late_words (purchase_id, attempt, word, text, upstream_reference, at)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        &values![
            late.purchase,
            late.attempt,
            &late.word,
            &late.text,
            &late.upstream_reference,
            late.at
        ],
    )
});

unrefused!(CloseLateOutcomes, bool, |change, tx| {
    let closed = tx.sql.execute(
        "UPDATE late_words SET closed_at = $1, closed_by = $2, evidence = $3
             WHERE purchase_id = $4 AND closed_at IS NULL",
        &values![change.at, &change.by, &change.evidence, change.purchase],
    )?;
    Ok(closed > 0)
});

/// What waits for staff, oldest first.
pub(crate) fn open(sql: &mut dyn Sql) -> Result<Vec<LateOutcome>> {
    all(
        sql,
        "SELECT purchase_id, attempt, word, text, upstream_reference, at
         FROM late_words WHERE closed_at IS NULL ORDER BY at",
        &[],
        from_row,
    )
}
