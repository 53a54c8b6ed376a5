//! SQLite in this process: one connection writes, several read, the data folder is locked.
//!
//! Invariants: with WAL and `synchronous=FULL` a commit is on the disk before it is acknowledged.
//! Settings are read back after they are set, because SQLite ignores a setting that it does not
//! accept. A SQLite library with the WAL-reset bug is refused.

mod checkpoint;
mod folder;
mod writer;

pub use folder::ensure_alone;
pub(crate) use folder::{Folder, make_private_file};

use super::{
    Args, MIGRATIONS, Migration, OnRow, OnSetRow, Row, SCHEMA_VERSION, SetIndex, SetQuery, Sql,
    Value, WriteKey, all,
};
use crate::fault::Fault;
use checkpoint::Checkpointer;
use rusqlite::config::DbConfig;
use rusqlite::types::FromSql;
use rusqlite::{Connection, ErrorCode, OpenFlags, Statement};
use std::path::Path;
use std::time::Duration;

/// An older SQLite can corrupt a WAL database (WAL-reset race, fixed in 3.51.3).
const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// Pages of the WAL at which the writer itself runs a checkpoint: 128 MiB. The checkpoint thread
/// does it long before, unless a reader keeps a snapshot for very long.
const CHECKPOINT_PAGES: i64 = 32_768;
/// The writer's page cache, in KiB. SQLite walks through all of it at nearly every commit, and the
/// system caches the file anyway: with 16 MiB that walk took 9 µs of each sale at full load.
const CACHE_KIB: i64 = 4 * 1024;
/// How long a connection waits for another program's lock on the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Prepared statements cached on each connection: more than the code has.
const STATEMENTS_MAX: usize = 128;

/// One connection to a SQLite database.
pub(crate) struct Sqlite {
    /// Only the writer has one. The first field, because it must be dropped before the connection.
    checkpointer: Option<Checkpointer>,
    connection: Connection,
}

impl Sqlite {
    pub(crate) fn open(path: &Path, flags: OpenFlags) -> Result<Sqlite, Fault> {
        if rusqlite::version_number() < SQLITE_VERSION_MIN {
            return Err(Fault::Database(format!(
                "SQLite {} can corrupt its log; 3.51.3 is the oldest that is safe",
                rusqlite::version()
            )));
        }
        let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .map_err(fault)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        // One plan for all values: otherwise most statements with a LIMIT are compiled again each
        // time that they run.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(fault)?;
        let sqlite = Sqlite { checkpointer: None, connection };
        sqlite.set_lock_timeout(BUSY_TIMEOUT)?;
        Ok(sqlite)
    }

    /// A connection for the audit, which changes nothing. It is opened as one that could write:
    /// SQLite does not even read the CHECK constraints of a schema that is opened read-only, and
    /// its own check would pass whatever they forbid.
    pub(crate) fn auditor(path: &Path) -> Result<Sqlite, Fault> {
        let sqlite = Sqlite::open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        sqlite.run_script("PRAGMA query_only=ON;")?;
        Ok(sqlite)
    }

