//! Commission is paid out by the accounts' rules, soon after a day begins or the amount is reached.

use crate::{Engine, limits};
use tokio_util::sync::CancellationToken;

impl Engine {
    pub(super) async fn pay_commission_by_rule(self, stop: CancellationToken) {
        loop {
            // A restored installation may have paid it out already, in a book that was lost.
            if !self.is_halted()
                && let Err(fault) = self.pay_due_commission().await
            {
                tracing::warn!(%fault, "commission was not paid out; it is due again");
            }
            let wait = tokio::time::sleep(limits::COMMISSION_EVERY);
            let Some(()) = stop.run_until_cancelled(wait).await else { return };
        }
    }
}
