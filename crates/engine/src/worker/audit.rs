//! The quick audit, at intervals: if the ledger does not balance, nothing more is sold.
//!
//! Not here: the audit itself (`store`), and how the process ends (`app`).

use super::intervals::pause;
use crate::{Engine, limits};
use tokio_util::sync::CancellationToken;

impl Engine {
    pub(super) async fn audit_at_intervals(self, stop: CancellationToken) {
        loop {
            // Audited twice, because a finding ends the process.
            let found = match self.quick_audit().await {
                found if found.is_empty() => found,
                _ => self.quick_audit().await,
            };
            if !found.is_empty() {
                let says = found.join("; ");
                self.inner.audit_failure.send_replace(Some(says.clone()));
                tracing::error!(
                    says,
                    "the ledger does not balance: selling stops; run `saldo verify`"
                );
                return;
            }
            let Some(()) = pause(&stop, limits::AUDIT_EVERY).await else { return };
        }
    }

    /// What is wrong, if anything. A ledger that cannot be read is not called wrong.
    async fn quick_audit(&self) -> Vec<String> {
        let engine = self.clone();
        match tokio::task::spawn_blocking(move || engine.inner.store.quick_audit()).await {
            Ok(Ok(found)) => found,
            Ok(Err(fault)) => {
                tracing::warn!(%fault, "the audit could not read the ledger");
                Vec::new()
            }
            Err(_) => {
                tracing::error!("the audit panicked");
                Vec::new()
            }
        }
    }
}
