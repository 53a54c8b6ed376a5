//! The workers: they take due jobs under a lease and do one idempotent thing each.
//!
//! A job is a name and an id; the worker reads the purchase anew and may run twice. The usual path
//! and the recovery path are one: after a crash the jobs that were owed are still owed, and an
//! attempt without an outcome is asked about, never sent again.

mod audit;
mod listen;
mod nodes;
mod push;
mod run;
mod send;

pub use push::{PushRenderer, Words};

pub(crate) use send::Arrival;

use crate::{Engine, limits};
use domain::upstream::StatusUpdate;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use store::{Change, Done, DueJob, Fault};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The running workers of one engine.
pub struct Workers {
    engine: Engine,
    stop: CancellationToken,
    loops: TaskTracker,
}

impl Engine {
    /// Starts the workers: first of all, what an earlier run left becomes due, and what this process
    /// wrote before it had workers: every attempt without an outcome is asked about, unless it is out.
    pub async fn start_workers(&self) -> Result<Workers, Fault> {
        self.take_over(Vec::new(), true).await?;
        let stop = CancellationToken::new();
        let loops = TaskTracker::new();
        loops.spawn(self.clone().work(stop.clone()));
        loops.spawn(self.clone().push_what_is_due(stop.clone()));
        loops.spawn(self.clone().tell(stop.clone()));
        loops.spawn(self.clone().take_webhooks(stop.clone()));
        loops.spawn(self.clone().prune_webhooks(stop.clone()));
        loops.spawn(self.clone().warn_while_halted(stop.clone()));
        loops.spawn(self.clone().audit_now_and_then(stop.clone()));
        loops.spawn(self.clone().watch_other_nodes(stop.clone()));
        let updates = self.inner.updates.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(updates) = updates {
            loops.spawn(self.clone().listen(updates, stop.clone()));
        }
        Ok(Workers { engine: self.clone(), stop, loops })
    }

    async fn work(self, stop: CancellationToken) {
        let slots = Arc::new(Semaphore::new(limits::JOBS_AT_ONCE));
        while !stop.is_cancelled() {
            let idle_wait = match self.take_jobs(&slots).await {
                Ok(0) => self.idle_wait(),
                Ok(_) => Duration::ZERO,
                Err(fault) => {
                    tracing::warn!(%fault, "no jobs could be taken");
                    limits::SLEEP_MAX
                }
            };
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
            Ok(Some(due)) => due.since(self.now()).clamp(NAP_MIN, limits::SLEEP_MAX),
            Ok(None) | Err(_) => limits::SLEEP_MAX,
        }
    }

    /// Takes as many due jobs as there are free seats and runs each in a task of its own: one slow
    /// upstream holds its own seats, not the others'.
    async fn take_jobs(&self, slots: &Arc<Semaphore>) -> Result<usize, Fault> {
        let now = self.now();
        if self.inner.store.next_job_due()?.is_none_or(|due| due > now) {
            return Ok(0);
        }
        let limit = u32::try_from(slots.available_permits()).unwrap_or(u32::MAX);
        if limit == 0 {
            return Ok(0);
        }
        let claim = Change::LeaseJobs { now, lease: limits::LEASE, limit };
        let Ok(Done::Leased(jobs)) = self.inner.store.write(claim).await? else { return Ok(0) };
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

    async fn run_and_log(self, job: DueJob) {
        if let Err(fault) = self.run(job).await {
            tracing::warn!(%fault, purchase = %job.key.id, job = job.job.code(), "a job failed; it is owed again when its lease ends");
        }
        self.inner.wake.notify_one();
    }
}

/// When every seat is taken by due jobs, look again this often.
const NAP_MIN: Duration = Duration::from_millis(5);

impl Workers {
    /// Stops taking jobs, then waits for what is under way, at most `patience`. What is left is
    /// owed and taken up at the next start.
    pub async fn stop(self, patience: Duration) {
        self.stop.cancel();
        self.loops.close();
        self.engine.inner.tasks.close();
        let all = async {
            self.loops.wait().await;
            self.engine.inner.tasks.wait().await;
        };
        if tokio::time::timeout(patience, all).await.is_err() {
            tracing::warn!("stopped with work under way; it is taken up at the next start");
        }
    }
}

/// Where upstreams' words come out.
type Heard = mpsc::Receiver<StatusUpdate>;
