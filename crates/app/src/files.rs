//! Files of the installation: private, durable, and with errors that name the path.

use crate::secrets::MASTER_KEY_FILE;
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

/// Closes the files of a data folder that an earlier version or another umask left open to others.
/// The master key stays as it is: somebody must ask who has read it.
pub(crate) fn close_to_others(data_dir: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(data_dir).with_context(cannot(data_dir, "be read"))? {
        let entry = entry.with_context(cannot(data_dir, "be read"))?;
        let metadata = entry.metadata().with_context(cannot(&entry.path(), "be read"))?;
        let is_open = metadata.is_file() && metadata.mode() & 0o077 != 0;
        if is_open && entry.file_name() != MASTER_KEY_FILE {
            let path = entry.path();
            fs::set_permissions(&path, Permissions::from_mode(0o600))
                .with_context(cannot(&path, "be closed to other users"))?;
        }
    }
    Ok(())
}

/// Makes the names in a folder durable.
pub(crate) fn flush_folder(path: &Path) -> anyhow::Result<()> {
    let flushed = File::open(path).and_then(|folder| folder.sync_all());
    flushed.with_context(cannot(path, "be flushed"))
}
