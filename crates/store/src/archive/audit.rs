//! The audit of archive files: each by itself, against the live ledger's record, and together.
//!
//! Reads only. A file that cannot be read is reported, and the others are audited. Not here: the
//! checks themselves (`verify/`), which are those of the live ledger.

use super::{Archive, Closing, digest_of, every, month_in};
use crate::backend::Sql;
use crate::backend::sqlite::Sqlite;
use crate::fault::{Fault, Result};
use crate::verify::{self, AuditReport, Unchecked};
use domain::{Month, PurchaseId};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

/// The audit of one file.
pub struct MonthAudit {
    /// The month in it.
    pub closing: Closing,
    /// What was counted in it and found wrong.
    pub report: AuditReport,
    unchecked: Unchecked,
}

/// The audit of several files.
#[derive(Debug, Default)]
pub struct ArchivesAudit {
    /// The months that were read, each with its file and its report.
    pub months: Vec<(Month, PathBuf, AuditReport)>,
    /// What is wrong with files, between them, or between them and the live ledger.
    pub findings: Vec<String>,
    /// Purchases with journals in a month whose file was not given: not checked.
    pub unjudged: u64,
}

impl ArchivesAudit {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
            && self.months.iter().all(|(_, _, report)| report.findings_count == 0)
    }
}

/// Audits one file.
pub fn audit_month(path: &Path) -> Result<MonthAudit> {
    let mut file = Sqlite::of_any_version(path)?;
    let closing = month_in(&mut file)?
        .ok_or_else(|| Fault::Corrupt("it does not say which month it has".to_owned()))?;
    let (report, unchecked) = verify::audit_part(&mut file, Some(&closing))?;
    Ok(MonthAudit { closing, report, unchecked })
}

/// Audits files, and whether they fit together and with the live ledger.
pub(crate) fn audit_files(live: &mut dyn Sql, files: &[PathBuf]) -> Result<ArchivesAudit> {
    let known = every(live)?;
    let (_, unchecked) = verify::audit_part(live, None)?;
    let mut found = ArchivesAudit::default();
    let mut months: BTreeMap<Month, (PathBuf, MonthAudit)> = BTreeMap::new();
    for path in files {
        let name = path.display();
        match audit_month(path) {
            Err(fault) => found.findings.push(format!("{name}: cannot be read: {fault}")),
            Ok(audit) => {
                let archive = known.iter().find(|k| k.closing.month == audit.closing.month);
                compare(path, &audit, archive, &mut found.findings)?;
                months.insert(audit.closing.month, (path.clone(), audit));
            }
        }
    }
    check_together(&known, unchecked, &mut months, &mut found);
    for (month, (path, audit)) in months {
        found.months.push((month, path, audit.report));
    }
    Ok(found)
}

/// Compares a file with the live ledger's record of it.
fn compare(
    path: &Path,
    audit: &MonthAudit,
    archive: Option<&Archive>,
    findings: &mut Vec<String>,
) -> Result<()> {
    let (name, month) = (path.display(), audit.closing.month);
    let Some(archive) = archive else {
        findings.push(format!("{name}: {month} is not archived in these books"));
        return Ok(());
    };
    if digest_of(path)?.1 != archive.digest {
        findings.push(format!("{name}: is not the file that was written (its SHA-256 differs)"));
    }
    if audit.closing != archive.closing {
        findings.push(format!("{name}: does not begin and end as {month} does in these books"));
    }
    let counts = (audit.report.journals, audit.report.purchases);
    if counts != (archive.journals.unsigned_abs(), archive.purchases.unsigned_abs()) {
        findings.push(format!(
            "{name}: has {} journals and {} purchases; {} and {} were archived",
            counts.0, counts.1, archive.journals, archive.purchases
        ));
    }
    Ok(())
}

/// Checks the purchases that have journals in several months, where all later months were given.
fn check_together(
    known: &[Archive],
    live: Unchecked,
    months: &mut BTreeMap<Month, (PathBuf, MonthAudit)>,
    found: &mut ArchivesAudit,
) {
    let mut later_sums: Vec<_> = live.of_archived.into_iter().collect();
    for (_, audit) in months.values_mut() {
        later_sums.extend(std::mem::take(&mut audit.unchecked.of_archived));
    }
    let mut report = AuditReport::default();
    for (id, more) in later_sums {
        let purchase = PurchaseId(id);
        let month = Month::of_id(purchase);
        let Some((_, audit)) = months.get_mut(&month) else { continue };
        match audit.unchecked.continued.get_mut(&id) {
            Some((_, sums)) => *sums = sums.plus(&more),
            None => {
                report.add(format!("purchase {purchase}: journals after {month} are one too many"))
            }
        }
    }
    let given: HashSet<Month> = months.keys().copied().collect();
    for (month, (_, audit)) in months {
        let mut later = known.iter().map(|k| k.closing.month).filter(|m| m > month);
        let is_whole = later.all(|m| given.contains(&m));
        let mut continued: Vec<_> = audit.unchecked.continued.values().collect();
        continued.sort_by_key(|(purchase, _)| purchase.id);
        for (purchase, sums) in continued {
            match is_whole {
                true => verify::check_journals(&mut report, purchase, sums),
                false => found.unjudged += 1,
            }
        }
    }
    found.findings.extend(report.findings);
}
