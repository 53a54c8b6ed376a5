//! Words that upstreams send unasked: late ends, reversals, repeats.

use super::Heard;
use crate::Engine;
use crate::settle::OutcomeSource;
use domain::upstream::StatusUpdate;
use store::Fault;
use tokio_util::sync::CancellationToken;

impl Engine {
    pub(super) async fn listen(self, mut heard: Heard, stop: CancellationToken) {
        loop {
            // What was heard before the end is taken before it: nobody repeats a reversal.
            let word = tokio::select! {
                biased;
                word = heard.recv() => word,
                () = stop.cancelled() => None,
            };
            let Some(word) = word else { return };
            if let Err(fault) = self.take_word(&word).await {
                tracing::warn!(%fault, attempt = %word.attempt, "an upstream's word could not be taken; it will be asked for");
            }
        }
    }

    async fn take_word(&self, word: &StatusUpdate) -> Result<(), Fault> {
        if self.is_archived(word.attempt.purchase)? {
            let said = &word.outcome;
            return self
                .keep_late_outcome(word.attempt, said.code(), said.text(), said.reference())
                .await;
        }
        let Some(purchase) = self.inner.store.any_purchase(word.attempt.purchase)? else {
            tracing::warn!(attempt = %word.attempt, "an upstream speaks of an attempt that we never made");
            return Ok(());
        };
        if word.attempt.number == 0 || word.attempt.number > purchase.attempts {
            tracing::warn!(attempt = %word.attempt, "an upstream speaks of an attempt that we never made");
            return Ok(());
        }
        self.hear(purchase, word.attempt.number, &word.outcome, OutcomeSource::StatusUpdate)
            .await
            .map(|_| ())
    }
}
