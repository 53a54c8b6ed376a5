//! Applies what other nodes on the same database change, and takes over what dead nodes left.
//!
//! Not here: how changes are noticed (`store`). Invariant: a change that was missed is read again a
//! second later.

use crate::{Engine, limits};
use store::{CatalogChanges, DeadRun, Fault, TakeOver};
use tokio_util::sync::CancellationToken;

impl Engine {
    /// Applies changes of other nodes until it is stopped; ends at once where there are none.
    pub(super) async fn watch_other_nodes(self, stop: CancellationToken) {
        let Some(mut changes) = self.inner.store.catalog_changes() else { return };
        let mut applied = CatalogChanges::default();
        loop {
            let latest = changes.borrow_and_update().clone();
            if let Err(fault) = self.apply_changes(&applied, &latest).await {
                tracing::warn!(%fault, "changes of other nodes could not be read; read again soon");
            } else {
                applied = latest;
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(limits::CHANGES_READ_EVERY) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn apply_changes(
        &self,
        applied: &CatalogChanges,
        latest: &CatalogChanges,
    ) -> Result<(), Fault> {
        if applied.catalog != latest.catalog {
            self.reload()?;
        }
        if applied.halt != latest.halt {
            self.read_halt()?;
        }
        if !latest.dead.is_empty() && applied.dead != latest.dead {
            let runs: Vec<i64> = latest.dead.iter().map(|dead| dead.run).collect();
            self.take_over(latest.dead.clone(), false).await?;
            tracing::warn!(
                ?runs,
                "nodes have not renewed their lease: what they left was taken over"
            );
        }
        Ok(())
    }

    /// Makes due what `dead` runs left; at the start of the workers also what this run wrote
    /// before.
    pub(super) async fn take_over(&self, dead: Vec<DeadRun>, is_start: bool) -> Result<(), Fault> {
        self.commit(&self.work(), TakeOver { dead, is_start, now: self.now() }).await?;
        self.inner.wake.notify_one();
        self.inner.push_due.notify_one();
        self.inner.webhooks.due.notify_one();
        Ok(())
    }
}
