//! The writer's thread: gathers batches, judges and commits them, answers their callers.
//!
//! A batch with reads is committed before the next one begins. An optimistic batch, where the
//! database allows one, reads nothing and is sent without waiting; one more may follow before its
//! result is known. If a commit fails, its batch is tried again in halves, so that in the end each
//! bad change fails alone.

use super::QueueLength;
use super::health::{TRY_EVERY, TryToWrite, WriterHealth};
use crate::backend::WriteSql;
use crate::caches::Caches;
use crate::commit::{Queued, QueuedCommit, Tx, Withdrawable};
use crate::fault::{Fault, Result};
use crate::ledger::LedgerSavepoint;
use domain::ledger::admission;
use domain::{Denial, View};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tokio::sync::watch;

/// Changes in one Tx at most: bounds how long the first of them waits for the last.
const BATCH_MAX: usize = 512;
/// A Tx that was lost before its commit is tried at most so often.
const TRIES_MAX: u32 = 3;
/// Batches with reads after optimistic ones that failed, at most. Without them, known references
/// that are sent again, or other busy nodes, would cost every caller a second try each time.
const BACKOFF_MAX: u32 = 63;
/// While a commit is in flight and enough changes are queued, the queue is not empty.
const AT_ONCE: Duration = Duration::from_millis(1);
/// After this long without work the writer's connection tidies up.
const IDLE_AFTER: Duration = Duration::from_secs(20);

type Batch = Vec<Box<dyn QueuedCommit>>;
type Queue = Receiver<Box<dyn QueuedCommit>>;

/// A batch whose commit was sent, and whose result is not known yet.
struct InFlight {
    batch: Batch,
    /// The ledger before it.
    savepoint: LedgerSavepoint,
}

/// Whether the next batch may be optimistic. After failures the writer reads for a while: 1 batch,
/// then 3, 7, … at most [`BACKOFF_MAX`].
#[derive(Default)]
struct Backoff {
    /// Batches to come that must read.
    remaining: u32,
    /// How many they were the last time.
    last: u32,
}

impl Backoff {
    fn next_may_be_optimistic(&mut self) -> bool {
        let may = self.remaining == 0;
        self.remaining = self.remaining.saturating_sub(1);
        may
    }

    fn optimistic_failed(&mut self) {
        self.last = (self.last * 2 + 1).min(BACKOFF_MAX);
        self.remaining = self.last;
    }

    const fn optimistic_succeeded(&mut self) {
        self.last = 0;
    }
}

/// The state of the writer's thread.
pub(super) struct BatchWriter<'s> {
    sql: &'s mut dyn WriteSql,
    caches: Caches,
    backoff: Backoff,
    /// The oldest first.
    in_flight: VecDeque<InFlight>,
    queue_length: Arc<QueueLength>,
    fail: watch::Sender<Option<Fault>>,
    health: WriterHealth,
}

