//! The audit: recomputes everything that can be recomputed and names each row that is wrong.
//!
//! It reads in one snapshot, so it may run beside the writer. The live ledger begins where the last
//! archive ends, with what that carried forward; an archive's file is audited by the same checks.
//! Not here: repair. Memory grows by some 150 bytes a purchase.

mod agreements;
mod digests;
mod journals;
mod numbers;
mod purchases;
mod quick;
mod start;

pub(crate) use journals::JournalSums;
pub(crate) use purchases::{PurchaseRow, check_journals};
pub(crate) use quick::quick;

use crate::archive::Closing;
use crate::backend::{Args, Row, Sql};
use crate::fault::Result;
use start::Start;
use std::collections::{BTreeMap, HashMap};

/// Findings that are kept; the rest are counted.
const FINDINGS_KEPT: usize = 100;

/// What the audit counted and what it found wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// Journals read.
    pub journals: u64,
    /// Entries read.
    pub entries: u64,
    /// Ledger accounts read.
    pub ledger_accounts: u64,
    /// Purchases read.
    pub purchases: u64,
    /// Purchases that are not final.
    pub open: u64,
    /// Months that are archived: the audit begins after them.
    pub archived: u64,
    /// The sum of all balances by environment and currency, in minor units: each should be zero.
    pub sums: BTreeMap<String, i128>,
    /// Rows that are wrong, each named; at most 100.
    pub findings: Vec<String>,
    /// How many rows are wrong.
    pub findings_count: u64,
}

impl AuditReport {
    pub(crate) fn add(&mut self, finding: String) {
        self.findings_count += 1;
        if self.findings.len() < FINDINGS_KEPT {
            self.findings.push(finding);
        }
    }
}

/// Adds what is said of each row of a query, whose rows are findings.
fn find(
    sql: &mut dyn Sql,
    report: &mut AuditReport,
    query: &'static str,
    args: Args<'_>,
    say: impl Fn(&dyn Row) -> Result<String>,
) -> Result<()> {
    sql.query(query, args, &mut |row| {
        report.add(say(row)?);
        Ok(())
    })
}

/// Purchases with what their journals add up to, by id.
pub(crate) type PurchaseSums = HashMap<i64, (PurchaseRow, JournalSums)>;

/// What one part of the ledger (the live one, or an archived month) cannot check alone.
#[derive(Default)]
pub(crate) struct Unchecked {
    /// Purchases that may have more journals in a later part.
    pub(crate) continued: PurchaseSums,
    /// What journals of this part add up to for purchases of earlier parts.
    pub(crate) of_archived: HashMap<i64, JournalSums>,
}

/// Checks the database's own files and indexes, then, in one snapshot: the hash chain, every entry,
/// every balance against its entries and its floor, sums of zero, every purchase against its
/// journals, its reference, its attempts, its job, its events and its digest, every payment against
/// its reference, and whose wallets, logins and endpoints are.
pub(crate) fn audit(sql: &mut dyn Sql) -> Result<AuditReport> {
    audit_part(sql, None).map(|(report, _)| report)
}

/// The same for one part of the ledger: the live one, or a month in its own file. Purchases with
/// journals in several parts are left to be checked together.
pub(crate) fn audit_part(
    sql: &mut dyn Sql,
    month: Option<&Closing>,
) -> Result<(AuditReport, Unchecked)> {
    let broken = sql.own_check(month.is_none())?;
    sql.begin_snapshot()?;
    let audited = audit_snapshot(sql, month);
    sql.end_snapshot()?;
    let (mut report, unchecked) = audited?;
    for finding in broken {
        report.add(format!("the database's own check: {finding}"));
    }
    Ok((report, unchecked))
}

fn audit_snapshot(sql: &mut dyn Sql, month: Option<&Closing>) -> Result<(AuditReport, Unchecked)> {
    let (mut report, mut unchecked) = (AuditReport::default(), Unchecked::default());
    let start = Start::read(sql)?;
    report.archived = start.archived;
    let mut accounts = journals::ledger_accounts(sql, &start)?;
    report.ledger_accounts = accounts.len() as u64;
    let (mut sums, end) = journals::check(sql, &mut report, &mut accounts, &start)?;
    journals::check_balances(&mut report, &accounts);
    let continued = month.is_some().then_some(&mut unchecked.continued);
    let audited = purchases::Audited { accounts: &accounts, start: &start };
    purchases::check(sql, &mut report, &mut sums, continued, &audited)?;
    journals::check_orphans(sql, &mut report, &start)?;
    purchases::check_orphans(sql, &mut report, &start)?;
    agreements::check(sql, &mut report, &start)?;
    digests::check_attempts(sql, &mut report, &start)?;
    digests::check_rows(sql, &mut report)?;
    match month {
        Some(closing) => start::check_bounds(sql, &mut report, closing, &start, &end)?,
        None => {
            purchases::check_references(sql, &mut report, &start)?;
            agreements::check_live(sql, &mut report, &start)?;
        }
    }
    unchecked.of_archived = sums;
    Ok((report, unchecked))
}
