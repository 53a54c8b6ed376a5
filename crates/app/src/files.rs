//! Files of the installation: private, durable, and with errors that name the path.

use crate::cmd::demo::CREDENTIALS_FILE;
use crate::wiring::TRUTH_FILE;
use anyhow::Context as _;
use rustix::fs::Mode;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

/// The text of an error about a file: "PATH cannot be read".
pub(crate) fn cannot(path: &Path, what: &'static str) -> impl Fn() -> String {
    move || format!("{} cannot {what}", path.display())
}

/// Writes a file that only its owner may read, durably. After a failure the old file is unchanged.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = || -> std::io::Result<()> {
        let mut file = options.open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().with_context(cannot(path, "be written"))
}

/// From now on every file and folder that this process makes is for its owner only.
pub(crate) fn make_private() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// What this process keeps in a data folder, without the master key: if others could read that,
/// somebody must ask who has.
const DATA_FILES: [&str; 8] = [
    "saldo.db",
    "saldo.db-wal",
    "saldo.db-shm",
    "saldo.lock",
    "node.run",
    "books-seen.json",
    TRUTH_FILE,
    CREDENTIALS_FILE,
];

/// Closes the files of a data folder that an earlier version left open to others.
pub(crate) fn close_to_others(data_dir: &Path) -> anyhow::Result<()> {
    for path in DATA_FILES.map(|name| data_dir.join(name)) {
        let is_open = fs::symlink_metadata(&path)
            .is_ok_and(|metadata| metadata.is_file() && metadata.mode() & 0o077 != 0);
        if is_open {
            fs::set_permissions(&path, Permissions::from_mode(0o600))
                .with_context(cannot(&path, "be closed to other users"))?;
        }
    }
    Ok(())
}

/// Whether other users may write into a folder: then they can take its files away, or put others in
/// their place, whatever the files' own modes are.
pub(crate) fn is_writable_by_others(data_dir: &Path) -> bool {
    fs::metadata(data_dir).is_ok_and(|metadata| metadata.mode() & 0o022 != 0)
}

/// Makes the names in a folder durable.
pub(crate) fn flush_folder(path: &Path) -> anyhow::Result<()> {
    let flushed = File::open(path).and_then(|folder| folder.sync_all());
    flushed.with_context(cannot(path, "be flushed"))
}
