//! What is done again and again until the server stops: at fixed intervals, or as long as there is
//! something old to delete.

use crate::{Engine, limits};
use domain::Timestamp;
use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;
use store::{Commit, Fault};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

impl Engine {
    /// Tells accounts that a balance is low, a few seconds after it crossed the amount that was
    /// set.
    pub(super) async fn watch_balances(self, stop: CancellationToken) {
        let report = |engine: Engine| async move { engine.report_low_balances().await };
        let failed = "an account was not told of a low balance; it is soon";
        self.at_intervals(limits::BALANCES_WATCHED_EVERY, stop, report, failed).await;
    }

    /// Commission is paid out by the accounts' rules, soon after a day begins or the amount is
    /// reached.
    pub(super) async fn pay_commission_by_rule(self, stop: CancellationToken) {
        let pay = |engine: Engine| async move { engine.pay_due_commission().await };
        let failed = "commission was not paid out; it is due again";
        self.at_intervals(limits::COMMISSION_EVERY, stop, pay, failed).await;
    }

    /// Plans are renewed in the last day before they end, where their accounts want it.
    pub(super) async fn renew_plans(self, stop: CancellationToken) {
        let renew = |engine: Engine| async move { engine.renew_due_plans().await };
        let failed = "plans were not renewed; they are due again";
        self.at_intervals(limits::PLANS_RENEWED_EVERY, stop, renew, failed).await;
    }

    /// Does `work` at intervals, except while the installation is halted: a restored one does not
    /// know what became of its money since, or may have paid it out in a book that was lost.
    async fn at_intervals<F: Future<Output = Result<(), Fault>>>(
        self,
        every: Duration,
        stop: CancellationToken,
        work: impl Fn(Engine) -> F,
        failed: &str,
    ) {
        loop {
            if !self.is_halted()
                && let Err(fault) = work(self.clone()).await
            {
                tracing::warn!(%fault, "{failed}");
            }
            let Some(()) = pause(&stop, every).await else { return };
        }
    }

    /// Deletes what was kept for long enough, `limit` rows in a commit, and soon again while there
    /// are more.
    pub(crate) async fn prune<C: Commit<Done = usize, Denied = Infallible>>(
        self,
        stop: CancellationToken,
        kept_for: Duration,
        limit: u32,
        prune: impl Fn(Timestamp) -> C,
        failed: &str,
    ) {
        loop {
            let before = self.proven_now().before(kept_for);
            let idle_wait = match self.commit(&self.work(), prune(before)).await {
                Ok(count) if count >= limit as usize => limits::SLEEP_MAX,
                Ok(_) => limits::PRUNE_EVERY,
                Err(fault) => {
                    tracing::warn!(%fault, "{failed}");
                    limits::PRUNE_EVERY
                }
            };
            let Some(()) = pause(&stop, idle_wait).await else { return };
        }
    }
}

/// Takes what waits in a queue, `most` of it, or what comes next; none: the server stops. The queue
/// comes before the stop: what is in it is still worked on.
pub(crate) async fn next_batch<T>(
    queue: &mut mpsc::Receiver<T>,
    most: usize,
    stop: &CancellationToken,
) -> Option<Vec<T>> {
    let mut batch = Vec::new();
    tokio::select! {
        biased;
        _ = queue.recv_many(&mut batch, most) => {}
        () = stop.cancelled() => {}
    }
    (!batch.is_empty()).then_some(batch)
}

/// Waits; none: the server stops.
pub(crate) async fn pause(stop: &CancellationToken, wait: Duration) -> Option<()> {
    stop.run_until_cancelled(tokio::time::sleep(wait)).await
}
