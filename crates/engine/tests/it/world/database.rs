//! Where an engine's data is: a folder with an SQLite database, or, with
//! `SALDO_TEST_DATABASE=postgresql`, a PostgreSQL database of its own.
//!
//! Invariant: with that setting no test opens anything but PostgreSQL.

use crate::file;
use crate::postgres::{self, Database, url};
use rusqlite::Connection;
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use store::Store;

pub struct TestDatabase {
    postgresql: Option<Database>,
    folder: tempfile::TempDir,
}

impl TestDatabase {
    pub fn new() -> TestDatabase {
        let postgresql = postgres::is_chosen().then(Database::new);
        TestDatabase { postgresql, folder: tempfile::tempdir().unwrap() }
    }

    pub fn open(&self) -> Store {
        match &self.postgresql {
            None => Store::open(self.folder.path()).unwrap(),
            Some(database) => Store::connect_node(&database.url(), self.folder.path()).unwrap(),
        }
    }

    /// The same database for another node, whose own files are in this folder; none in a file.
    pub fn open_for_node(&self, folder: &Path) -> Option<Store> {
        let database = self.postgresql.as_ref()?;
        Some(Store::connect_node(&database.url(), folder).unwrap())
    }

    /// Whether no store has it open. The last task that held the engine drops the lock, which may
    /// take a moment.
    pub fn is_free(&self) -> bool {
        let lock = std::fs::File::open(self.folder.path().join("saldo.lock")).unwrap();
        lock.try_lock().is_ok()
    }

    /// Runs statements without the store; returns the last one's rows, the first column as text.
    pub fn sql(&self, statements: &str) -> Vec<String> {
        match &self.postgresql {
            None => file::run(&self.folder.path().join("saldo.db"), statements).unwrap(),
            Some(database) => database.sql(statements),
        }
    }

    /// Whether other nodes may work with the same database.
    pub fn is_shared(&self) -> bool {
        self.postgresql.is_some()
    }

    /// Chooses between two spellings of an expression.
    pub fn dialect<'a>(&self, sqlite: &'a str, postgresql: &'a str) -> &'a str {
        if self.is_shared() { postgresql } else { sqlite }
    }

    /// The contents of all its files.
    pub fn bytes(&self) -> Vec<u8> {
        match &self.postgresql {
            None => postgres::bytes_of(self.folder.path()),
            Some(database) => database.bytes(),
        }
    }

    /// Blocks every commit of a purchase until it is released.
    pub fn block_commits(&self) -> BlockedCommits {
        let (ready, readiness) = channel();
        let (release, released) = channel::<()>();
        let file = self.folder.path().join("saldo.db");
        let url = self.postgresql.as_ref().map(|database| url(database.port(), database.name()));
        let thread = std::thread::spawn(move || match url {
            None => {
                let sql = Connection::open(file).unwrap();
                sql.execute_batch("BEGIN IMMEDIATE").unwrap();
                ready.send(()).unwrap();
                let _ = released.recv();
                sql.execute_batch("COMMIT").unwrap();
            }
            // Every purchase inserts into this table; reads are not blocked.
            Some(url) => {
                postgres::during(&url, "BEGIN; LOCK TABLE claims IN EXCLUSIVE MODE", || {
                    ready.send(()).unwrap();
                    let _ = released.recv();
                })
            }
        });
        readiness.recv().unwrap();
        BlockedCommits { release, thread }
    }
}

pub struct BlockedCommits {
    release: Sender<()>,
    thread: JoinHandle<()>,
}

impl BlockedCommits {
    pub fn release(self) {
        drop(self.release);
        self.thread.join().unwrap();
    }
}
