//! The quick check between audits.
//!
//! Its time depends on the number of ledger accounts and open purchases, not on the history.

use crate::backend::{Sql, all};
use crate::fault::Result;

/// Balances that do not sum to zero, and held money that differs from what open purchases hold.
/// Answers what is wrong; empty: nothing.
pub(crate) fn quick(sql: &mut dyn Sql) -> Result<Vec<String>> {
    let mut wrong = all(
        sql,
        "SELECT environment, currency, CAST(sum(balance) AS BIGINT) FROM ledger_accounts
         GROUP BY environment, currency HAVING sum(balance) <> 0",
        &[],
        |row| {
            let (environment, currency, sum) = (row.text(0)?, row.text(1)?, row.int(2)?);
            Ok(format!("{environment} {currency}: all balances sum to {sum}, not to zero"))
        },
    )?;
    // CROSS JOIN makes SQLite begin with the jobs, which are few.
    let held = all(
        sql,
        "SELECT l.environment, l.currency, CAST(l.held AS BIGINT),
             CAST(coalesce(o.held, 0) AS BIGINT)
         FROM (SELECT environment, currency, sum(balance) AS held FROM ledger_accounts
               WHERE purpose = 'held' GROUP BY environment, currency) l
         LEFT JOIN (SELECT p.environment, p.currency, sum(p.amount + p.fee) AS held
             FROM jobs j CROSS JOIN purchases p
             WHERE p.id = j.purchase_id AND p.account_id = j.account_id
                 AND p.environment = j.environment AND p.state <> 'quoted'
             GROUP BY p.environment, p.currency) o
         ON o.environment = l.environment AND o.currency = l.currency
         WHERE l.held <> coalesce(o.held, 0)",
        &[],
        |row| {
            let (environment, currency) = (row.text(0)?, row.text(1)?);
            let (held, open) = (row.int(2)?, row.int(3)?);
            Ok(format!("{environment} {currency}: wallets hold {held}, open purchases {open}"))
        },
    )?;
    wrong.extend(held);
    Ok(wrong)
}
