//! Failures of the store itself. Nothing was committed, except where it says otherwise.

use std::path::PathBuf;

/// Why the store failed. A fault is never the caller's mistake.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Fault {
    /// The database reported an error; nothing of this change was committed.
    #[error("the database failed: {0}")]
    Database(String),
    /// The disk is full; nothing was committed, and writing works again once there is space.
    #[error("the disk is full: {0}")]
    DiskFull(String),
    /// The disk failed. What was committed is not known until the next start has verified it.
    #[error("the disk failed: {0}")]
    Disk(String),
    /// A row has a value that this program does not write.
    #[error("stored data is not as it should be: {0}")]
    Corrupt(String),
    /// The database cannot be reached at the moment; nothing was committed, and a later try may
    /// work.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// This node's lease has ended, and other nodes have taken over its work; nothing was
    /// committed.
    #[error("this node was taken for dead by the others")]
    Fenced,
    /// It could not be found out in time whether it was committed.
    #[error("what became of a commit is not known: {0}")]
    Uncertain(String),
    /// The writer has stopped.
    #[error("the store is closed")]
    Closed,
    /// The queue is full, or the writer did not begin with the change in time.
    #[error("the store has more to write than it can take")]
    Busy,
}

impl Fault {
    /// Whether one change of a batch may be the cause, so that the others may succeed without it.
    pub(crate) const fn may_be_one_change(&self) -> bool {
        match self {
            Fault::Database(_) | Fault::Corrupt(_) => true,
            Fault::DiskFull(_)
            | Fault::Disk(_)
            | Fault::Unavailable(_)
            | Fault::Fenced
            | Fault::Uncertain(_)
            | Fault::Closed
            | Fault::Busy => false,
        }
    }

    pub(crate) fn database(error: impl ToString) -> Fault {
        Fault::Database(error.to_string())
    }

    pub(crate) fn corrupt(what: impl ToString) -> Fault {
        Fault::Corrupt(what.to_string())
    }
}

/// What the store answers, unless it fails.
pub(crate) type Result<T, E = Fault> = std::result::Result<T, E>;

/// Why a store could not be opened. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process uses the data.
    #[error(
        "{path} is in use by another Saldo process; stop that one, or give this one another \
         --data-dir",
        path = .0.display()
    )]
    Locked(PathBuf),
    /// The folder cannot be used.
    #[error(
        "{path} cannot be used as a data folder ({why}); give a folder that this user may write to \
         with --data-dir",
        path = .0.display(),
        why = .1
    )]
    Unusable(PathBuf, String),
    /// A newer Saldo wrote the data.
    #[error(
        "{path} was written by a newer Saldo (schema {found}, this one knows {known}); start that \
         version, or a newer one",
        path = .path.display()
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// The version of its schema.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// A log of a database that is not there any more.
    #[error(
        "{path} is left from another database, {holds}: move it to where that database is now, or \
         out of this folder, and try again",
        path = .path.display()
    )]
    LeftOver {
        /// The log, or what belongs to one.
        path: PathBuf,
        /// What is in it.
        holds: &'static str,
    },
    /// The folder is on a network filesystem, which may lose locks and flushes.
    #[error(
        "{path} lies on a network filesystem ({kind}), where a committed recharge could be lost; \
         give a folder on a local disk with --data-dir",
        path = .0.display(),
        kind = .1
    )]
    Network(PathBuf, &'static str),
    /// The address of the server is not valid.
    #[error(
        "the database's address cannot be used ({0}); it looks like \
         postgres://user:password@host1,host2/database?sslmode=verify-full"
    )]
    Url(String),
    /// The server cannot be used at the moment.
    #[error("the database {0} cannot be used ({1}); look after it, or give another --database-url")]
    Server(String, String),
    /// The server's version is too old.
    #[error("the database {server} is PostgreSQL {found}; {oldest} is the oldest that will do")]
    OldServer {
        /// The server's address, without its password.
        server: String,
        /// Its version.
        found: i64,
        /// The oldest version that is supported.
        oldest: i64,
    },
    /// The server's settings allow it to lose a commit.
    #[error("the database {0} could lose a committed recharge ({1}); set what is named to on")]
    NotDurable(String, String),
    /// A newer Saldo wrote the database.
    #[error(
        "the database {server} was written by a newer Saldo (schema {found}, this one knows \
         {known}); start that version, or a newer one"
    )]
    NewerServer {
        /// The server's address, without its password.
        server: String,
        /// The version of its schema.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// The database file could not be opened.
    #[error(
        "{path} cannot be opened as a database ({why}); restore a backup, or give another \
         --data-dir",
        path = .0.display(),
        why = .1
    )]
    Database(PathBuf, Fault),
}
