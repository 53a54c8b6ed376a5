//! Looks now and then whether the books still add up; if not, nothing more is sold.

use crate::{Engine, limits};
use tokio_util::sync::CancellationToken;

impl Engine {
    pub(super) async fn audit_now_and_then(self, stop: CancellationToken) {
        loop {
            // Looked at twice, because what it says ends the process.
            let wrong = match self.look().await {
                wrong if wrong.is_empty() => wrong,
                _ => self.look().await,
            };
            if !wrong.is_empty() {
                let says = wrong.join("; ");
                tracing::error!(
                    says,
                    "the ledger does not balance: selling stops; run `saldo verify`"
                );
                self.inner.broken.send_replace(Some(says));
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(limits::AUDIT_EVERY) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn look(&self) -> Vec<String> {
        let engine = self.clone();
        match tokio::task::spawn_blocking(move || engine.inner.store.quick_audit()).await {
            Ok(Ok(wrong)) => wrong,
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
