//! Copies of a store in use, and the audit of a copy before it is trusted.
//!
//! A copy is one snapshot: its pages are read in one reading Tx, which in WAL mode does not block
//! the writer. Not here: what else belongs to a backup (keys, a manifest), which is the app's.

use crate::backend::first;
use crate::backend::sqlite::{Folder, Sqlite, ensure_alone, fault, make_private_file};
use crate::fault::{Fault, OpenError, Result};
use crate::halts::{self, Halt};
use crate::store::{Location, Store};
use crate::verify::{self, AuditReport};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use std::fs::File;
use std::path::Path;

/// Pages copied in one step: 1 MiB. Before each step the copy checks whether it is still wanted.
const STEP_PAGES: i32 = 256;
/// Steps between two flushes of the copy. One flush of everything at the end would delay the
/// writer's own flushes on the same disk.
const FLUSH_EVERY: usize = 8;

/// What identifies the state of a ledger, besides the counts of its audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerEnd {
    /// The schema's version.
    pub schema: i64,
    /// The number of the last journal; 0 without journals.
    pub last_journal: i64,
    /// The last journal's hash in hexadecimal digits; empty without journals.
    pub last_hash: String,
}

/// A data folder that no other Saldo process can use until this is dropped.
#[derive(Debug)]
pub struct HeldFolder {
    folder: Folder,
}

impl HeldFolder {
    /// Makes the folder if need be and locks it; refuses what [`Store::open`] refuses.
    pub fn take(path: &Path) -> Result<HeldFolder, OpenError> {
        Ok(HeldFolder { folder: Folder::lock(path)? })
    }

    /// Audits the database in it where it lies, with whatever lies beside it, as a server would
    /// find it; reads the halt in force, too.
    pub fn audit(&self) -> Result<(LedgerEnd, AuditReport, Option<Halt>)> {
        let mut lite = self.folder.auditor().map_err(Fault::database)?;
        let (ending, report) = audited(&mut lite)?;
        Ok((ending, report, halts::current(&mut lite)?))
    }
}

impl Store {
    /// Copies the database as it is at this moment into a new file, flushed and readable by its
    /// owner alone; answers its size in bytes. The writer goes on meanwhile; the WAL grows until
    /// the copy is done. Ends with [`Fault::Closed`] once the copy is not wanted any more. Blocks:
    /// call it off the request path.
    pub fn copy_to(&self, file: &Path, is_wanted: &dyn Fn() -> bool) -> Result<u64> {
        let Location::Folder(folder) = self.location() else {
            return Err(Fault::Database(
                "a database on a server is copied by its own tools (pg_basebackup, pg_dump)".into(),
            ));
        };
        let source = folder.reader().map_err(Fault::database)?;
        if file.exists() {
            return Err(Fault::Database(format!("{} is there already", file.display())));
        }
        ensure_alone(file).map_err(Fault::database)?;
        make_private_file(file).map_err(Fault::database)?;
        let flush = File::open(file).map_err(Fault::database)?;
        copy(source.connection(), file, &flush, is_wanted)?;
        flush.sync_all().map_err(Fault::database)?;
        Ok(flush.metadata().map_err(Fault::database)?.len())
    }
}

fn copy(
    source: &Connection,
    file: &Path,
    flush: &File,
    is_wanted: &dyn Fn() -> bool,
) -> Result<()> {
    let mut target =
        Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(fault)?;
    // No journal: a copy that is interrupted is thrown away.
    target.execute_batch("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;").map_err(fault)?;
    // One Tx for all steps: without it each step would see a newer state, and start again.
    source.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema;").map_err(fault)?;
    {
        let backup = Backup::new(source, &mut target).map_err(fault)?;
        for step in 1_usize.. {
            if !is_wanted() {
                return Err(Fault::Closed);
            }
            match backup.step(STEP_PAGES).map_err(fault)? {
                StepResult::Done => break,
                StepResult::More if step.is_multiple_of(FLUSH_EVERY) => {
                    flush.sync_data().map_err(Fault::database)?;
                }
                StepResult::More => {}
                stuck @ (StepResult::Busy | StepResult::Locked | _) => {
                    return Err(Fault::Database(format!("the copy is {stuck:?}")));
                }
            }
        }
    }
    source.execute_batch("COMMIT").map_err(fault)?;
    // So the copy is one file, which can be read without a WAL beside it.
    let journal: String =
        target.query_row("PRAGMA journal_mode=DELETE", [], |row| row.get(0)).map_err(fault)?;
    match journal.as_str() {
        "delete" => Ok(()),
        other => Err(Fault::Database(format!("the copy keeps a log of its own ({other})"))),
    }
}

/// Audits a database file without changing it. Its schema must be this version's.
pub fn audit_file(file: &Path) -> Result<(LedgerEnd, AuditReport)> {
    audited(&mut Sqlite::auditor(file)?)
}

fn audited(lite: &mut Sqlite) -> Result<(LedgerEnd, AuditReport)> {
    let report = verify::audit(lite)?;
    let last =
        first(lite, "SELECT seq, hash FROM journals ORDER BY seq DESC LIMIT 1", &[], |row| {
            Ok((row.int(0)?, row.bytes(1)?.iter().map(|byte| format!("{byte:02x}")).collect()))
        })?;
    let (last_journal, last_hash) = last.unwrap_or_default();
    Ok((LedgerEnd { schema: lite.pragma("user_version")?, last_journal, last_hash }, report))
}
