//! SQLite in the process: one connection that writes, several that read, one lock on the folder.
//!
//! WAL with `synchronous=FULL`: a commit is on the disk before anybody is answered. Settings are
//! asserted after they are set, because SQLite ignores what it does not like. Refuses another
//! process's folder, network filesystems, and a SQLite with the WAL-reset bug.

mod checkpoint;

use super::{Ask, EachAnswer, EachRow, Key, MIGRATIONS, Migration, Row, Sql, Value, WriteSql};
use crate::fault::{Fault, OpenError};
use checkpoint::Checkpointer;
use domain::Month;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// SQLite before this can corrupt a WAL database (WAL-reset race, fixed in 3.51.3).
const OLDEST_SQLITE: i32 = 3_051_003;
/// Pages of the log at which the writer folds it into the database by itself: 128 MiB. Long before, it was
/// folded beside the writer (`fold`), unless somebody reads for long.
const CHECKPOINT_PAGES: i64 = 32_768;
/// The writer's page cache, in KiB. SQLite walks through all of it at every commit, and the system
/// caches the file anyway: a larger one was no faster.
const CACHE_KIB: i64 = 16 * 1024;
/// How long another program's lock on the database is waited for.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// Statements kept prepared on each connection: more than the code has.
const STATEMENTS_KEPT: usize = 128;

/// The folder, held by this process alone until it is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    database: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the folder if need be, checks it and locks it.
    pub(crate) fn lock(path: &Path) -> Result<Folder, OpenError> {
        let unusable =
            |error: std::io::Error| OpenError::Unusable(path.to_owned(), error.to_string());
        if !path.exists() {
            make_private_folder(path).map_err(unusable)?;
        }
        refuse_network(path)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path.join("saldo.lock"))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Folder { database: path.join("saldo.db"), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }

    /// Opens the writing connection and brings the schema up to date.
    pub(crate) fn writer(&self) -> Result<Lite, OpenError> {
        let broken = |fault| OpenError::Database(self.database.clone(), fault);
        make_private_file(&self.database)
            .map_err(|error| OpenError::Unusable(self.database.clone(), error.to_string()))?;
        let mut lite = Lite::open(
            &self.database,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        )
        .map_err(broken)?;
        let found = lite.pragma("user_version").map_err(broken)?;
        let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        if found > known {
            return Err(OpenError::Newer { path: self.database.clone(), found, known });
        }
        lite.migrate(found).and_then(|()| lite.prepare_to_write()).map_err(broken)?;
        lite.folding = Some(Checkpointer::start(&self.database).map_err(broken)?);
        Ok(lite)
    }

    /// Opens a connection that can only read.
    pub(crate) fn reader(&self) -> Result<Lite, OpenError> {
        Lite::open(&self.database, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .map_err(|fault| OpenError::Database(self.database.clone(), fault))
    }
}