    /// A new database in an empty file that is filled once: without durability and without foreign
    /// keys. If the process ends before the file is complete, the file must be thrown away.
    pub(crate) fn blank(path: &Path) -> Result<Sqlite, Fault> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let mut sqlite = Sqlite::open(path, flags)?;
        sqlite.migrate(0)?;
        sqlite.run_script("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;")?;
        Ok(sqlite)
    }

    /// Leaves WAL mode, so that the database is one file that can be read without its WAL.
    pub(crate) fn seal(&self) -> Result<(), Fault> {
        self.run_script("PRAGMA journal_mode=DELETE;")
    }

    /// Opens a file of this or an older schema version for reading, without changing it. An older
    /// one is copied into memory and upgraded there.
    pub(crate) fn of_any_version(path: &Path) -> Result<Sqlite, Fault> {
        ensure_alone(path).map_err(Fault::database)?;
        let sqlite = Sqlite::open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let found = sqlite.pragma("user_version")?;
        if found == SCHEMA_VERSION {
            return Ok(sqlite);
        }
        if !(1..SCHEMA_VERSION).contains(&found) {
            return Err(Fault::Database(format!(
                "its schema is {found}; this Saldo knows {SCHEMA_VERSION}"
            )));
        }
        let connection = Connection::open_in_memory().map_err(fault)?;
        let mut copy = Sqlite { checkpointer: None, connection };
        let backup = rusqlite::backup::Backup::new(&sqlite.connection, &mut copy.connection);
        backup.and_then(|b| b.run_to_completion(4_096, Duration::ZERO, None)).map_err(fault)?;
        copy.migrate(found)?;
        Ok(copy)
    }

    fn set_lock_timeout(&self, timeout: Duration) -> Result<(), Fault> {
        self.connection.busy_timeout(timeout).map_err(fault)
    }

    fn run_script(&self, text: &str) -> Result<(), Fault> {
        self.connection.execute_batch(text).map_err(fault)
    }

    /// The connection itself, for what [`Sql`] cannot do: the backup API.
    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Sets the pragmas that durability depends on, and checks that SQLite has accepted them.
    fn prepare_to_write(&mut self) -> Result<(), Fault> {
        let set = format!(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; \
             PRAGMA mmap_size=0; PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}; \
             PRAGMA cache_size=-{CACHE_KIB};"
        );
        self.run_script(&set)?;
        let journal: String = self.pragma("journal_mode")?;
        match (journal.as_str(), self.pragma("synchronous")?, self.pragma("foreign_keys")?) {
            ("wal", 2, 1) => Ok(()),
            other => Err(Fault::Database(format!(
                "journal_mode, synchronous, foreign_keys are {other:?} \
                 and cannot be set to wal, 2, 1"
            ))),
        }
    }

    pub(crate) fn pragma<T: FromSql>(&self, name: &str) -> Result<T, Fault> {
        self.connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).map_err(fault)
    }

    /// Runs the migrations after version `found`, each in its own Tx. A migration may rebuild a
    /// table, which SQLite does with foreign keys off (sqlite.org/lang_altertable.html, 7). So
    /// foreign keys are checked before each commit.
    fn migrate(&mut self, found: i64) -> Result<(), Fault> {
        self.run_script("PRAGMA foreign_keys=OFF; PRAGMA synchronous=FULL;")?;
        for (version, step) in (1..).zip(MIGRATIONS).filter(|(version, _)| *version > found) {
            if let Err(fault) = self.migrate_to(version, step) {
                // A failure here does not matter: the caller drops the connection.
                let _ = self.run_script("ROLLBACK");
                return Err(fault);
            }
        }
        Ok(())
    }

    fn migrate_to(&mut self, version: i64, step: &Migration) -> Result<(), Fault> {
        let (common, own) = (translated(step.common), step.sqlite);
        let script = format!("BEGIN EXCLUSIVE;\n{common}\n{own}\nPRAGMA user_version={version};");
        self.run_script(&script)?;
        let mut lost = self.connection.prepare("PRAGMA foreign_key_check").map_err(fault)?;
        if lost.exists([]).map_err(fault)? {
            return Err(Fault::Corrupt(format!(
                "rows that refer to nothing keep the schema from becoming version {version}"
            )));
        }
        drop(lost);
        self.run_script("COMMIT")
    }
}

/// The common text of a migration in SQLite's types.
fn translated(common: &str) -> String {
    common
        .replace("BIGINT", "INTEGER")
        .replace("BYTEA", "BLOB")
        .replace("{{table}}", "STRICT")
        .replace("{{clustered}}", "STRICT, WITHOUT ROWID")
}

