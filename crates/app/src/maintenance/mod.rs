//! Copies of the data: backups and archives, and the guard that notices a database that was put
//! back.
//!
//! Not here: the verbs (`cmd/maintenance/`), and the audit (`store`).

pub(crate) mod archive;
pub(crate) mod backup;
mod rollback_guard;

pub(crate) use rollback_guard::RollbackGuard;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
