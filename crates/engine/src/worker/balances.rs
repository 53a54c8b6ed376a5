//! Tells accounts that a balance is low, a few seconds after it crossed the amount that was set.

use crate::{Engine, limits};
use tokio_util::sync::CancellationToken;

impl Engine {
    pub(super) async fn watch_balances(self, stop: CancellationToken) {
        loop {
            // A restored installation does not know what became of its money since.
            if !self.is_halted()
                && let Err(fault) = self.report_low_balances().await
            {
                tracing::warn!(%fault, "an account was not told of a low balance; it is soon");
            }
            let wait = tokio::time::sleep(limits::BALANCES_WATCHED_EVERY);
            let Some(()) = stop.run_until_cancelled(wait).await else { return };
        }
    }
}
