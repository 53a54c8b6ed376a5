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
    /// The writer has stopped.
    #[error("the store is closed")]
    Closed,
    /// More is queued than the writer can take in time.
    #[error("the store has more to write than it can take")]
    Busy,
}

impl Fault {
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
    /// The database could not be opened.
    #[error("{path} cannot be opened as a database ({why}); restore a backup, or give another --data-dir", path = .0.display(), why = .1)]
    Database(PathBuf, Fault),
}
