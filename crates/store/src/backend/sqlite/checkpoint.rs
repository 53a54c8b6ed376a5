//! Folds the log into the database on a thread beside the writer, which would stand still for it: the
//! flush of the database takes tens of milliseconds once its pages lie apart.
//!
//! The thread copies what is committed and leaves the log to the writer, which alone can begin it anew: it
//! folds the little that came meanwhile, when it is told to. What fails here the writer meets itself, and
//! stops as for any disk that fails. Invariant: the thread ends before the connection that it works for.

use super::{Lite, fault};
use crate::fault::Fault;
use rusqlite::OpenFlags;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Pages of the log that are worth a flush of the database: 16 MiB. Fewer are copied too often under load,
/// as the same pages come again.
const WORTH_IT: i64 = 4_096;
/// The log is looked at after so many commits.
const COMMITS: u32 = 16;

/// The writer's hold on the thread.
pub(super) struct Checkpointer {
    wake: Option<SyncSender<()>>,
    is_writers_turn: Arc<AtomicBool>,
    commits: u32,
    /// Why the writer could not fold what was left after its last commit.
    failed: Option<Fault>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    /// Starts the thread on a connection of its own.
    pub(super) fn start(database: &Path) -> Result<Checkpointer, Fault> {
        let lite = Lite::open(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        lite.batch("PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;")?;
        let (wake, woken) = sync_channel(1);
        let is_writers_turn = Arc::new(AtomicBool::new(false));
        let turn = is_writers_turn.clone();
        let thread = std::thread::Builder::new()
            .name("folding".to_owned())
            .spawn(move || run(&lite, &woken, &turn))
            .map_err(|error| Fault::Database(format!("no thread to fold the log: {error}")))?;
        let wake = Some(wake);
        Ok(Checkpointer { wake, is_writers_turn, commits: 0, failed: None, thread: Some(thread) })
    }

    /// Told of each commit; whether the writer is to fold what is left.
    pub(super) fn committed(&mut self) -> bool {
        self.commits += 1;
        if self.commits >= COMMITS {
            self.commits = 0;
            // If the thread is at work it looks again by itself.
            let _ = self.wake.as_ref().map(|wake| wake.try_send(()));
        }
        self.is_writers_turn.swap(false, Ordering::AcqRel)
    }

    /// What came of the writer's turn. Of what was committed nothing is undone by it: whoever comes next
    /// hears of it.
    pub(super) fn keep(&mut self, folded: Result<(), Fault>) {
        self.failed = folded.err();
    }

    /// Why the writer could not fold, once.
    pub(super) fn take_failure(&mut self) -> Option<Fault> {
        self.failed.take()
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.wake = None;
        // A thread that panicked has ended too.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn run(lite: &Lite, woken: &Receiver<()>, is_writers_turn: &AtomicBool) {
    while woken.recv().is_ok() {
        let is_folded = fold(lite).unwrap_or_else(|fault| {
            tracing::warn!(%fault, "the log could not be folded beside the writer, which tries it");
            true
        });
        if is_folded {
            is_writers_turn.store(true, Ordering::Release);
        }
    }
}

/// Whether there was enough, and all but a little is done.
fn fold(lite: &Lite) -> Result<bool, Fault> {
    if left(lite, "PRAGMA wal_checkpoint(NOOP)")? < WORTH_IT {
        return Ok(false);
    }
    // The second time for what came during the first, which is little.
    left(lite, "PRAGMA wal_checkpoint(PASSIVE)")?;
    left(lite, "PRAGMA wal_checkpoint(PASSIVE)")?;
    Ok(true)
}

/// Pages of the log that are not in the database after this.
fn left(lite: &Lite, pragma: &str) -> Result<i64, Fault> {
    let counts = lite
        .connection
        .query_row(pragma, [], |row| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)));
    counts.map(|(log, folded)| log - folded).map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::super::{CHECKPOINT_PAGES, Folder, Lite};
    use crate::backend::{Sql, WriteSql};

    fn put(writer: &mut Lite, id: i64, bytes: &[u8; 3_000]) {
        writer.begin(false).unwrap();
        let put = "INSERT INTO apart (id, bytes) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET bytes = excluded.bytes";
        for n in 0..64 {
            writer
                .run(put, &[(id * 7919 + n * 104_729).rem_euclid(100_003).into(), bytes.into()])
                .unwrap();
        }
        writer.send_commit().unwrap();
    }

    #[test]
    fn the_log_begins_anew_before_the_writer_has_to_see_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let held = Folder::lock(folder.path()).unwrap();
        let mut writer = held.writer().unwrap();
        writer
            .batch("CREATE TABLE apart (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT")
            .unwrap();
        // Twice as many pages as the writer would fold by itself, each commit a hundred or so.
        let pages = 2 * CHECKPOINT_PAGES;
        for id in 0..pages / 64 {
            put(&mut writer, id, &[u8::try_from(id % 256).unwrap(); 3_000]);
        }
        let log = folder.path().join("saldo.db-wal").metadata().unwrap().len();
        let most = u64::try_from(CHECKPOINT_PAGES).unwrap() * 4_096;
        assert!(log < most, "the log is {log} bytes; the writer folds it by itself at {most}");
        drop(writer);
        let mut reader = held.reader().unwrap();
        let mut rows = 0;
        reader
            .each("SELECT count(*) FROM apart", &[], &mut |row| {
                rows = row.int(0)?;
                Ok(())
            })
            .unwrap();
        assert!(rows > 1_000, "{rows}");
    }
}
