//! Where a world's data lies: a folder, and, where `SALDO_TEST_DATABASE=postgresql` asks for it, a
//! database of its own that holds the books instead.
//!
//! Invariant: with that setting no test opens anything but PostgreSQL.

use crate::file;
use crate::postgres::{self, Database, url};
use rusqlite::Connection;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use store::Store;

pub struct Home {
    database: Option<Database>,
    folder: tempfile::TempDir,
}

impl Home {
    pub fn new() -> Home {
        let database = postgres::is_chosen().then(Database::new);
        Home { database, folder: tempfile::tempdir().unwrap() }
    }

    pub fn open(&self) -> Store {
        match &self.database {
            None => Store::open(self.folder.path()).unwrap(),
            Some(database) => Store::connect_node(&database.url(), self.folder.path()).unwrap(),
        }
    }

    /// The lock goes with the last task that had the engine, which may take a moment.
    pub fn is_free(&self) -> bool {
        let lock = std::fs::File::open(self.folder.path().join("saldo.lock")).unwrap();
        lock.try_lock().is_ok()
    }

    /// Runs statements past the store; the rows of the last, first columns as text.
    pub fn sql(&self, statements: &str) -> Vec<String> {
        match &self.database {
            None => file::run(&self.folder.path().join("saldo.db"), statements).unwrap(),
            Some(database) => database.sql(statements),
        }
    }

    /// Whether other nodes may work with the same books.
    pub fn is_shared(&self) -> bool {
        self.database.is_some()
    }

    /// What the database in use calls something.
    pub fn called<'a>(&self, in_sqlite: &'a str, in_postgresql: &'a str) -> &'a str {
        if self.is_shared() { in_postgresql } else { in_sqlite }
    }

    /// Everything on the disk.
    pub fn bytes(&self) -> Vec<u8> {
        match &self.database {
            None => postgres::bytes_of(self.folder.path()),
            Some(database) => database.bytes(),
        }
    }

    /// Keeps commits waiting until it is let go.
    pub fn stall(&self) -> Stall {
        let (ready, readiness) = channel();
        let (release, released) = channel::<()>();
        let file = self.folder.path().join("saldo.db");
        let url = self.database.as_ref().map(|database| url(database.port(), database.name()));
        let thread = std::thread::spawn(move || match url {
            None => {
                let sql = Connection::open(file).unwrap();
                sql.execute_batch("BEGIN IMMEDIATE").unwrap();
                ready.send(()).unwrap();
                let _ = released.recv();
                sql.execute_batch("COMMIT").unwrap();
            }
            // What every purchase writes into; reading goes on.
            Some(url) => {
                postgres::during(&url, "BEGIN; LOCK TABLE claims IN EXCLUSIVE MODE", || {
                    ready.send(()).unwrap();
                    let _ = released.recv();
                })
            }
        });
        readiness.recv().unwrap();
        Stall { release, thread }
    }
}

/// Commits wait as long as this is not let go.
pub struct Stall {
    release: Sender<()>,
    thread: JoinHandle<()>,
}

impl Stall {
    pub fn let_go(self) {
        drop(self.release);
        self.thread.join().unwrap();
    }
}
