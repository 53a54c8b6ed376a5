//! Runs one queue: leases what is due as there is room, and hands it to its handler.
//!
//! The loop sleeps until the next row is due, or until it is woken, because a row may have become
//! due or room may have become free. It looks again after half a second at the latest: the wall
//! clock may have been set, and other nodes write rows too.

use crate::{Engine, limits};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use store::{Fault, Lease, Queue};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

/// A kind of queued work.
pub(super) trait QueueHandler: Send + Sync + 'static {
    /// Its queue in the store.
    type Queue: Queue;

    /// For the log: `jobs`.
    const NAME: &'static str;
    /// After it another worker may take what was leased.
    const LEASE: Duration;

    /// Wakes the loop.
    fn wake(engine: &Engine) -> &Notify;

    /// How many rows may be leased now; 0 while nothing may be done.
    fn room(&self, engine: &Engine) -> u32;

    /// Takes what was leased, without waiting until it is done.
    fn take(
        &self,
        engine: &Engine,
        due: Vec<<Self::Queue as Queue>::Due>,
    ) -> impl Future<Output = ()> + Send;
}

impl Engine {
    pub(super) async fn run_queue<H: QueueHandler>(self, handler: H, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let wait = self.lease_due(&handler).await.unwrap_or_else(|fault| {
                tracing::warn!(%fault, queue = H::NAME, "nothing could be leased");
                limits::SLEEP_MAX
            });
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = H::wake(&self).notified() => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Answers how long to wait before the next look.
    async fn lease_due<H: QueueHandler>(&self, handler: &H) -> Result<Duration, Fault> {
        let room = handler.room(self);
        if room == 0 {
            return Ok(limits::SLEEP_MAX);
        }
        let now = self.now();
        match self.inner.store.next_due::<H::Queue>()? {
            None => return Ok(limits::SLEEP_MAX),
            Some(due) if due > now => {
                return Ok(due.since(now).clamp(limits::SLEEP_MIN, limits::SLEEP_MAX));
            }
            Some(_) => {}
        }
        let due = self.commit(&self.work(), Lease::<H::Queue>::new(now, H::LEASE, room)).await?;
        if due.is_empty() {
            // What is due must wait for something else, or another node was faster.
            return Ok(limits::SLEEP_MIN);
        }
        handler.take(self, due).await;
        Ok(Duration::ZERO)
    }
}

/// Work that runs a bounded number of rows at once, each in a task of its own.
pub(super) struct Slots {
    free: Arc<Semaphore>,
}

impl Slots {
    pub(super) fn new(count: usize) -> Slots {
        Slots { free: Arc::new(Semaphore::new(count)) }
    }

    pub(super) fn room(&self) -> u32 {
        u32::try_from(self.free.available_permits()).unwrap_or(u32::MAX)
    }

    /// Runs `work` for each row; wakes the loop whenever a slot is free again.
    pub(super) async fn run_each<H: QueueHandler, F: Future<Output = ()> + Send + 'static>(
        &self,
        engine: &Engine,
        due: Vec<<H::Queue as Queue>::Due>,
        work: impl Fn(Engine, <H::Queue as Queue>::Due) -> F,
    ) {
        for row in due {
            let Ok(slot) = self.free.clone().acquire_owned().await else { return };
            let (running, engine) = (work(engine.clone(), row), engine.clone());
            engine.inner.tasks.clone().spawn(async move {
                running.await;
                drop(slot);
                H::wake(&engine).notify_one();
            });
        }
    }
}
