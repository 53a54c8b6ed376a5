//! Looks now and then whether the books still add up, and shouts if not.

use crate::{Engine, limits};
use tokio_util::sync::CancellationToken;

impl Engine {
    pub(super) async fn audit_now_and_then(self, stop: CancellationToken) {
        loop {
            let engine = self.clone();
            match tokio::task::spawn_blocking(move || engine.inner.store.quick_audit()).await {
                Ok(Ok(wrong)) => wrong.iter().for_each(|says| {
                    tracing::error!(says, "the ledger does not balance: run `saldo verify`")
                }),
                Ok(Err(fault)) => tracing::warn!(%fault, "the audit could not read the ledger"),
                Err(_) => tracing::error!("the audit panicked"),
            }
            tokio::select! {
                () = tokio::time::sleep(limits::AUDIT_EVERY) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}
