//! What other nodes on the same database change is heeded here; what dead ones left is taken over.
//!
//! Not here: how it is heard of (the store's matter). Invariant: whatever is missed is read again a
//! second later.

use crate::Engine;
use store::{CatalogChanges, Change, DeadRun, Fault};
use tokio_util::sync::CancellationToken;

impl Engine {
    /// Heeds the others until it is stopped; ends at once where there are none.
    pub(super) async fn watch_other_nodes(self, stop: CancellationToken) {
        let Some(mut coming) = self.inner.store.catalog_changes() else { return };
        let mut known = CatalogChanges::default();
        loop {
            let news = coming.borrow_and_update().clone();
            if let Err(fault) = self.heed(&known, &news).await {
                tracing::warn!(%fault, "what other nodes did could not be read; it is read again");
            } else {
                known = news;
            }
            tokio::select! {
                changed = coming.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(crate::limits::NEWS_AGAIN) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn heed(&self, known: &CatalogChanges, news: &CatalogChanges) -> Result<(), Fault> {
        if known.catalog != news.catalog {
            self.reload()?;
        }
        if known.halt != news.halt {
            self.read_halt()?;
        }
        if !news.dead.is_empty() && known.dead != news.dead {
            let runs: Vec<i64> = news.dead.iter().map(|dead| dead.run).collect();
            tracing::warn!(
                ?runs,
                "nodes have not renewed their lease: what they left is taken over"
            );
            self.take_over(news.dead.clone(), false).await?;
        }
        Ok(())
    }

    /// Makes due what `dead` runs left; as the workers start, what this run wrote before too.
    pub(super) async fn take_over(&self, dead: Vec<DeadRun>, is_start: bool) -> Result<(), Fault> {
        let change = Change::TakeOver { dead, is_start, now: self.now() };
        // Nothing in it can be denied: it needs nothing.
        let _ = self.inner.store.write(change).await?;
        self.inner.wake.notify_one();
        self.inner.webhooks.due.notify_one();
        Ok(())
    }
}
