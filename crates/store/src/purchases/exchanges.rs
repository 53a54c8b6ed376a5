//! Exchanges with upstreams: what was sent about an attempt and what came back, for staff.
//!
//! Kept for some weeks, and of one attempt no more than staff can read. Nothing is decided by them:
//! evidence is in a table of its own. Secrets are taken out before they arrive here.

use crate::backend::{Sql, all, values};
use crate::commit::unrefused;
use crate::fault::Result;
use domain::{AttemptRef, Exchange, PurchaseId, Timestamp, UpstreamCode};

/// Of one attempt, at most so many exchanges are kept: the first ones, which have the submit, and
/// the latest one, after which it was perhaps decided.
const OF_ATTEMPT_MAX: i64 = 40;

/// Keeps exchanges; one that is there already is not kept again.
#[derive(Clone, Debug)]
pub struct KeepExchanges(pub Vec<Exchange>);

/// Deletes exchanges from before this moment, at most so many.
#[derive(Clone, Copy, Debug)]
pub struct PruneExchanges {
    /// What is older goes.
    pub before: Timestamp,
    /// At most so many at once.
    pub limit: u32,
}

unrefused!(KeepExchanges, (), |change, tx| {
    for exchange in &change.0 {
        let Exchange { attempt, upstream, step, sent_at, request, reply } = exchange;
        let (id, number) = (attempt.purchase.0, attempt.number);
        let insert = "INSERT INTO exchanges
                 (purchase_number, attempt, sent_at, upstream, step, request, reply)
             SELECT CAST($1 AS BIGINT), CAST($2 AS BIGINT), CAST($3 AS BIGINT),
                 CAST($4 AS TEXT), CAST($5 AS TEXT), CAST($6 AS TEXT), CAST($7 AS TEXT)
             WHERE (SELECT count(*) FROM exchanges
                    WHERE purchase_number = $8 AND attempt = $9) < $10
             ON CONFLICT DO NOTHING";
        let columns = values![
            id,
            number,
            *sent_at,
            upstream,
            step,
            request,
            reply,
            id,
            number,
            OF_ATTEMPT_MAX
        ];
        let is_kept = tx.sql.execute(insert, &columns)? > 0;
        // It is known, or there are enough: then it takes the place of the latest one before it.
        let make_place = "DELETE FROM exchanges
             WHERE purchase_number = $1 AND attempt = $2 AND sent_at < $3
                 AND (SELECT count(*) FROM exchanges
                      WHERE purchase_number = $4 AND attempt = $5) >= $6
                 AND sent_at = (SELECT max(sent_at) FROM exchanges
                                WHERE purchase_number = $7 AND attempt = $8)";
        let place = values![id, number, *sent_at, id, number, OF_ATTEMPT_MAX, id, number];
        if !is_kept && tx.sql.execute(make_place, &place)? > 0 {
            tx.sql.run(insert, &columns)?;
        }
    }
    Ok(())
});

unrefused!(PruneExchanges, usize, |change, tx| tx.sql.execute(
    "DELETE FROM exchanges WHERE (purchase_number, attempt, sent_at, step) IN
         (SELECT purchase_number, attempt, sent_at, step FROM exchanges WHERE sent_at < $1
          ORDER BY sent_at LIMIT $2)",
    &values![change.before, change.limit],
));

/// For staff: the exchanges about a purchase, first to last.
pub(crate) fn exchanges(sql: &mut dyn Sql, purchase: PurchaseId) -> Result<Vec<Exchange>> {
    all(
        sql,
        "SELECT attempt, sent_at, upstream, step, request, reply FROM exchanges
         WHERE purchase_number = $1 ORDER BY sent_at, attempt, step",
        &values![purchase.number().0],
        |row| {
            Ok(Exchange {
                attempt: AttemptRef { purchase: purchase.number(), number: row.u32(0)? },
                sent_at: Timestamp(row.int(1)?),
                upstream: UpstreamCode::new(row.text(2)?),
                step: row.text(3)?.to_owned(),
                request: row.text(4)?.to_owned(),
                reply: row.text(5)?.to_owned(),
            })
        },
    )
}
