//! Archives: a file and a manifest for each month, written and audited before any row is removed
//! from the live ledger.
//!
//! Invariants: a file under its final name is complete and flushed; the next run continues an
//! interrupted one at the step it had reached.

use super::hex;
use crate::cmd::moment;
use crate::files::{cannot, flush_folder, write_private};
use anyhow::{Context as _, ensure};
use domain::Month;
use engine::Engine;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;
use store::{ArchiveFile, Closing, audit_month, ensure_alone};

/// The description of an archive file, stored beside it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArchiveManifest {
    /// 2026-04.
    month: String,
    /// The version of Saldo that wrote it.
    saldo: String,
    /// RFC 3339 in UTC.
    closed_at: String,
    file: String,
    bytes: u64,
    sha256: String,
    first_journal: i64,
    last_journal: i64,
    /// The hash of the journal before its first one.
    hash_before: String,
    /// The hash of its last journal.
    last_hash: String,
    journals: i64,
    entries: i64,
    purchases: i64,
}

impl ArchiveManifest {
    fn new(filed: &ArchiveFile, file: &str) -> ArchiveManifest {
        let closing = &filed.closing;
        ArchiveManifest {
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

    /// One sentence for the command line.
    pub(crate) fn summary(&self) -> String {
        format!(
            "{} is archived in {}: {} bytes, {} journals, {} purchases.",
            self.month, self.file, self.bytes, self.journals, self.purchases
        )
    }
}

/// Writes a closed month into the folder: the file, audited, and its manifest. Blocks the thread;
/// stops with an error once `is_wanted` returns false.
pub(crate) fn write(
    engine: &Engine,
    closing: &Closing,
    folder: &Path,
    is_wanted: &dyn Fn() -> bool,
) -> anyhow::Result<(ArchiveFile, ArchiveManifest)> {
    let name = file_name(closing.month);
    let path = folder.join(&name);
    let stage = folder.join(format!("{name}.partial"));
    // The month is not recorded as archived, so an existing file is left from an interrupted run.
    let journal = folder.join(format!("{name}.partial-journal"));
    for leftover in [&stage, &journal, &path] {
        if leftover.exists() {
            fs::remove_file(leftover).with_context(cannot(folder, "be written to"))?;
        }
    }
    ensure_alone(&stage)?;
    ensure_alone(&path)?;
    let filed = engine.write_archive(closing, &stage, is_wanted);
    let filed = filed.with_context(cannot(&stage, "be written"))?;
    let audit = audit_month(&stage).context("the archive cannot be read")?;
    ensure!(
        audit.report.findings_count == 0,
        "what would be archived does not balance, and nothing was removed: {}",
        audit.report.findings.join("; ")
    );
    fs::rename(&stage, &path).with_context(cannot(folder, "be written to"))?;
    let manifest = ArchiveManifest::new(&filed, &name);
    write_private(&path.with_extension("json"), &serde_json::to_vec_pretty(&manifest)?)?;
    flush_folder(folder)?;
    Ok((filed, manifest))
}

pub(crate) fn file_name(month: Month) -> String {
    format!("saldo-{month}.db")
}
