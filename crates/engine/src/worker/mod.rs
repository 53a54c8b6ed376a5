//! The workers: they lease due jobs and do one idempotent thing for each.
//!
//! A job is a name and an id; the worker reads the purchase again and may run twice. The usual path
//! and the recovery path are one: after a crash the open jobs are still there, and an attempt
//! without an outcome is asked about, never sent again.

mod audit;
mod callbacks;
mod exchanges;
mod intervals;
mod nodes;
mod push;
mod queue;
mod rechecks;
mod run;
mod send;
mod updates;

pub use push::{PushRenderer, PushText};

pub(crate) use callbacks::{CalledAbout, Unanswered};
pub(crate) use intervals::{next_batch, pause};
pub(crate) use send::QueueEvent;

use crate::{Engine, limits};
use push::PushHandler;
use queue::{QueueHandler, Slots};
use send::WebhookHandler;
use std::time::Duration;
use store::{DueJob, Fault, Jobs};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The running workers of one engine.
pub struct Workers {
    engine: Engine,
    stop: CancellationToken,
    loops: TaskTracker,
}

impl Engine {
    /// Starts the workers. First, what an earlier run left becomes due, and what this process wrote
    /// before it had workers: every attempt without an outcome is asked about, unless its call is
    /// in flight.
    pub async fn start_workers(&self) -> Result<Workers, Fault> {
        self.store_start_of_clock().await?;
        self.take_over(Vec::new(), true).await?;
        self.note_stored_sales().await?;
        let stop = CancellationToken::new();
        let loops = TaskTracker::new();
        let jobs = JobHandler(Slots::new(limits::JOBS_AT_ONCE));
        loops.spawn(self.clone().run_queue(jobs, stop.clone()));
        let pushes = PushHandler(Slots::new(limits::PUSHES_AT_ONCE));
        loops.spawn(self.clone().run_queue(pushes, stop.clone()));
        if self.inner.webhooks.parts.is_some() {
            loops.spawn(self.clone().send_webhooks(stop.clone()));
            loops.spawn(self.clone().run_queue(WebhookHandler, stop.clone()));
            loops.spawn(self.clone().watch_endpoints(stop.clone()));
        }
        loops.spawn(self.clone().prune_webhooks(stop.clone()));
        loops.spawn(self.clone().watch_clock(stop.clone()));
        loops.spawn(self.clone().watch_floats(stop.clone()));
        loops.spawn(self.clone().watch_balances(stop.clone()));
        loops.spawn(self.clone().warn_while_halted(stop.clone()));
        loops.spawn(self.clone().audit_at_intervals(stop.clone()));
        loops.spawn(self.clone().pay_commission_by_rule(stop.clone()));
        loops.spawn(self.clone().renew_plans(stop.clone()));
        loops.spawn(self.clone().watch_other_nodes(stop.clone()));
        loops.spawn(self.clone().prune_exchanges(stop.clone()));
        loops.spawn(self.clone().ask_about_callbacks(stop.clone()));
        loops.spawn(self.clone().recheck_ended(stop.clone()));
        loops.spawn(self.clone().continue_replays(stop.clone()));
        loops.spawn(self.clone().write_key_uses(stop.clone()));
        loops.spawn(self.clone().prune_requests(stop.clone()));
        loops.spawn(self.clone().fill_lists(stop.clone()));
        loops.spawn(self.clone().keep_requests(stop.clone()));
        loops.spawn(self.clone().keep_exchanges(stop.clone()));
        loops.spawn(self.clone().apply_updates(stop.clone()));
        Ok(Workers { engine: self.clone(), stop, loops })
    }
}

/// Jobs of open purchases. A slow upstream delays no other job while slots are free.
struct JobHandler(Slots);

impl QueueHandler for JobHandler {
    type Queue = Jobs;

    const NAME: &'static str = "jobs";
    const LEASE: Duration = limits::LEASE;

    fn wake(engine: &Engine) -> &Notify {
        &engine.inner.wake
    }

    fn room(&self, _: &Engine) -> u32 {
        self.0.room()
    }

    async fn take(&self, engine: &Engine, due: Vec<DueJob>) {
        let run = |engine: Engine, due: DueJob| async move {
            let (purchase, job) = (due.key.id, due.job.code());
            if let Err(fault) = engine.run(due).await {
                tracing::warn!(
                    %fault, %purchase, job, "a job failed; it is due again after its lease"
                );
            }
        };
        self.0.run_each::<JobHandler, _>(engine, due, run).await;
    }
}

impl Workers {
    /// Stops leasing jobs, then waits for the running ones, at most `timeout`. The rest continues
    /// at the next start.
    pub async fn stop(self, timeout: Duration) {
        self.stop.cancel();
        self.loops.close();
        self.engine.inner.tasks.close();
        let all = async {
            self.loops.wait().await;
            self.engine.inner.tasks.wait().await;
        };
        if tokio::time::timeout(timeout, all).await.is_err() {
            tracing::warn!("stopped with work under way; it continues at the next start");
        }
    }
}
