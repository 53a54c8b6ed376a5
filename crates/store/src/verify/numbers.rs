//! Sequences, and that each purchase's number was given on the day that its id tells.
//!
//! A sequence that ends too early would give numbers twice; a day that is wrong would hide the
//! purchases of its numbers. Not here: other ids (the database's keys).

use super::{AuditReport, find};
use crate::backend::{Sql, all, from_row, values};
use crate::fault::Result;
use domain::{PurchaseId, Sequence};

/// The end of each sequence, and the highest number of a purchase: the low 37 bits of ids from
/// 20454 << 37 on.
const ENDS: &str = "SELECT s.name, s.last, coalesce(
         (SELECT max(id & 137438953471) FROM purchases WHERE id >= 2811176354316288 AND s.name =
         'purchase'), 0)
     FROM sequences s";

/// Purchases that their number does not lead to.
const HIDDEN: &str = "SELECT p.id FROM purchases p
     WHERE p.id >= $1 AND p.id >= 2811176354316288 AND p.id >> 37 <> coalesce((
         SELECT d.day FROM purchase_days d WHERE d.first_number <= p.id & 137438953471
         ORDER BY d.first_number DESC LIMIT 1), 0)
     ORDER BY p.id LIMIT 100";

/// Checks the sequences, and the purchases from `ids_from` on.
pub(super) fn check(sql: &mut dyn Sql, report: &mut AuditReport, ids_from: i64) -> Result<()> {
    let ends: Vec<(String, i64, i64)> = all(sql, ENDS, &[], from_row)?;
    for sequence in Sequence::ALL {
        match ends.iter().find(|(name, ..)| name == sequence.code()) {
            Some((_, last, highest)) if last >= highest => {}
            Some((name, last, highest)) => {
                report.add(format!("sequence {name}: ends at {last}, but {highest} is in use"));
            }
            None => report.add(format!("sequence {}: is not there", sequence.code())),
        }
    }
    find(sql, report, HIDDEN, &values![ids_from], |row| {
        let id = PurchaseId(row.int(0)?);
        Ok(format!("purchase {id}: its number was not given on its day"))
    })
}
