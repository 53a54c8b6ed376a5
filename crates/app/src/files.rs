//! Files of the installation: private, durable, and with errors that name the path.

use anyhow::Context as _;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
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

/// Makes the names in a folder durable.
pub(crate) fn flush_folder(path: &Path) -> anyhow::Result<()> {
    let flushed = File::open(path).and_then(|folder| folder.sync_all());
    flushed.with_context(cannot(path, "be flushed"))
}
