//! The data folder: created private, locked for this process, and checked before it is used.
//!
//! Invariant: while a [`Folder`] exists, no other process has this folder open.

use super::{Checkpointer, SCHEMA_VERSION, Sqlite};
use crate::fault::OpenError;
use rusqlite::OpenFlags;
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The lock on a data folder; dropping it releases the folder.
#[derive(Debug)]
pub(crate) struct Folder {
    database: PathBuf,
    /// The locks on the folder itself and on the file in it, which may be deleted meanwhile.
    _locks: [File; 2],
}

impl Folder {
    /// Creates the folder if it is missing, checks its filesystem and locks it.
    pub(crate) fn lock(path: &Path) -> Result<Folder, OpenError> {
        if !path.exists() {
            make_private_folder(path).map_err(|error| unusable(path, error))?;
        }
        refuse_network(path)?;
        let locked = |opened: io::Result<File>| {
            let file = opened.map_err(|error| unusable(path, error))?;
            match file.try_lock() {
                Ok(()) => Ok(file),
                Err(TryLockError::WouldBlock) => Err(OpenError::Locked(path.to_owned())),
                Err(TryLockError::Error(error)) => Err(unusable(path, error)),
            }
        };
        let folder = locked(File::open(path))?;
        // Earlier versions lock this file alone.
        let mut options = File::options();
        options.create(true).truncate(false).read(true).write(true).mode(0o600);
        let file = locked(options.open(path.join("saldo.lock")))?;
        Ok(Folder { database: path.join("saldo.db"), _locks: [folder, file] })
    }

    /// Opens the writer's connection, upgrades the schema and starts the checkpoint thread.
    pub(crate) fn writer(&self) -> Result<Sqlite, OpenError> {
        let broken = |fault| OpenError::Database(self.database.clone(), fault);
        if !self.database.exists() {
            ensure_alone(&self.database)?;
        }
        make_private_file(&self.database).map_err(|error| unusable(&self.database, error))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let mut sqlite = Sqlite::open(&self.database, flags).map_err(broken)?;
        let (found, known) = (sqlite.pragma("user_version").map_err(broken)?, SCHEMA_VERSION);
        if found > known {
            return Err(OpenError::Newer { path: self.database.clone(), found, known });
        }
        sqlite.migrate(found).and_then(|()| sqlite.prepare_to_write()).map_err(broken)?;
        sqlite.checkpointer = Some(Checkpointer::start(&self.database).map_err(broken)?);
        Ok(sqlite)
    }

    /// Opens a connection for the audit.
    pub(crate) fn auditor(&self) -> Result<Sqlite, OpenError> {
        Sqlite::auditor(&self.database)
            .map_err(|fault| OpenError::Database(self.database.clone(), fault))
    }

    /// Opens a read-only connection.
    pub(crate) fn reader(&self) -> Result<Sqlite, OpenError> {
        Sqlite::open(&self.database, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .map_err(|fault| OpenError::Database(self.database.clone(), fault))
    }
}

fn unusable(path: &Path, error: io::Error) -> OpenError {
    OpenError::Unusable(path.to_owned(), error.to_string())
}

fn make_private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Refuses a name for a new database beside which a log of another one is left. SQLite would replay
/// that log over the new file, or delete it, and with it the last commits of the one that it
/// belongs to.
pub fn ensure_alone(database: &Path) -> Result<(), OpenError> {
    let left_over = ["-wal", "-shm", "-journal"].into_iter().find_map(|end| {
        let mut name = database.as_os_str().to_owned();
        name.push(end);
        // Not `exists`: a dangling link would be followed, too.
        let path = PathBuf::from(name);
        path.symlink_metadata().is_ok().then_some(path)
    });
    let Some(path) = left_over else { return Ok(()) };
    let is_index = path.as_os_str().as_encoded_bytes().ends_with(b"-shm");
    let is_empty = path.symlink_metadata().is_ok_and(|file| file.is_file() && file.len() == 0);
    let holds = match (is_index, is_empty) {
        (true, _) => "and is the index of a log that is not here",
        (false, true) => "and is empty",
        (false, false) => "and has its last commits",
    };
    Err(OpenError::LeftOver { path, holds })
}

/// Creates a file that only its owner may read: it will hold phone numbers and names. SQLite gives
/// the WAL the same mode as the database.
pub(crate) fn make_private_file(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    File::options().write(true).create(true).truncate(false).mode(0o600).open(path).map(|_| ())
}

/// Refuses network filesystems by the magic number of statfs(2), from linux/magic.h and the
/// filesystems' own headers.
#[cfg(target_os = "linux")]
fn refuse_network(path: &Path) -> Result<(), OpenError> {
    let stat = rustix::fs::statfs(path).map_err(|error| unusable(path, error.into()))?;
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
