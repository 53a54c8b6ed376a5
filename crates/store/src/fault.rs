//! Our own troubles: the store could not do what it was asked. Nothing was committed, unless said.

use std::path::PathBuf;

/// Why the store failed. A fault is never the asker's matter.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Fault {
    /// The database refused or broke; nothing of this change was committed.
    #[error("the database failed: {0}")]
    Database(String),
    /// No room on the disk; nothing was committed, and writing works again once there is room.
    #[error("the disk is full: {0}")]
    DiskFull(String),
    /// The disk failed: what was committed is uncertain until the next start has verified it.
    #[error("the disk failed: {0}")]
    Disk(String),
    /// A row cannot be read as what it should be.
    #[error("stored data is not as it should be: {0}")]
    Corrupt(String),
    /// The database cannot be reached, or not now; nothing was committed, and the same may work in a
    /// moment.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// This node was away for so long that others have taken over what it did; nothing was committed.
    #[error("this node was taken for dead by the others")]
    Fenced,
    /// Whether it was committed could not be found out in time.
    #[error("what became of a commit is not known: {0}")]
    Uncertain(String),
    /// The writer has stopped.
    #[error("the store is closed")]
    Closed,
    /// More is queued than the writer can take in time.
    #[error("the store has more to write than it can take")]
    Busy,
}

impl Fault {
    /// Whether one change of a batch may be to blame, so that the others are worth another try.
    pub(crate) const fn may_be_one_changes(&self) -> bool {
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

    pub(crate) fn corrupt(what: impl Into<String>) -> Fault {
        Fault::Corrupt(what.into())
    }
}

/// Why a store could not be opened. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process works on the data.
    #[error("{path} is in use by another Saldo process; stop that one, or give this one another --data-dir", path = .0.display())]
    Locked(PathBuf),
    /// The folder cannot be used.
    #[error("{path} cannot be used as a data folder ({why}); give a folder that this user may write to with --data-dir", path = .0.display(), why = .1)]
    Unusable(PathBuf, String),
    /// A newer Saldo wrote the data.
    #[error("{path} was written by a newer Saldo (schema {found}, this one knows {known}); start that version, or a newer one", path = .path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Network filesystems lose locks and flushes.
    #[error("{path} lies on a network filesystem ({kind}), where a committed recharge could be lost; give a folder on a local disk with --data-dir", path = .0.display(), kind = .1)]
    Network(PathBuf, &'static str),
    /// The address of a server is not one.
    #[error(
        "the database's address cannot be used ({0}); it looks like postgres://user:password@host1,host2/database?sslmode=verify-full"
    )]
    Url(String),
    /// A server that cannot be worked with now.
    #[error("the database {0} cannot be used ({1}); look after it, or give another --database-url")]
    Server(String, String),
    /// A server that is too old.
    #[error("the database {server} is PostgreSQL {found}; {oldest} is the oldest that will do")]
    OldServer {
        /// Which.
        server: String,
        /// Its version.
        found: i64,
        /// What is needed.
        oldest: i64,
    },
    /// A server that may lose what it has committed.
    #[error("the database {0} could lose a committed recharge ({1}); set what is named to on")]
    NotDurable(String, String),
    /// A newer Saldo wrote the database.
    #[error(
        "the database {server} was written by a newer Saldo (schema {found}, this one knows {known}); start that version, or a newer one"
    )]
    NewerServer {
        /// Which.
        server: String,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The database could not be opened.
    #[error("{path} cannot be opened as a database ({why}); restore a backup, or give another --data-dir", path = .0.display(), why = .1)]
    Database(PathBuf, Fault),
}
