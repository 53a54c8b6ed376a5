//! The audit of archive files: each by itself, against what the live books know of it, and together.
//!
//! Reads only; a file that cannot be read is told, and the others are audited. Not here: the checks
//! themselves (`verify.rs`), which are those of the live books.

use super::{Archive, Closing, digest_of, every, month_in};
use crate::backend::sqlite::Sqlite;
use crate::backend::{Sql, all};
use crate::fault::Fault;
use crate::verify::{self, Report, Rest};
use domain::{Month, PurchaseId};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

/// Complaints of SQLite's own check that are kept.
const COMPLAINTS_KEPT: usize = 20;

/// A file's audit.
pub struct MonthAudit {
    /// The month in it.
    pub closing: Closing,
    /// What was counted and found wrong in it.
    pub report: Report,
    rest: Rest,
}

/// What the audit of several files found.
#[derive(Debug, Default)]
pub struct ArchivesAudit {
    /// The months that were read, each with its file and what was found in it.
    pub months: Vec<(Month, PathBuf, Report)>,
    /// What is wrong with files, between them, or between them and the live books.
    pub complaints: Vec<String>,
    /// Purchases that go on in a month whose file was not given: not judged.
    pub unjudged: u64,
}

impl ArchivesAudit {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.complaints.is_empty() && self.months.iter().all(|(_, _, report)| report.lies == 0)
    }
}

/// Audits one file: SQLite's own check, then the whole audit of its month.
pub fn audit_month(path: &Path) -> Result<MonthAudit, Fault> {
    let mut file = Sqlite::of_any_version(path)?;
    let broken =
        all(&mut file, "PRAGMA integrity_check(20)", &[], |row| Ok(row.text(0)?.to_owned()))?;
    let closing = month_in(&mut file)?
        .ok_or_else(|| Fault::Corrupt("it does not say which month it has".to_owned()))?;
    let (mut report, rest) = verify::audit_part(&mut file, Some(&closing))?;
    for says in broken.into_iter().filter(|says| says != "ok").take(COMPLAINTS_KEPT) {
        report.report(format!("the database's own check: {says}"));
    }
    Ok(MonthAudit { closing, report, rest })
}

/// Audits files, and how they join each other and the live books.
pub(crate) fn audit_files(live: &mut dyn Sql, files: &[PathBuf]) -> Result<ArchivesAudit, Fault> {
    let known = every(live)?;
    let (_, rest) = verify::audit_part(live, None)?;
    let mut found = ArchivesAudit::default();
    let mut months: BTreeMap<Month, (PathBuf, MonthAudit)> = BTreeMap::new();
    for path in files {
        let name = path.display();
        match audit_month(path) {
            Err(fault) => found.complaints.push(format!("{name}: cannot be read: {fault}")),
            Ok(audit) => {
                let archive = known.iter().find(|k| k.closing.month == audit.closing.month);
                compare(path, &audit, archive, &mut found.complaints)?;
                months.insert(audit.closing.month, (path.clone(), audit));
            }
        }
    }
    join(&known, rest, &mut months, &mut found);
    for (month, (path, audit)) in months {
        found.months.push((month, path, audit.report));
    }
    Ok(found)
}

/// Whether a file is the one that the live books speak of.
fn compare(
    path: &Path,
    audit: &MonthAudit,
    archive: Option<&Archive>,
    complaints: &mut Vec<String>,
) -> Result<(), Fault> {
    let (name, month) = (path.display(), audit.closing.month);
    let Some(archive) = archive else {
        complaints.push(format!("{name}: {month} is not archived in these books"));
        return Ok(());
    };
    if digest_of(path)?.1 != archive.digest {
        complaints.push(format!("{name}: is not the file that was written (its SHA-256 differs)"));
    }
    if audit.closing != archive.closing {
        complaints.push(format!("{name}: does not begin and end as {month} does in these books"));
    }
    let counts = (audit.report.journals, audit.report.purchases);
    if counts != (archive.journals.unsigned_abs(), archive.purchases.unsigned_abs()) {
        complaints.push(format!(
            "{name}: has {} journals and {} purchases; {} and {} were archived",
            counts.0, counts.1, archive.journals, archive.purchases
        ));
    }
    Ok(())
}

/// Judges the purchases whose journals go on in later months, where all of these are at hand.
fn join(
    known: &[Archive],
    live: Rest,
    months: &mut BTreeMap<Month, (PathBuf, MonthAudit)>,
    found: &mut ArchivesAudit,
) {
    let mut stories: Vec<_> = live.loose.into_iter().collect();
    for (_, audit) in months.values_mut() {
        stories.extend(std::mem::take(&mut audit.rest.loose));
    }
    let mut lies = Report::default();
    for (id, story) in stories {
        let month = Month::of_id(PurchaseId(id));
        let Some((_, audit)) = months.get_mut(&month) else { continue };
        match audit.rest.pending.get_mut(&id) {
            Some((_, told)) => *told = verify::told_together(told, &story),
            None => lies.report(format!("purchase {id}: journals after {month} are one too many")),
        }
    }
    let given: HashSet<Month> = months.keys().copied().collect();
    for (month, (_, audit)) in months {
        let mut later = known.iter().map(|k| k.closing.month).filter(|m| m > month);
        let is_whole = later.all(|m| given.contains(&m));
        let mut pending: Vec<_> = audit.rest.pending.values().collect();
        pending.sort_by_key(|(bought, _)| bought.id);
        for (bought, story) in pending {
            match is_whole {
                true => verify::money(&mut lies, bought, story),
                false => found.unjudged += 1,
            }
        }
    }
    found.complaints.extend(lies.complaints);
}
