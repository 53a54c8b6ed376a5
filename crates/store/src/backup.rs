//! Copies of a store that serves, and what must be known about a copy before it is trusted.
//!
//! A copy is one snapshot: pages are read under one reading Tx, which in WAL mode holds no writer
//! up. Not here: what else belongs to a backup (keys, a manifest), which is the app's matter.

use crate::backend::sqlite::{Folder, Sqlite, fault, make_private_file};
use crate::backend::{all, first};
use crate::{Fault, OpenError, Report, Store, verify};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use std::fs::File;
use std::path::Path;

/// Pages copied at a time: 1 MiB. Between two steps it is looked whether the copy is still wanted.
const PAGES_A_STEP: i32 = 256;
/// Steps after which the copy is flushed. One flush of everything at the end would keep the
/// writer's own flushes waiting on the same disk.
const FLUSH_EVERY: usize = 8;
/// Complaints of SQLite's own check that are kept.
const COMPLAINTS_KEPT: usize = 20;

/// What names the state of a ledger, beside what the audit counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The schema's version.
    pub schema: i64,
    /// The number of the last journal; 0 without one.
    pub last_journal: i64,
    /// The end of the chain of journals, in hexadecimal digits; empty without one.
    pub last_hash: String,
}

/// A data folder that is kept from every other Saldo process until this is dropped.
#[derive(Debug)]
pub struct HeldFolder {
    _folder: Folder,
}

impl HeldFolder {
    /// Makes the folder if need be and holds it; refuses what [`Store::open`] refuses.
    pub fn take(path: &Path) -> Result<HeldFolder, OpenError> {
        Ok(HeldFolder { _folder: Folder::lock(path)? })
    }
}

impl Store {
    /// Copies the database as it is at this moment into a new file, flushed, for its owner alone;
    /// answers its bytes. The writer goes on meanwhile; its log grows until the copy is done. Ends
    /// with [`Fault::Closed`] once the copy is not wanted any more. Blocks: call it off the
    /// request path.
    pub fn copy_to(&self, file: &Path, is_wanted: &dyn Fn() -> bool) -> Result<u64, Fault> {
        let unwritable = |error: std::io::Error| Fault::Database(error.to_string());
        let Some(folder) = self.folder() else {
            return Err(Fault::Database(
                "a database on a server is copied by its own tools (pg_basebackup, pg_dump)".into(),
            ));
        };
        let source = folder.reader().map_err(|error| Fault::Database(error.to_string()))?;
        if file.exists() {
            return Err(Fault::Database(format!("{} is there already", file.display())));
        }
        make_private_file(file).map_err(unwritable)?;
        let flush = File::open(file).map_err(unwritable)?;
        copy(source.connection(), file, &flush, is_wanted)?;
        flush.sync_all().map_err(unwritable)?;
        Ok(flush.metadata().map_err(unwritable)?.len())
    }
}

fn copy(
    source: &Connection,
    file: &Path,
    flush: &File,
    is_wanted: &dyn Fn() -> bool,
) -> Result<(), Fault> {
    let mut target =
        Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(fault)?;
    // Nothing to go back to: a copy that is cut off is thrown away.
    target.execute_batch("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;").map_err(fault)?;
    // One Tx for all steps: without it each step would see another state, and begin anew.
    source.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema;").map_err(fault)?;
    {
        let backup = Backup::new(source, &mut target).map_err(fault)?;
        for step in 1_usize.. {
            if !is_wanted() {
                return Err(Fault::Closed);
            }
            match backup.step(PAGES_A_STEP).map_err(fault)? {
                StepResult::Done => break,
                StepResult::More if step.is_multiple_of(FLUSH_EVERY) => {
                    flush.sync_data().map_err(|error| Fault::Database(error.to_string()))?;
                }
                StepResult::More => {}
                stuck @ (StepResult::Busy | StepResult::Locked | _) => {
                    return Err(Fault::Database(format!("the copy is {stuck:?}")));
                }
            }
        }
    }
    source.execute_batch("COMMIT").map_err(fault)?;
    // One file that stands for itself, and can be read without a log beside it.
    let journal: String =
        target.query_row("PRAGMA journal_mode=DELETE", [], |row| row.get(0)).map_err(fault)?;
    match journal.as_str() {
        "delete" => Ok(()),
        other => Err(Fault::Database(format!("the copy keeps a log of its own ({other})"))),
    }
}

/// Audits a database that need not be open, and changes nothing: SQLite's own check, then the
/// whole audit. Its schema must be this version's.
pub fn audit_file(file: &Path) -> Result<(Ending, Report), Fault> {
    let mut lite = Sqlite::open(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let broken =
        all(&mut lite, "PRAGMA integrity_check(20)", &[], |row| Ok(row.text(0)?.to_owned()))?;
    let mut report = verify::audit(&mut lite)?;
    for says in broken.into_iter().filter(|says| says != "ok").take(COMPLAINTS_KEPT) {
        report.lies += 1;
        report.complaints.push(format!("the database's own check: {says}"));
    }
    let last =
        first(&mut lite, "SELECT seq, hash FROM journals ORDER BY seq DESC LIMIT 1", &[], |row| {
            Ok((row.int(0)?, row.bytes(1)?.iter().map(|byte| format!("{byte:02x}")).collect()))
        })?;
    let (last_journal, last_hash) = last.unwrap_or_default();
    Ok((Ending { schema: lite.pragma("user_version")?, last_journal, last_hash }, report))
}
