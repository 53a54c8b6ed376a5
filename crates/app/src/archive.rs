//! Archives: a file and a manifest a month, written and audited before anything leaves the live books.
//!
//! Invariants: a file under its final name is whole and flushed; what is cut off is done again by the
//! next run, from the step at which it was.

use crate::backup::{flush_folder, unwritable};
use crate::cmd::moment;
use crate::secrets::write_private;
use anyhow::{Context as _, ensure};
use domain::Month;
use engine::Engine;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;
use store::{ArchiveFile, Closing, audit_month};

/// What lies beside an archive's file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// 2026-04.
    month: String,
    /// By which Saldo.
    saldo: String,
    /// When the month was closed: RFC 3339 in UTC.
    closed_at: String,
    file: String,
    bytes: u64,
    sha256: String,
    first_journal: i64,
    last_journal: i64,
    /// The hash before its first journal.
    hash_before: String,
    /// That of its last.
    last_hash: String,
    journals: i64,
    entries: i64,
    purchases: i64,
}

impl Manifest {
    fn new(filed: &ArchiveFile, file: &str) -> Manifest {
        let closing = &filed.closing;
        Manifest {
            month: closing.month.to_string(),
            saldo: env!("CARGO_PKG_VERSION").to_owned(),
            closed_at: moment(closing.at),
            file: file.to_owned(),
            bytes: filed.bytes,
            sha256: hex(&filed.digest),
            first_journal: closing.journals.0,
            last_journal: closing.journals.1,
            hash_before: hex(&closing.hashes.0),
            last_hash: hex(&closing.hashes.1),
            journals: filed.journals,
            entries: filed.entries,
            purchases: filed.purchases,
        }
    }

    /// In a sentence.
    pub(crate) fn summary(&self) -> String {
        format!(
            "{} is archived in {}: {} bytes, {} journals, {} purchases.",
            self.month, self.file, self.bytes, self.journals, self.purchases
        )
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a closed month into the folder: the file, audited, and its manifest. Blocks.
pub(crate) fn write(
    engine: &Engine,
    closing: &Closing,
    folder: &Path,
    is_wanted: &dyn Fn() -> bool,
) -> anyhow::Result<(ArchiveFile, Manifest)> {
    let name = file_name(closing.month);
    let path = folder.join(&name);
    let stage = folder.join(format!("{name}.partial"));
    // A month that is not yet noted as archived has no file that counts: a run was cut off.
    for left in [&stage, &path] {
        if left.exists() {
            fs::remove_file(left).with_context(unwritable(folder))?;
        }
    }
    let filed = engine
        .write_archive(closing, &stage, is_wanted)
        .with_context(|| format!("{} cannot be written", stage.display()))?;
    let audit = audit_month(&stage).context("the archive cannot be read")?;
    let wrong = audit.report.findings.join("; ");
    ensure!(
        audit.report.findings_count == 0,
        "what would be archived does not balance, and nothing was removed: {wrong}"
    );
    fs::rename(&stage, &path).with_context(unwritable(folder))?;
    let manifest = Manifest::new(&filed, &name);
    write_private(&path.with_extension("json"), &serde_json::to_vec_pretty(&manifest)?)?;
    flush_folder(folder)?;
    Ok((filed, manifest))
}

/// The name of a month's file.
pub(crate) fn file_name(month: Month) -> String {
    format!("saldo-{month}.db")
}