/// Prepares statements once, and binds their parameters.
trait Prepares {
    /// Runs `run` with a statement and its parameters.
    fn with_bound<T>(
        &mut self,
        sql: &'static str,
        args: Args<'_>,
        run: impl FnOnce(&mut Statement<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault>;
}

impl Prepares for Sqlite {
    fn with_bound<T>(
        &mut self,
        sql: &'static str,
        args: Args<'_>,
        run: impl FnOnce(&mut Statement<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut statement = self.connection.prepare_cached(sql).map_err(fault)?;
        bind(&mut statement, sql, args)?;
        run(&mut statement)
    }
}

fn bind(statement: &mut Statement<'_>, sql: &str, args: Args<'_>) -> Result<(), Fault> {
    for (index, value) in (1..).zip(args) {
        debug_assert!(statement.parameter_name(index) == Some(&*format!("${index}")), "{sql}");
        match value {
            Value::Null => statement.raw_bind_parameter(index, rusqlite::types::Null),
            Value::Int(n) => statement.raw_bind_parameter(index, n),
            Value::Text(s) => statement.raw_bind_parameter(index, s),
            Value::Bytes(b) => statement.raw_bind_parameter(index, b),
        }
        .map_err(fault)?;
    }
    Ok(())
}

impl<T: Prepares> Sql for T {
    fn execute(&mut self, sql: &'static str, args: Args<'_>) -> Result<usize, Fault> {
        self.with_bound(sql, args, |statement| {
            let done = statement.raw_execute().map_err(fault);
            #[cfg(test)]
            steps::count(statement);
            done
        })
    }

    fn query(&mut self, sql: &'static str, args: Args<'_>, on_row: OnRow<'_>) -> Result<(), Fault> {
        self.with_bound(sql, args, |statement| {
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next().map_err(fault)? {
                on_row(row)?;
            }
            #[cfg(test)]
            {
                drop(rows);
                steps::count(statement);
            }
            Ok(())
        })
    }

    fn defer(
        &mut self,
        sql: &'static str,
        _key: WriteKey,
        args: Args<'_>,
        expected: Option<usize>,
    ) -> Result<(), Fault> {
        match self.execute(sql, args)? {
            rows if expected.is_none_or(|expected| expected == rows) => Ok(()),
            rows => Err(Fault::corrupt(format!(
                "a statement changed {rows} rows instead of {expected:?}: {sql}"
            ))),
        }
    }

    fn query_sets(&mut self, queries: &[SetQuery<'_>], on_row: OnSetRow<'_>) -> Result<(), Fault> {
        for (query, SetQuery { sql, width, values }) in queries.iter().enumerate() {
            for (set, values) in values.chunks(*width).enumerate() {
                self.query(sql, values, &mut |row| on_row(SetIndex { query, set }, row))?;
            }
        }
        Ok(())
    }

    fn begin_snapshot(&mut self) -> Result<(), Fault> {
        self.execute("BEGIN", &[]).map(|_| ())
    }

    fn end_snapshot(&mut self) -> Result<(), Fault> {
        self.execute("COMMIT", &[]).map(|_| ())
    }

    fn own_check(&mut self, with_references: bool) -> Result<Vec<String>, Fault> {
        let mut found =
            all(self, "PRAGMA integrity_check(100)", &[], |row| Ok(row.text(0)?.to_owned()))?;
        found.retain(|line| line != "ok");
        if !with_references {
            return Ok(found);
        }
        // A row that refers to nothing is no damage to SQLite, so its own check does not tell.
        let lost = all(
            self,
            "SELECT \"table\", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2",
            &[],
            |row| {
                let (table, parent, rows) = (row.text(0)?, row.text(1)?, row.int(2)?);
                Ok(format!("{rows} rows of {table} refer to rows of {parent} that are not there"))
            },
        )?;
        found.extend(lost);
        Ok(found)
    }
}

impl Row for rusqlite::Row<'_> {
    fn opt_int(&self, column: usize) -> Result<Option<i64>, Fault> {
        self.get_ref(column).map_err(fault)?.as_i64_or_null().map_err(Fault::corrupt)
    }

    fn opt_text(&self, column: usize) -> Result<Option<&str>, Fault> {
        self.get_ref(column).map_err(fault)?.as_str_or_null().map_err(Fault::corrupt)
    }

    fn opt_bytes(&self, column: usize) -> Result<Option<&[u8]>, Fault> {
        self.get_ref(column).map_err(fault)?.as_blob_or_null().map_err(Fault::corrupt)
    }
}

/// Tells a full disk, which is temporary, from a failing disk, which stops the writer.
pub(crate) fn fault(error: rusqlite::Error) -> Fault {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Fault::DiskFull(text),
        Some(ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt) => Fault::Disk(text),
        _ => Fault::Database(text),
    }
}

/// Counts the steps of SQLite's virtual machine in this thread: the cost of a query, whatever the
/// load of the machine.
#[cfg(test)]
pub(crate) mod steps {
    use rusqlite::{Statement, StatementStatus};
    use std::cell::Cell;

    thread_local! {
        static STEPS: Cell<i64> = const { Cell::new(0) };
        static PREPARED_AGAIN: Cell<i32> = const { Cell::new(0) };
    }

    pub(super) fn count(statement: &Statement<'_>) {
        let taken = i64::from(statement.reset_status(StatementStatus::VmStep));
        STEPS.with(|steps| steps.set(steps.get() + taken));
        let again = statement.reset_status(StatementStatus::RePrepare);
        PREPARED_AGAIN.with(|count| count.set(count.get() + again));
    }

    /// The steps since the last call.
    pub(crate) fn taken() -> i64 {
        STEPS.with(|steps| steps.replace(0))
    }

    /// How many statements were compiled a second time since the last call.
    pub(crate) fn prepared_again() -> i32 {
        PREPARED_AGAIN.with(|count| count.replace(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The flags of `.cargo/config.toml` come by one variable; SQLite lists some of them.
    #[test]
    fn sqlite_is_compiled_with_our_flags() {
        let connection = Connection::open_in_memory().unwrap();
        let mut options = connection.prepare("PRAGMA compile_options").unwrap();
        let options = options.query_map([], |row| row.get::<_, String>(0)).unwrap();
        let options: Vec<String> = options.map(Result::unwrap).collect();
        let has = |option: &str| options.iter().any(|o| o == option);
        let are_ours = has("DEFAULT_MEMSTATUS=0") && has("OMIT_SHARED_CACHE");
        assert!(are_ours && !has("ENABLE_API_ARMOR"), "LIBSQLITE3_FLAGS is another one");
    }
}