#[cfg(unix)]
fn make_private_folder(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Numbers and names are nobody else's business; SQLite gives its log the database's mode.
#[cfg(unix)]
pub(crate) fn make_private_file(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    if path.exists() {
        return Ok(());
    }
    File::options().write(true).create(true).truncate(false).mode(0o600).open(path).map(|_| ())
}

#[cfg(not(unix))]
pub(crate) fn make_private_file(_path: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn make_private_folder(path: &Path) -> std::io::Result<()> {
    fs::create_dir_all(path)
}

/// Magic numbers of statfs(2), from linux/magic.h and the filesystems' own headers.
#[cfg(target_os = "linux")]
fn refuse_network(path: &Path) -> Result<(), OpenError> {
    let stat = rustix::fs::statfs(path)
        .map_err(|error| OpenError::Unusable(path.to_owned(), error.to_string()))?;
    let kind = match stat.f_type & 0xffff_ffff {
        0x6969 => "NFS",
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => "SMB",
        0x0102_1997 => "9p",
        0x5346_414f => "AFS",
        0x00c3_6400 => "Ceph",
        _ => return Ok(()),
    };
    Err(OpenError::Network(path.to_owned(), kind))
}

#[cfg(not(target_os = "linux"))]
fn refuse_network(_path: &Path) -> Result<(), OpenError> {
    Ok(())
}

/// One connection.
pub(crate) struct Lite {
    /// The writer's; dropped first.
    folding: Option<Checkpointer>,
    connection: Connection,
}

impl Lite {
    pub(crate) fn open(path: &Path, flags: OpenFlags) -> Result<Lite, Fault> {
        if rusqlite::version_number() < OLDEST_SQLITE {
            return Err(Fault::Database(format!(
                "SQLite {} can corrupt its log; 3.51.3 is the oldest that is safe",
                rusqlite::version()
            )));
        }
        let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .map_err(fault)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        let lite = Lite { folding: None, connection };
        lite.wait_for_locks(BUSY_WAIT)?;
        Ok(lite)
    }

    /// A new database, in a file that is empty, for rows that are put into it once: what is cut off is
    /// thrown away. Foreign keys are not looked after.
    pub(crate) fn blank(path: &Path) -> Result<Lite, Fault> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let mut lite = Lite::open(path, flags)?;
        lite.migrate(0)?;
        lite.batch("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;")?;
        Ok(lite)
    }

    /// Leaves one file that stands for itself, and can be read without a log beside it.
    pub(crate) fn seal(&self) -> Result<(), Fault> {
        self.batch("PRAGMA journal_mode=DELETE;")
    }

    /// A database of this version's schema with what is in a file of this or an earlier version, which
    /// is not changed: the file itself, or a copy in memory.
    pub(crate) fn of_any_version(path: &Path) -> Result<Lite, Fault> {
        let lite = Lite::open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let found = lite.pragma("user_version")?;
        let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        if found == known {
            return Ok(lite);
        }
        if !(1..known).contains(&found) {
            return Err(Fault::Database(format!(
                "its schema is {found}; this Saldo knows {known}"
            )));
        }
        let connection = Connection::open_in_memory().map_err(fault)?;
        let mut copy = Lite { folding: None, connection };
        let backup = rusqlite::backup::Backup::new(&lite.connection, &mut copy.connection);
        backup.and_then(|b| b.run_to_completion(4_096, Duration::ZERO, None)).map_err(fault)?;
        copy.migrate(found)?;
        Ok(copy)
    }

    fn wait_for_locks(&self, most: Duration) -> Result<(), Fault> {
        self.connection.busy_timeout(most).map_err(fault)
    }

    fn batch(&self, text: &str) -> Result<(), Fault> {
        self.connection.execute_batch(text).map_err(fault)
    }

    /// For what a statement cannot do: copying.
    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Sets what durability rests on, and asserts that it is set.
    fn prepare_to_write(&mut self) -> Result<(), Fault> {
        let set = format!(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA mmap_size=0; PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}; PRAGMA cache_size=-{CACHE_KIB};"
        );
        self.connection.execute_batch(&set).map_err(fault)?;
        let journal: String = self
            .connection
            .query_row("PRAGMA journal_mode", [], |row| row.get(0))
            .map_err(fault)?;
        let settings =
            (journal.as_str(), self.pragma("synchronous")?, self.pragma("foreign_keys")?);
        match settings {
            ("wal", 2, 1) => Ok(()),
            other => Err(Fault::Database(format!(
                "journal_mode, synchronous, foreign_keys are {other:?} and cannot be set to wal, 2, 1"
            ))),
        }
    }

    pub(crate) fn pragma(&self, name: &str) -> Result<i64, Fault> {
        self.connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).map_err(fault)
    }

    /// Takes the steps that are missing, each in a Tx of its own. A step may rebuild a table, which
    /// SQLite does with foreign keys off (sqlite.org/lang_altertable.html, 7): what they would have
    /// refused is looked for before the commit.
    fn migrate(&mut self, found: i64) -> Result<(), Fault> {
        let done = usize::try_from(found).unwrap_or(0);
        self.connection
            .execute_batch("PRAGMA foreign_keys=OFF; PRAGMA synchronous=FULL;")
            .map_err(fault)?;
        for (version, step) in (1_i64..).zip(MIGRATIONS).skip(done) {
            if let Err(fault) = self.migrate_to(version, step) {
                // Best effort: the error below is what counts, and the connection is dropped.
                let _ = self.connection.execute_batch("ROLLBACK");
                return Err(fault);
            }
        }
        Ok(())
    }

    fn migrate_to(&mut self, version: i64, step: &Migration) -> Result<(), Fault> {
        let (common, own) = (translated(step.common), step.sqlite);
        let script = format!("BEGIN EXCLUSIVE;\n{common}\n{own}\nPRAGMA user_version={version};");
        self.connection.execute_batch(&script).map_err(fault)?;
        let mut lost = self.connection.prepare("PRAGMA foreign_key_check").map_err(fault)?;
        if lost.exists([]).map_err(fault)? {
            return Err(Fault::Corrupt(format!(
                "rows that refer to nothing keep the schema from becoming version {version}"
            )));
        }
        drop(lost);
        self.connection.execute_batch("COMMIT").map_err(fault)
    }

    fn bound(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<rusqlite::CachedStatement<'_>, Fault> {
        let mut statement = self.connection.prepare_cached(sql).map_err(fault)?;
        for (index, value) in (1..).zip(values) {
            debug_assert_eq!(
                statement.parameter_name(index),
                Some(format!("${index}").as_str()),
                "{sql}"
            );
            match value {
                Value::Null => statement.raw_bind_parameter(index, rusqlite::types::Null),
                Value::Int(n) => statement.raw_bind_parameter(index, n),
                Value::Text(s) => statement.raw_bind_parameter(index, s),
                Value::Bytes(b) => statement.raw_bind_parameter(index, b),
            }
            .map_err(fault)?;
        }
        Ok(statement)
    }
}

