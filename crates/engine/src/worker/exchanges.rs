//! Keeps what connectors sent and received, for staff, and deletes what is old.
//!
//! Not here: the exchanges themselves (`connectors`). A lost one is missed by staff only, so
//! nothing waits for this worker.

use super::intervals::next_batch;
use crate::{Engine, limits};
use store::{KeepExchanges, PruneExchanges};
use tokio_util::sync::CancellationToken;

impl Engine {
    pub(super) async fn keep_exchanges(self, stop: CancellationToken) {
        let Some(mut exchanges) = self.inner.exchanges.lock().take() else { return };
        let most = limits::EXCHANGES_AT_ONCE;
        while let Some(batch) = next_batch(&mut exchanges, most, &stop).await {
            let count = batch.len();
            if let Err(fault) = self.commit(&self.work(), KeepExchanges(batch)).await {
                tracing::warn!(%fault, count, "exchanges with upstreams could not be kept");
            }
        }
    }

    pub(super) async fn prune_exchanges(self, stop: CancellationToken) {
        let (kept_for, limit) = (limits::EXCHANGES_KEPT, limits::EXCHANGES_PRUNED);
        let prune = |before| PruneExchanges { before, limit };
        self.prune(stop, kept_for, limit, prune, "old exchanges could not be deleted").await;
    }
}
