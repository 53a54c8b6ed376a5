//! The writer's connection, and the statements that it has prepared.
//!
//! rusqlite's own cache finds a statement by its text: two hashes and two comparisons of some
//! hundred bytes, and a copy. The writer runs some twenty statements for a sale, so it finds them
//! by where their text is. Statements belong to the thread and to the connection.

use super::checkpoint::Checkpointer;
use super::{BUSY_TIMEOUT, Prepares, Sqlite, bind, fault};
use crate::backend::{Args, Partition, Sql as _, WriteConnection, WriteSql};
use crate::fault::Fault;
use domain::ids::IdMap;
use rusqlite::{PrepFlags, Statement};
use std::collections::hash_map::Entry;
use std::time::Duration;

/// A connection that writes.
pub(super) struct SqliteWriter<'c> {
    checkpointer: Option<Checkpointer>,
    sqlite: &'c Sqlite,
    /// By address and length of the text.
    statements: IdMap<(usize, usize), Statement<'c>>,
}

impl WriteConnection for Sqlite {
    fn write_with(mut self, write: impl FnOnce(&mut dyn WriteSql)) {
        let checkpointer = self.checkpointer.take();
        write(&mut SqliteWriter { checkpointer, sqlite: &self, statements: IdMap::default() });
    }
}

impl Prepares for SqliteWriter<'_> {
    fn with_bound<T>(
        &mut self,
        sql: &'static str,
        args: Args<'_>,
        run: impl FnOnce(&mut Statement<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let statement = match self.statements.entry((sql.as_ptr().addr(), sql.len())) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let flags = PrepFlags::SQLITE_PREPARE_PERSISTENT;
                let prepared = self.sqlite.connection.prepare_with_flags(sql, flags);
                place.insert(prepared.map_err(fault)?)
            }
        };
        bind(statement, sql, args)?;
        run(statement)
    }
}

impl WriteSql for SqliteWriter<'_> {
    fn is_sole_writer(&self) -> bool {
        true
    }

    fn node_run(&self) -> i64 {
        0
    }

    /// Never: a query in the same process costs too little to be saved.
    fn can_be_optimistic(&self) -> bool {
        false
    }

    fn begin(&mut self, _is_optimistic: bool) -> Result<(), Fault> {
        if let Some(fault) = self.checkpointer.as_mut().and_then(|thread| thread.failure.take()) {
            return Err(fault);
        }
        self.execute("BEGIN IMMEDIATE", &[]).map(|_| ())
    }

    fn committed_last(&mut self) -> Result<bool, Fault> {
        Ok(true)
    }

    fn ensure_partitions(&mut self, _: Partition) -> Result<(), Fault> {
        // SQLite has one table for all months.
        Ok(())
    }

    fn send_commit(&mut self) -> Result<(), Fault> {
        // The commit is durable when this returns: there is no result to wait for.
        self.execute("COMMIT", &[])?;
        if self.checkpointer.as_mut().is_some_and(Checkpointer::committed) {
            let result = self.sqlite.run_script("PRAGMA wal_checkpoint(PASSIVE)");
            if let Some(checkpointer) = &mut self.checkpointer {
                // The commit is durable all the same, so a failure is reported to the next batch.
                checkpointer.failure = result.err();
            }
        }
        Ok(())
    }

    fn await_commit(&mut self, _is_enough: &dyn Fn() -> bool) -> bool {
        true
    }

    fn commit_result(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn roll_back(&mut self) -> Result<(), Fault> {
        // On some errors SQLite rolls back by itself; a second ROLLBACK would then be an error.
        if self.sqlite.connection.is_autocommit() {
            return Ok(());
        }
        self.execute("ROLLBACK", &[]).map(|_| ())
    }

    fn on_idle(&mut self) {
        // Without waiting for readers: a long one (a copy, an audit) must not delay purchases.
        let sqlite = self.sqlite;
        let truncated = sqlite
            .set_lock_timeout(Duration::ZERO)
            .and_then(|()| sqlite.run_script("PRAGMA wal_checkpoint(TRUNCATE)"));
        if let Err(fault) = truncated.and(sqlite.set_lock_timeout(BUSY_TIMEOUT)) {
            tracing::warn!(%fault, "the WAL could not be truncated; it grows until it can be");
        }
    }
}
