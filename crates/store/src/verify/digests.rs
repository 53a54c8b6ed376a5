//! Checks of digests over rows: of attempts, of references, of payments and of logins.
//!
//! Those of purchases are checked with the rest of a purchase. Rows from before there were digests
//! have none.

use super::AuditReport;
use super::start::Start;
use crate::backend::{Row, Sql, values};
use crate::fault::Result;
use crate::purchases::digest::{self, NO_DIGEST};
use domain::PurchaseId;

/// Checks each attempt, as it was started and as its last outcome was recorded.
pub(super) fn check_attempts(
    sql: &mut dyn Sql,
    report: &mut AuditReport,
    start: &Start,
) -> Result<()> {
    sql.query(
        "SELECT row_digest, outcome_digest, purchase_id, account_id, environment, number, upstream,
             started_at, purchase_id, account_id, environment, number, outcome, upstream_reference,
             text, heard_at, cost_currency, cost
         FROM attempts WHERE purchase_id >= $1 ORDER BY purchase_id, number",
        &values![start.ids_from],
        &mut |row| {
            let (started, outcome) = (row.bytes(0)?, row.bytes(1)?);
            let is_as_started =
                started == NO_DIGEST || started == digest::of_row(row, 2, "iititi")?;
            let is_as_recorded = match outcome {
                // From before there were digests, or without an outcome.
                NO_DIGEST if started == NO_DIGEST => true,
                NO_DIGEST => {
                    row.opt_text(12)?.is_none()
                        && row.opt_text(13)?.is_none()
                        && row.opt_text(14)?.is_none()
                        && row.opt_int(15)?.is_none()
                }
                // An outcome without a reference leaves that of the one before.
                _ => {
                    let [kept, left] = match row.opt_int(17)? {
                        Some(_) => ["iititttiti", "iitit0titi"],
                        None => ["iitittti", "iitit0ti"],
                    };
                    outcome == digest::of_row(row, 8, kept)?
                        || outcome == digest::of_row(row, 8, left)?
                }
            };
            if !is_as_started || !is_as_recorded {
                let (purchase, number) = (PurchaseId(row.int(2)?), row.int(5)?);
                report.add(format!(
                    "attempt {number} of purchase {purchase}: its digest does not fit its row, \
                     which was changed"
                ));
            }
            Ok(())
        },
    )
}

/// A table whose rows have a digest each.
struct Digested {
    /// The digest, and the columns that it covers.
    query: &'static str,
    /// The kinds of these columns, for [`digest::of_row`].
    kinds: &'static str,
    /// Names a row.
    name: fn(&dyn Row) -> Result<String>,
}

/// References that are used up, payments that are booked, and whose each login is.
const DIGESTED: [Digested; 3] = [
    Digested {
        query: "SELECT row_digest, account_id, environment, space, reference, purchase_id, digest,
                    at FROM claims",
        kinds: "itttibi",
        name: |row| {
            let (account, scope, reference) = (row.int(1)?, row.text(3)?, row.text(4)?);
            Ok(format!("reference {reference:?} ({scope}) of account {account}"))
        },
    },
    Digested {
        query: "SELECT row_digest, environment, rail, reference, account_id, journal_seq, at
                FROM payments ORDER BY environment, rail, reference",
        kinds: "tttiii",
        name: |row| {
            let (rail, reference, account) = (row.text(2)?, row.text(3)?, row.int(4)?);
            Ok(format!("payment {reference} ({rail}) of account {account}"))
        },
    },
    Digested {
        query: "SELECT owner_digest, id, account_id, created_at FROM users ORDER BY id",
        kinds: "iii",
        name: |row| Ok(format!("login {} of account {}", row.int(1)?, row.int(2)?)),
    },
];

/// Checks the rows of these tables.
pub(super) fn check_rows(sql: &mut dyn Sql, report: &mut AuditReport) -> Result<()> {
    for Digested { query, kinds, name } in DIGESTED {
        sql.query(query, &[], &mut |row| {
            let stored = row.bytes(0)?;
            if stored != NO_DIGEST && stored != digest::of_row(row, 1, kinds)? {
                let row = name(row)?;
                report.add(format!("{row}: its digest does not fit its row, which was changed"));
            }
            Ok(())
        })?;
    }
    Ok(())
}
