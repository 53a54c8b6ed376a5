//! Copies of the data: backups and archives, and the guard that notices a database that was put
//! back.
//!
//! Not here: the verbs (`cmd/maintenance/`), and the audit (`store`).

pub(crate) mod archive;
pub(crate) mod backup;
mod rollback_guard;

use anyhow::Context as _;
pub(crate) use rollback_guard::RollbackGuard;
use std::fs::File;
use std::path::Path;

/// Makes the names in a folder durable.
fn flush_folder(path: &Path) -> anyhow::Result<()> {
    let flushed = File::open(path).and_then(|folder| folder.sync_all());
    flushed.with_context(|| format!("{} cannot be flushed", path.display()))
}

fn unwritable(path: &Path) -> impl Fn() -> String {
    move || format!("{} cannot be written to", path.display())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
