//! The workers: they lease due jobs and do one idempotent thing for each.
//!
//! A job is a name and an id; the worker reads the purchase again and may run twice. The usual path
//! and the recovery path are one: after a crash the open jobs are still there, and an attempt
//! without an outcome is asked about, never sent again.

mod audit;
mod nodes;
mod push;
mod run;
mod send;
mod updates;

pub use push::{PushRenderer, PushText};

pub(crate) use send::QueueEvent;

use crate::{Engine, limits};
use std::sync::Arc;
use std::time::Duration;
use store::{Change, Done, DueJob, Fault};
use tokio::sync::Semaphore;
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
        self.take_over(Vec::new(), true).await?;
        let stop = CancellationToken::new();
        let loops = TaskTracker::new();
        loops.spawn(self.clone().run_jobs(stop.clone()));
        loops.spawn(self.clone().send_pushes(stop.clone()));
        loops.spawn(self.clone().send_webhooks(stop.clone()));
        loops.spawn(self.clone().lease_webhooks(stop.clone()));
        loops.spawn(self.clone().prune_webhooks(stop.clone()));
        loops.spawn(self.clone().warn_while_halted(stop.clone()));
        loops.spawn(self.clone().audit_at_intervals(stop.clone()));
        loops.spawn(self.clone().watch_other_nodes(stop.clone()));
        let updates = self.inner.updates.lock().take();
        if let Some(updates) = updates {
            loops.spawn(self.clone().apply_updates(updates, stop.clone()));
        }
        Ok(Workers { engine: self.clone(), stop, loops })
    }

    async fn run_jobs(self, stop: CancellationToken) {
        let slots = Arc::new(Semaphore::new(limits::JOBS_AT_ONCE));
        while !stop.is_cancelled() {
            let leased = self.lease_jobs(&slots).await;
            let idle_wait = leased.map(|n| if n == 0 { self.idle_wait() } else { Duration::ZERO });
            let idle_wait = or_longest(idle_wait, "no jobs could be leased");
            tokio::select! {
                () = tokio::time::sleep(idle_wait) => {}
                () = self.inner.wake.notified() => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// How long until something is due.
    fn idle_wait(&self) -> Duration {
        match self.inner.store.next_job_due() {
            Ok(Some(due)) => due.since(self.now()).clamp(limits::SLEEP_MIN, limits::SLEEP_MAX),
            Ok(None) | Err(_) => limits::SLEEP_MAX,
        }
    }

    /// Leases as many due jobs as there are free slots and runs each in a task of its own, so that
    /// a slow upstream delays no other job while slots are free.
    async fn lease_jobs(&self, slots: &Arc<Semaphore>) -> Result<usize, Fault> {
        let now = self.now();
        let limit = free_slots(slots);
        if limit == 0 || self.inner.store.next_job_due()?.is_none_or(|due| due > now) {
            return Ok(0);
        }
        let lease = Change::LeaseJobs { now, lease: limits::LEASE, limit };
        let Ok(Done::Leased(jobs)) = self.inner.store.write(lease).await? else { return Ok(0) };
        for job in &jobs {
            let Ok(slot) = slots.clone().acquire_owned().await else { break };
            let running = self.clone().run_and_log(*job);
            self.inner.tasks.spawn(async move {
                running.await;
                drop(slot);
            });
        }
        Ok(jobs.len())
    }

    async fn run_and_log(self, due: DueJob) {
        let (purchase, job) = (due.key.id, due.job.code());
        if let Err(fault) = self.run(due).await {
            tracing::warn!(%fault, %purchase, job, "a job failed; it is due again after its lease");
        }
        self.inner.wake.notify_one();
    }
}

/// The wait; after a fault, which goes to the log, the longest.
fn or_longest(idle_wait: Result<Duration, Fault>, failed: &str) -> Duration {
    idle_wait.unwrap_or_else(|fault| {
        tracing::warn!(%fault, "{failed}");
        limits::SLEEP_MAX
    })
}

fn free_slots(slots: &Semaphore) -> u32 {
    u32::try_from(slots.available_permits()).unwrap_or(u32::MAX)
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