/// The common schema text in SQLite's words.
fn translated(common: &str) -> String {
    common
        .replace("BIGINT", "INTEGER")
        .replace("BYTEA", "BLOB")
        .replace("{{table}}", "STRICT")
        .replace("{{clustered}}", "STRICT, WITHOUT ROWID")
}

impl Sql for Lite {
    fn run(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<usize, Fault> {
        let mut statement = self.bound(sql, values)?;
        let done = statement.raw_execute().map_err(fault);
        #[cfg(test)]
        steps::count(&statement);
        done
    }

    fn each(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
        each: EachRow<'_>,
    ) -> Result<(), Fault> {
        let mut statement = self.bound(sql, values)?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(fault)? {
            each(&LiteRow(row))?;
        }
        #[cfg(test)]
        {
            drop(rows);
            steps::count(&statement);
        }
        Ok(())
    }

    fn put(
        &mut self,
        sql: &'static str,
        _key: Key,
        values: &[Value<'_>],
        expected: Option<usize>,
    ) -> Result<(), Fault> {
        match self.run(sql, values)? {
            rows if expected.is_none_or(|expected| expected == rows) => Ok(()),
            rows => Err(Fault::corrupt(format!(
                "a statement changed {rows} rows instead of {expected:?}: {sql}"
            ))),
        }
    }

    fn each_of(&mut self, asks: &[Ask<'_>], each: EachAnswer<'_>) -> Result<(), Fault> {
        for (number, ask) in asks.iter().enumerate() {
            for (set, values) in ask.values.chunks(ask.width).enumerate() {
                self.each(ask.sql, values, &mut |row| each((number, set), row))?;
            }
        }
        Ok(())
    }

    fn begin_reading(&mut self) -> Result<(), Fault> {
        self.run("BEGIN", &[]).map(|_| ())
    }

    fn end_reading(&mut self) -> Result<(), Fault> {
        self.run("COMMIT", &[]).map(|_| ())
    }
}

impl WriteSql for Lite {
    fn is_alone(&self) -> bool {
        true
    }

    fn node_run(&self) -> i64 {
        0
    }

    /// Questions cost little in the same process.
    fn can_be_blind(&self) -> bool {
        false
    }

    fn begin(&mut self, _is_blind: bool) -> Result<(), Fault> {
        if let Some(fault) = self.folding.as_mut().and_then(Checkpointer::take_failure) {
            return Err(fault);
        }
        self.run("BEGIN IMMEDIATE", &[]).map(|_| ())
    }

    fn nobody_wrote(&mut self) -> Result<bool, Fault> {
        Ok(true)
    }

    fn ensure_partitions(&mut self, _month: Month) -> Result<(), Fault> {
        // A file has one table for all months.
        Ok(())
    }

    fn send_commit(&mut self) -> Result<(), Fault> {
        // Durable when it returns: there is nothing to wait for.
        self.run("COMMIT", &[])?;
        if self.folding.as_mut().is_some_and(Checkpointer::committed) {
            let folded = self.batch("PRAGMA wal_checkpoint(PASSIVE)");
            self.folding.as_mut().into_iter().for_each(|folding| folding.keep(folded.clone()));
        }
        Ok(())
    }

    fn await_commit(&mut self, _is_enough: &dyn Fn() -> bool) -> bool {
        true
    }

    fn hear_commit(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn roll_back(&mut self) -> Result<(), Fault> {
        // SQLite rolls back by itself on some errors; a second roll-back is then an error.
        if self.connection.is_autocommit() {
            return Ok(());
        }
        self.run("ROLLBACK", &[]).map(|_| ())
    }

    fn idle(&mut self) {
        // Without waiting: whoever reads for long (a copy, an audit) must not hold purchases up.
        let tidied = self
            .wait_for_locks(Duration::ZERO)
            .and_then(|()| self.batch("PRAGMA wal_checkpoint(TRUNCATE)"));
        if let Err(fault) = tidied.and(self.wait_for_locks(BUSY_WAIT)) {
            tracing::warn!(%fault, "the log could not be folded into the database; it grows until it can");
        }
    }
}

struct LiteRow<'a>(&'a rusqlite::Row<'a>);

impl LiteRow<'_> {
    fn value(&self, column: usize) -> Result<ValueRef<'_>, Fault> {
        self.0.get_ref(column).map_err(fault)
    }
}

impl Row for LiteRow<'_> {
    fn int(&self, column: usize) -> Result<i64, Fault> {
        self.opt_int(column)?.ok_or_else(|| Fault::corrupt("a number is missing"))
    }

    fn opt_int(&self, column: usize) -> Result<Option<i64>, Fault> {
        self.value(column)?.as_i64_or_null().map_err(|error| Fault::corrupt(error.to_string()))
    }

    fn opt_text(&self, column: usize) -> Result<Option<&str>, Fault> {
        self.value(column)?.as_str_or_null().map_err(|error| Fault::corrupt(error.to_string()))
    }

    fn opt_bytes(&self, column: usize) -> Result<Option<&[u8]>, Fault> {
        self.value(column)?.as_blob_or_null().map_err(|error| Fault::corrupt(error.to_string()))
    }
}

/// A full disk passes; a failing one does not.
pub(crate) fn fault(error: rusqlite::Error) -> Fault {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Fault::DiskFull(text),
        Some(ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt) => Fault::Disk(text),
        _ => Fault::Database(text),
    }
}

/// How many steps the programs of this thread's statements took: what a query costs, whatever the
/// machine does meanwhile.
#[cfg(test)]
pub(crate) mod steps {
    use rusqlite::{Statement, StatementStatus};
    use std::cell::Cell;

    thread_local! {
        static STEPS: Cell<i64> = const { Cell::new(0) };
    }

    pub(super) fn count(statement: &Statement<'_>) {
        let taken = i64::from(statement.reset_status(StatementStatus::VmStep));
        STEPS.with(|steps| steps.set(steps.get() + taken));
    }

    /// Since it was last asked.
    pub(crate) fn taken() -> i64 {
        STEPS.with(|steps| steps.replace(0))
    }
}
