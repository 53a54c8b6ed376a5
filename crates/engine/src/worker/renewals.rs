//! Plans are renewed in the last day before they end, where their accounts want it.

use crate::{Engine, limits};
use tokio_util::sync::CancellationToken;

impl Engine {
    pub(super) async fn renew_plans(self, stop: CancellationToken) {
        loop {
            // A restored installation may have renewed it already, in a book that was lost.
            if !self.is_halted()
                && let Err(fault) = self.renew_due_plans().await
            {
                tracing::warn!(%fault, "plans were not renewed; they are due again");
            }
            let wait = tokio::time::sleep(limits::PLANS_RENEWED_EVERY);
            let Some(()) = stop.run_until_cancelled(wait).await else { return };
        }
    }
}
