//! The writer: one thread takes whatever has queued and makes it durable in one Tx.
//!
//! While one commit is on its way to the disk, or another node writes, the next batch gathers; one
//! flush then serves hundreds of purchases. Here are the queue and the callers' side of it; `batch`
//! has the thread and its commits. Not here: any kind of change (each is beside its SQL), and what
//! a batch needs to be judged (`caches`). Invariant: nobody is answered before the commit that
//! contains the change is durable.

mod batch;
mod health;

use crate::backend::WriteConnection;
use crate::commit::{Answer, Commit, Queued, QueuedCommit, Withdrawable};
use crate::fault::{Fault, Result};
use batch::BatchWriter;
use health::WriterHealth;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// Changes that may queue: some seconds of work. More are refused at once, rather than answered too
/// late.
const QUEUE_MAX: usize = 16_384;

/// How many changes are queued, and at how many the writer's thread is woken.
#[derive(Default)]
struct QueueLength {
    count: AtomicUsize,
    wake_at: AtomicUsize,
}

/// The callers' side of the writer: cheap to clone.
#[derive(Clone)]
pub(crate) struct Writer {
    queue: SyncSender<Box<dyn QueuedCommit>>,
    length: Arc<QueueLength>,
    thread: Thread,
    failed: watch::Receiver<Option<Fault>>,
    health: WriterHealth,
}

impl Writer {
    /// Starts the thread on a connection that it owns from now on.
    pub(crate) fn start(sql: impl WriteConnection) -> std::io::Result<(Writer, JoinHandle<()>)> {
        let (queue, queued) = sync_channel(QUEUE_MAX);
        let (fail, failed) = watch::channel(None);
        let length = Arc::new(QueueLength::default());
        let health = WriterHealth::default();
        let (own_length, own_health) = (length.clone(), health.clone());
        let write = move || {
            sql.write_with(|sql| BatchWriter::new(sql, own_length, fail, own_health).run(&queued));
        };
        let running = std::thread::Builder::new().name("writer".to_owned()).spawn(write)?;
        let thread = running.thread().clone();
        Ok((Writer { queue, length, thread, failed, health }, running))
    }

    /// Queues a change and waits until the commit that contains it is durable, or it is refused.
    pub(crate) async fn write<C: Commit>(&self, commit: C) -> Answer<C> {
        let answer = self.enqueue(commit, Withdrawable::default())?;
        answer.await.map_err(|_| Fault::Closed)?
    }

    /// The same, if the writer begins with the change before `timeout` is over; else the change is
    /// withdrawn.
    pub(crate) async fn write_within<C: Commit>(&self, commit: C, timeout: Duration) -> Answer<C> {
        let withdrawable = Withdrawable::default();
        let mut answer = self.enqueue(commit, withdrawable.clone())?;
        let answered = match tokio::time::timeout(timeout, &mut answer).await {
            Ok(answered) => answered,
            Err(_) if withdrawable.is_first() => return Err(Fault::Busy),
            Err(_) => answer.await,
        };
        answered.map_err(|_| Fault::Closed)?
    }

    fn enqueue<C: Commit>(
        &self,
        commit: C,
        withdrawable: Withdrawable,
    ) -> Result<oneshot::Receiver<Answer<C>>> {
        let (queued, answer) = Queued::new(commit, withdrawable);
        self.send(queued)?;
        Ok(answer)
    }

    fn send(&self, queued: Box<dyn QueuedCommit>) -> Result<()> {
        // Counted before it is queued, so that the writer takes nothing that is not counted.
        let count = 1 + self.length.count.fetch_add(1, Ordering::SeqCst);
        self.queue.try_send(queued).map_err(|error| {
            self.length.count.fetch_sub(1, Ordering::SeqCst);
            match error {
                TrySendError::Full(_) => Fault::Busy,
                TrySendError::Disconnected(_) => Fault::Closed,
            }
        })?;
        if count == self.length.wake_at.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        Ok(())
    }

    /// Why nothing could be stored the last time; `None`: it could.
    pub(crate) fn last_fault(&self) -> Option<Fault> {
        self.health.fault()
    }

    /// Resolves when the writer has stopped because the disk failed; the process should end.
    pub(crate) async fn failed(&self) -> Fault {
        let mut failed = self.failed.clone();
        let fault = failed.wait_for(Option::is_some).await.ok().and_then(|fault| fault.clone());
        fault.unwrap_or(Fault::Closed)
    }
}
