//! Orders that have ended and are asked about again: a delivery may be reversed days later.
//!
//! Ids ascend with the days, so a mark says how far an upstream's orders were asked about. Nothing
//! is decided by it. Invariant: of several nodes one takes each order.

use crate::backend::{Sql, all, columns, first, from_row, values};
use crate::commit::unrefused;
use crate::fault::Result;
use domain::{AttemptRef, PurchaseId, PurchaseKey, UpstreamCode};

/// An attempt that an upstream has answered for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedAttempt {
    /// Its purchase.
    pub purchase: PurchaseKey,
    /// Its number.
    pub number: u32,
}

columns!(EndedAttempt: purchase, number);

impl EndedAttempt {
    /// Our reference of it.
    pub const fn attempt(&self) -> AttemptRef {
        AttemptRef { purchase: self.purchase.id.number(), number: self.number }
    }
}

/// Moves the mark of an upstream: this node asks about everything between. Answers whether it may:
/// another node may have moved it.
#[derive(Clone, Debug)]
pub struct MoveRecheckMark {
    /// Which upstream.
    pub code: UpstreamCode,
    /// So many days after their day.
    pub days: u32,
    /// Where the mark was found; none: nowhere.
    pub from: Option<PurchaseId>,
    /// Where it is now.
    pub to: PurchaseId,
}

unrefused!(MoveRecheckMark, bool, |change, tx| {
    if mark(tx.sql, &change.code, change.days)? != change.from {
        return Ok(false);
    }
    tx.sql.run(
        "INSERT INTO rechecks (code, days, through_id) VALUES ($1, $2, $3)
         ON CONFLICT (code, days) DO UPDATE SET through_id = excluded.through_id",
        &values![&change.code, change.days, change.to],
    )?;
    Ok(true)
});

/// How far an upstream's orders were asked about again; none: it was never begun.
pub(crate) fn mark(
    sql: &mut dyn Sql,
    code: &UpstreamCode,
    days: u32,
) -> Result<Option<PurchaseId>> {
    let text = "SELECT through_id FROM rechecks WHERE code = $1 AND days = $2";
    first(sql, text, &values![code, days], from_row)
}

/// The attempts at an upstream that have an outcome, of purchases between two ids (the second one
/// is not among them), first to last.
pub(crate) fn ended_attempts(
    sql: &mut dyn Sql,
    code: &UpstreamCode,
    after: PurchaseId,
    before: PurchaseId,
    limit: u32,
) -> Result<Vec<EndedAttempt>> {
    all(
        sql,
        "SELECT purchase_id, account_id, environment, number FROM attempts
         WHERE purchase_id > $1 AND purchase_id < $2 AND upstream = $3 AND outcome IS NOT NULL
         ORDER BY purchase_id, account_id, environment, number LIMIT $4",
        &values![after, before, code, limit],
        from_row,
    )
}
