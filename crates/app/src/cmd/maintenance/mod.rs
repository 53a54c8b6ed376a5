//! The verbs that look after an installation as a whole: audit, back up, archive, restore, halt,
//! resume.
//!
//! Not here: how copies are written and checked (`crate::maintenance`).

pub(super) mod archive;
pub(super) mod backup;
pub(super) mod halt;
pub(super) mod restore;
pub(super) mod resume;
pub(super) mod verify;

use tokio_util::sync::CancellationToken;

/// Runs a copy on a thread that may block. Its argument returns false once the command was dropped,
/// because the server stops: the copy then ends at its next step.
async fn run_copy<T: Send + 'static>(
    copy: impl FnOnce(&dyn Fn() -> bool) -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let dropped = CancellationToken::new();
    let _guard = dropped.clone().drop_guard();
    tokio::task::spawn_blocking(move || copy(&|| !dropped.is_cancelled())).await?
}
