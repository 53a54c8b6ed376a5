//! Status updates: messages that upstreams send unasked, such as late outcomes, reversals, repeats.
//!
//! Invariant: updates that were queued before the workers stop are still applied.

use crate::Engine;
use crate::settle::OutcomeSource;
use domain::{AttemptRef, Outcome, StatusUpdate};
use store::Fault;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

impl Engine {
    pub(super) async fn apply_updates(
        self,
        mut updates: mpsc::Receiver<StatusUpdate>,
        stop: CancellationToken,
    ) {
        loop {
            // The queue comes before the stop: an upstream does not repeat a reversal.
            let update = tokio::select! {
                biased;
                update = updates.recv() => update,
                () = stop.cancelled() => None,
            };
            let Some(update) = update else { return };
            let StatusUpdate { attempt, outcome } = update;
            if let Err(fault) = self.apply_update(attempt, &outcome.into()).await {
                tracing::warn!(
                    %fault,
                    %attempt,
                    "an upstream's update could not be applied; the upstream will be asked"
                );
            }
        }
    }

    async fn apply_update(&self, attempt: AttemptRef, outcome: &Outcome) -> Result<(), Fault> {
        if self.is_archived(attempt.purchase)? {
            let (text, reference) = (outcome.text(), outcome.reference());
            return self.keep_late_outcome(attempt, outcome.code(), text, reference).await;
        }
        let Some(purchase) = self.purchase_of_attempt(attempt, None)? else { return Ok(()) };
        let source = OutcomeSource::Update;
        self.apply_outcome(purchase, attempt.number, outcome, source).await.map(|_| ())
    }
}
