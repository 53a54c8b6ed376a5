//! Keeps what connectors sent and received, for staff, and deletes what is old.
//!
//! Not here: the exchanges themselves (`connectors`). A lost one is missed by staff only, so
//! nothing waits for this worker.

use crate::{Engine, limits};
use domain::Exchange;
use store::{KeepExchanges, PruneExchanges};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

impl Engine {
    pub(super) async fn keep_exchanges(
        self,
        mut exchanges: mpsc::Receiver<Exchange>,
        stop: CancellationToken,
    ) {
        let mut batch = Vec::new();
        loop {
            // The queue comes before the stop: what was reported is still kept.
            let count = tokio::select! {
                biased;
                count = exchanges.recv_many(&mut batch, limits::EXCHANGES_AT_ONCE) => count,
                () = stop.cancelled() => 0,
            };
            if count == 0 {
                return;
            }
            let keep = KeepExchanges(std::mem::take(&mut batch));
            if let Err(fault) = self.commit(&self.work(), keep).await {
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
