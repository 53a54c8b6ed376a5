//! The WAL checkpoint, on a thread of its own: it flushes the database, which takes tens of
//! milliseconds with scattered pages and would block the writer.
//!
//! The thread copies the committed pages. Only the writer can restart the WAL from its beginning,
//! so the thread then asks it to checkpoint the few pages that remain. If the disk fails here, the
//! writer meets the same failure and stops. Invariant: the thread ends before the connection that
//! it works for.

use super::{Sqlite, fault};
use crate::fault::Fault;
use rusqlite::OpenFlags;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Pages of the WAL from which the thread runs a checkpoint: 16 MiB. With fewer, the same pages are
/// copied too often under load.
const PAGES_MIN: i64 = 4_096;
/// The thread looks at the WAL after this many commits.
const COMMITS_BETWEEN: u32 = 16;

/// The writer's handle of the thread.
pub(super) struct Checkpointer {
    wake: Option<SyncSender<()>>,
    is_writers_turn: Arc<AtomicBool>,
    commits: u32,
    /// Why the writer's own checkpoint after its last commit failed.
    pub(super) failure: Option<Fault>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    /// Starts the thread on a connection of its own.
    pub(super) fn start(database: &Path) -> Result<Checkpointer, Fault> {
        let sqlite = Sqlite::open(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        sqlite.run_script("PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;")?;
        let (wake, woken) = sync_channel(1);
        let is_writers_turn = Arc::new(AtomicBool::new(false));
        let turn = is_writers_turn.clone();
        let thread = std::thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || run(&sqlite, &woken, &turn))
            .map_err(|error| Fault::Database(format!("no thread for checkpoints: {error}")))?;
        let wake = Some(wake);
        Ok(Checkpointer { wake, is_writers_turn, commits: 0, failure: None, thread: Some(thread) })
    }

    /// Must be called after each commit. Returns whether the writer must now checkpoint what
    /// remains.
    pub(super) fn committed(&mut self) -> bool {
        self.commits += 1;
        if self.commits >= COMMITS_BETWEEN {
            self.commits = 0;
            // A full channel means that the thread will look at the WAL again anyway.
            let _ = self.wake.as_ref().map(|wake| wake.try_send(()));
        }
        self.is_writers_turn.swap(false, Ordering::AcqRel)
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.wake = None;
        // A thread that panicked has ended too.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn run(sqlite: &Sqlite, woken: &Receiver<()>, is_writers_turn: &AtomicBool) {
    while woken.recv().is_ok() {
        let is_done = checkpoint(sqlite).unwrap_or_else(|fault| {
            tracing::warn!(%fault, "the WAL could not be checkpointed; the writer tries it");
            true
        });
        is_writers_turn.fetch_or(is_done, Ordering::Release);
    }
}

/// Runs a checkpoint if the WAL is large enough; whether it has run.
fn checkpoint(sqlite: &Sqlite) -> Result<bool, Fault> {
    if pages_left(sqlite, "PRAGMA wal_checkpoint(NOOP)")? < PAGES_MIN {
        return Ok(false);
    }
    // The second pass copies the few pages that were committed during the first.
    pages_left(sqlite, "PRAGMA wal_checkpoint(PASSIVE)")?;
    pages_left(sqlite, "PRAGMA wal_checkpoint(PASSIVE)")?;
    Ok(true)
}

/// Runs the pragma and returns the number of pages of the WAL that are not yet in the database.
fn pages_left(sqlite: &Sqlite, pragma: &str) -> Result<i64, Fault> {
    let not_copied = |row: &rusqlite::Row<'_>| Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?);
    sqlite.connection.query_row(pragma, [], not_copied).map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::super::{CHECKPOINT_PAGES, Folder};
    use crate::backend::{Sql as _, WriteConnection as _, WriteSql};

    fn insert(writer: &mut dyn WriteSql, id: i64, bytes: &[u8; 3_000]) {
        writer.begin(false).unwrap();
        let upsert = "INSERT INTO scattered (id, bytes) VALUES ($1, $2)
            ON CONFLICT (id) DO UPDATE SET bytes = excluded.bytes";
        for n in 0..64 {
            let id = (id * 7919 + n * 104_729).rem_euclid(100_003);
            writer.execute(upsert, &[id.into(), bytes.into()]).unwrap();
        }
        writer.send_commit().unwrap();
    }

    #[test]
    fn the_wal_restarts_before_the_writer_must_checkpoint_it() {
        let folder = tempfile::tempdir().unwrap();
        let held = Folder::lock(folder.path()).unwrap();
        let writer = held.writer().unwrap();
        writer
            .run_script(
                "CREATE TABLE scattered (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT",
            )
            .unwrap();
        // Twice as many pages as make the writer run a checkpoint, about a hundred in each commit.
        let pages = 2 * CHECKPOINT_PAGES;
        writer.write_with(|writer| {
            for id in 0..pages / 64 {
                insert(writer, id, &[u8::try_from(id % 256).unwrap(); 3_000]);
            }
            let bytes = folder.path().join("saldo.db-wal").metadata().unwrap().len();
            let limit = u64::try_from(CHECKPOINT_PAGES).unwrap() * 4_096;
            assert!(bytes < limit, "the WAL has {bytes} bytes; the limit is {limit}");
        });
        let mut reader = held.reader().unwrap();
        let mut rows = 0;
        reader
            .query("SELECT count(*) FROM scattered", &[], &mut |row| {
                rows = row.int(0)?;
                Ok(())
            })
            .unwrap();
        assert!(rows > 1_000, "{rows}");
    }
}