impl BatchWriter<'_> {
    pub(super) fn new(
        sql: &mut dyn WriteSql,
        queue_length: Arc<QueueLength>,
        fail: watch::Sender<Option<Fault>>,
        health: WriterHealth,
    ) -> BatchWriter<'_> {
        BatchWriter {
            sql,
            caches: Caches::default(),
            backoff: Backoff::default(),
            in_flight: VecDeque::new(),
            queue_length,
            fail,
            health,
        }
    }

    pub(super) fn run(mut self, queue: &Queue) {
        let mut was_busy = true;
        while self.fail.borrow().is_none() {
            if self.await_oldest() {
                self.complete_oldest(queue);
                continue;
            }
            let is_idle = self.in_flight.is_empty();
            let wait = match (is_idle, self.health.is_failing()) {
                (false, _) => AT_ONCE,
                (true, false) => IDLE_AFTER,
                (true, true) => TRY_EVERY,
            };
            let first = match queue.recv_timeout(wait) {
                Ok(queued) => queued,
                Err(RecvTimeoutError::Timeout) if is_idle && self.health.is_failing() => {
                    let (queued, _) = Queued::new(TryToWrite, Withdrawable::default());
                    self.commit_and_answer(vec![queued], queue);
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => {
                    if was_busy && is_idle {
                        self.sql.on_idle();
                        was_busy = false;
                    }
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.complete_all(queue);
                    self.sql.on_idle();
                    return;
                }
            };
            was_busy = true;
            let must_read = !self.sql.can_be_optimistic() || !self.backoff.next_may_be_optimistic();
            if must_read {
                // Changes that arrive meanwhile join the batch.
                self.complete_all(queue);
                self.sql.await_lock();
            }
            let batch = self.gather(first, queue);
            if batch.is_empty() {
                self.roll_back();
                continue;
            }
            let unsent = if must_read { Some(batch) } else { self.send_optimistic(batch) };
            if let Some(batch) = unsent {
                self.complete_all(queue);
                self.commit_and_answer(batch, queue);
            }
        }
        tracing::error!(
            "the disk failed: the writer stops, so that nothing is acknowledged that is not stored"
        );
    }

    /// The changes that are queued, without those that were withdrawn.
    fn gather(&self, first: Box<dyn QueuedCommit>, queue: &Queue) -> Batch {
        let mut batch = Vec::with_capacity(64);
        for queued in std::iter::once(first).chain(queue.try_iter()).take(BATCH_MAX) {
            self.queue_length.count.fetch_sub(1, Ordering::SeqCst);
            if queued.begin() {
                batch.push(queued);
            }
        }
        batch
    }

    /// Waits until the result of the oldest commit in flight is known, or a batch may follow it;
    /// `true`: it is known. At most one batch may follow, and only once it has as many changes: the
    /// longer it gathers, the more changes share its statements and its flush.
    fn await_oldest(&mut self) -> bool {
        let Some(oldest) = self.in_flight.front() else { return false };
        let enough = match self.in_flight.len() {
            1 => oldest.batch.len(),
            _ => usize::MAX,
        };
        self.queue_length.wake_at.store(enough, Ordering::SeqCst);
        let length = self.queue_length.clone();
        self.sql.await_commit(&|| length.count.load(Ordering::SeqCst) >= enough)
    }

    /// Sends an optimistic batch, and does not wait for its commit. Gives the batch back if it
    /// needs reads.
    fn send_optimistic(&mut self, mut batch: Batch) -> Option<Batch> {
        let needs: Vec<_> = batch.iter().map(|queued| queued.needs()).collect();
        let Some(view) = self.caches.view(&needs) else {
            drop(needs);
            return Some(batch);
        };
        drop(needs);
        let savepoint = self.caches.ledger.savepoint();
        let sent = self.sql.begin(true).and_then(|()| self.write_and_send(&mut batch, Some(view)));
        match sent {
            Ok(()) => {
                self.in_flight.push_back(InFlight { batch, savepoint });
                None
            }
            Err(fault) => {
                tracing::debug!(%fault, "an optimistic batch was not sent; it is done with reads");
                self.caches.forget_uncommitted(savepoint, true);
                if fault.may_be_one_change() {
                    self.backoff.optimistic_failed();
                }
                self.roll_back();
                Some(batch)
            }
        }
    }

    /// Undoes the open Tx, or stops for good.
    fn roll_back(&mut self) {
        if let Err(fault) = self.sql.roll_back() {
            self.fail.send_replace(Some(fault));
        }
    }

    fn complete_all(&mut self, queue: &Queue) {
        while !self.in_flight.is_empty() {
            self.complete_oldest(queue);
        }
    }

    /// Takes the result of the oldest commit. If it failed, the one that was sent after it fails
    /// too: both are waited for and done again with reads, in their order.
    fn complete_oldest(&mut self, queue: &Queue) {
        let Some(oldest) = self.in_flight.pop_front() else { return };
        let Err(fault) = self.sql.commit_result() else {
            self.backoff.optimistic_succeeded();
            self.health.stored();
            return answer_all(oldest.batch, &Ok(()));
        };
        tracing::debug!(%fault, "an optimistic batch was rejected; it is done again with reads");
        let savepoint = oldest.savepoint;
        let mut failed = vec![(oldest.batch, fault)];
        while let Some(next) = self.in_flight.pop_front() {
            match self.sql.commit_result() {
                // It is committed only after the one before it, so that one is committed too, as
                // its look-up shows.
                Ok(()) => answer_all(next.batch, &Ok(())),
                Err(fault) => failed.push((next.batch, fault)),
            }
        }
        self.caches.forget_uncommitted(savepoint, true);
        self.backoff.optimistic_failed();
        for (batch, fault) in failed {
            let may_be_tried = fault.may_be_one_change() || matches!(fault, Fault::Unavailable(_));
            if may_be_tried {
                self.commit_and_answer(batch, queue);
            } else {
                self.health.failed(&fault, false);
                let results = vec![Err(fault); batch.len()];
                self.answer(batch, results, queue);
            }
        }
    }

    fn commit_and_answer(&mut self, mut batch: Batch, queue: &Queue) {
        let results = self.commit_batch(&mut batch);
        self.answer(batch, results, queue);
    }

    fn answer(&self, batch: Batch, results: Vec<Result<()>>, queue: &Queue) {
        let mut is_fenced = false;
        for (queued, result) in batch.into_iter().zip(results) {
            if let Err(fault @ Fault::Disk(_)) = &result {
                self.fail.send_replace(Some(fault.clone()));
            }
            is_fenced |= matches!(result, Err(Fault::Fenced));
            queued.answer(result);
        }
        if is_fenced {
            // Queued before this node was declared dead: other nodes may have decided since.
            let queued: Batch = queue.try_iter().collect();
            self.queue_length.count.fetch_sub(queued.len(), Ordering::SeqCst);
            answer_all(queued, &Err(Fault::Fenced));
        }
    }

    /// One commit for all changes, or, if that fails, one for each half.
    fn commit_batch(&mut self, batch: &mut [Box<dyn QueuedCommit>]) -> Vec<Result<()>> {
        let changes = batch.len();
        let fault = match self.commit_with_retries(batch) {
            Ok(Ok(())) => {
                self.health.stored();
                return vec![Ok(()); changes];
            }
            Ok(Err(fault)) => fault,
            // If no Tx can be opened (another program holds the lock, the server is away), none
            // could be for any half: one wait for all changes, not one for each.
            Err(fault) => {
                self.health.failed(&fault, true);
                tracing::error!(%fault, changes, "no Tx could be opened; nothing was stored");
                return vec![Err(fault); changes];
            }
        };
        if changes == 1 || !fault.may_be_one_change() {
            self.health.failed(&fault, false);
            tracing::error!(%fault, changes, "a commit failed; its changes are not acknowledged");
            return vec![Err(fault); changes];
        }
        tracing::warn!(%fault, changes, "a commit failed; its changes are tried in halves");
        let (first, second) = batch.split_at_mut(changes / 2);
        let mut results = self.commit_batch(first);
        results.extend(self.commit_batch(second));
        results
    }

    /// Tries again if the connection is lost before the commit. The outer error: no Tx could be
    /// opened.
    fn commit_with_retries(&mut self, batch: &mut [Box<dyn QueuedCommit>]) -> Result<Result<()>> {
        let mut tries = 0;
        loop {
            self.sql.begin(false)?;
            tries += 1;
            match self.commit_open_tx(batch) {
                Err(Fault::Unavailable(why)) if tries < TRIES_MAX => {
                    tracing::warn!(why, "a Tx was lost before its commit; it is tried again");
                }
                result => return Ok(result),
            }
        }
    }

    /// Writes into the open Tx and commits it, or rolls it back.
    fn commit_open_tx(&mut self, batch: &mut [Box<dyn QueuedCommit>]) -> Result<()> {
        let savepoint = self.caches.ledger.savepoint();
        let sent = self.write_and_send(batch, None);
        let committed = sent.and_then(|()| self.sql.commit_result());
        if committed.is_err() {
            self.caches.forget_uncommitted(savepoint, false);
            self.sql
                .roll_back()
                .map_err(|fault| Fault::Disk(format!("a roll-back failed: {fault}")))?;
        }
        committed
    }

    /// Writes into the open Tx and sends its commit; from here on the caches have its state.
    /// `cached` is the view of an optimistic Tx.
    fn write_and_send(
        &mut self,
        batch: &mut [Box<dyn QueuedCommit>],
        cached: Option<View>,
    ) -> Result<()> {
        let view = self.write(batch, cached)?;
        self.sql.send_commit()?;
        self.caches.keep(&view);
        Ok(())
    }

    /// Judges the changes and writes those that are admitted. An optimistic batch never denies a
    /// change: a denial writes no row, so the database could not expose a stale cache.
    fn write(&mut self, batch: &mut [Box<dyn QueuedCommit>], cached: Option<View>) -> Result<View> {
        let is_optimistic = cached.is_some();
        let mut view = match cached {
            Some(view) => view,
            None => {
                let needs: Vec<_> = batch.iter().map(|queued| queued.needs()).collect();
                self.caches.load(self.sql, &needs)?
            }
        };
        let run = self.sql.node_run();
        let Caches { ledger, calls, .. } = &mut self.caches;
        for queued in batch {
            let needs = queued.needs();
            let admitted = match needs.purchase {
                Some(id) if ledger.is_closed(id) => Err(Denial::Closed),
                Some(_) | None => admission::admit(&mut view, &needs.admission),
            };
            match admitted {
                Ok(()) => {
                    let sql = &mut *self.sql;
                    queued.apply(&mut Tx { sql, ledger, calls, view: &view, run })?;
                }
                Err(denial) if is_optimistic => {
                    let why = format!("an optimistic batch would deny a change: {denial:?}");
                    return Err(Fault::corrupt(why));
                }
                Err(denial) => queued.deny(denial)?,
            }
        }
        self.caches.write_totals(self.sql, &view)?;
        Ok(view)
    }
}

fn answer_all(batch: Batch, committed: &Result<()>) {
    batch.into_iter().for_each(|queued| queued.answer(committed.clone()));
}
