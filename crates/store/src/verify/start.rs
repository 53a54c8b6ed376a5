//! Where the audited rows begin: after the last archive.
//!
//! A month's file begins where the month before it ended, as the live ledger does after its last
//! archive.

use super::AuditReport;
use crate::archive::{self, Closing};
use crate::backend::{Sql, all, first, from_row, number, values};
use crate::fault::Result;
use crate::ledger::{FIRST_MONTH, GENESIS};
use domain::Month;
use std::collections::{HashMap, HashSet};

/// Where the audited rows begin.
pub(super) struct Start {
    /// The end of the chain before the first audited journal.
    pub(super) chain: ChainEnd,
    /// Purchases below are archived.
    pub(super) ids_from: i64,
    /// The number of archived months.
    pub(super) archived: u64,
    /// The last archived month, as stored; 0 without one.
    pub(super) month: i64,
    /// The balances of ledger accounts at its end.
    pub(super) carried: HashMap<i64, i64>,
    /// Months that were closed. A journal with an earlier time, because the clock stepped back, is
    /// of the month after.
    pub(super) closed: HashSet<Month>,
}

/// The end of the chain, as far as it is checked.
#[derive(Clone, Copy)]
pub(super) struct ChainEnd {
    pub(super) seq: i64,
    pub(super) hash: [u8; 32],
    pub(super) month: Month,
}

impl Start {
    pub(super) fn read(sql: &mut dyn Sql) -> Result<Start> {
        let months: Vec<(Month, bool)> =
            all(sql, "SELECT month, digest FROM archives ORDER BY month", &[], |row| {
                Ok((from_row(row)?, row.opt_bytes(1)?.is_some()))
            })?;
        let archived: Vec<Month> = months.iter().filter(|(_, is)| *is).map(|(m, _)| *m).collect();
        let month = archived.last().map_or(0, |month| month.number());
        let last = first(
            sql,
            "SELECT month, ids_below, last_journal, last_hash FROM archives WHERE month = $1",
            &values![month],
            archive::closed,
        )?;
        let carried = "SELECT ledger_account_id, balance FROM carried WHERE month = $1";
        let carried: Vec<(i64, i64)> = all(sql, carried, &values![month], from_row)?;
        let genesis = ChainEnd { seq: 0, hash: GENESIS, month: FIRST_MONTH };
        Ok(Start {
            chain: last.map_or(genesis, |last| ChainEnd {
                seq: last.last_journal,
                hash: last.last_hash,
                month: last.month.next(),
            }),
            ids_from: last.map_or(0, |last| last.ids_below),
            archived: archived.len() as u64,
            month,
            carried: carried.into_iter().collect(),
            closed: months.into_iter().map(|(month, _)| month).collect(),
        })
    }
}

/// Checks that a month's file begins and ends where the month was closed, and has its purchases.
pub(super) fn check_bounds(
    sql: &mut dyn Sql,
    report: &mut AuditReport,
    closing: &Closing,
    start: &Start,
    end: &ChainEnd,
) -> Result<()> {
    let month = closing.month;
    if (start.chain.seq + 1, start.chain.hash) != (closing.journals.0, closing.hashes.0) {
        report.add(format!("{month}: does not begin where the month before it ended"));
    }
    if (end.seq, end.hash) != (closing.journals.1, closing.hashes.1) {
        report.add(format!("{month}: does not end at journal {}", closing.journals.1));
    }
    let foreign = "SELECT count(*) FROM purchases WHERE id < $1 OR id >= $2";
    let foreign = number(sql, foreign, &values![closing.ids_from, closing.ids_below])?;
    if foreign > 0 {
        report.add(format!("{month}: {foreign} purchases in it are of other months"));
    }
    Ok(())
}
