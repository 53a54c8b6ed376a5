//! The installation's time: everything that is stored, and everything that ends, goes by it.
//!
//! Here: what an engine asks of it, and the loop that adopts a wall clock. Not here: how time
//! follows the wall clock (`guard.rs`), what counts as passed (`passed.rs`). Invariants: a jump of
//! the wall clock ends nothing; whatever ends something for good asks how much time passed.

mod guard;
mod passed;

pub(crate) use guard::{ClockStart, GuardedClock};

use crate::worker::pause;
use crate::{Engine, limits};
use domain::Timestamp;
use std::time::Duration;
use store::{Fault, NoteTime, RecordClockJump, ServerTime};
use tokio_util::sync::CancellationToken;

impl Engine {
    /// The installation's time.
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// A clock that never steps back.
    pub(crate) fn monotonic(&self) -> Duration {
        self.inner.clock.monotonic()
    }

    /// The time that passed since a stored moment. Time during which no node ran, and a jump of the
    /// clock, count for an hour at most. Whatever ends by time alone is judged by this.
    pub(crate) fn elapsed_since(&self, then: Timestamp) -> Duration {
        let (now, known) = self.inner.clock.now_with_jumps();
        passed::passed(&known.jumps, then, now)
    }

    /// The present time for what cannot be undone: it leaves out where the clock jumped within the
    /// last day.
    pub(crate) fn proven_now(&self) -> Timestamp {
        let (now, known) = self.inner.clock.now_with_jumps();
        passed::proven(&known.jumps, now, limits::CLOCK_PROVEN_AFTER)
    }

    /// Stores where time was moved at the start. Before anything is leased: what is due moves too.
    pub(crate) async fn store_start_of_clock(&self) -> Result<(), Fault> {
        let clock = &self.inner.clock;
        if let Some(start) = clock.unstored() {
            let known = clock.last_jump();
            let record = RecordClockJump { jump: start.jump, known, moves_due: start.moves_due };
            match self.commit(&self.work(), record).await? {
                true => clock.stored(known + 1),
                // Another node has started at the same time.
                false => clock.learn(self.inner.store.clock_record()?),
            }
        }
        self.commit(&self.work(), NoteTime(self.now())).await
    }

    /// Follows the clock: adopts it after a jump, notes the time, and learns what other nodes have
    /// adopted.
    pub(crate) async fn watch_clock(self, stop: CancellationToken) {
        let (mut noted, mut is_failing) = (self.monotonic(), false);
        loop {
            let Some(()) = pause(&stop, limits::CLOCK_READ_EVERY).await else { break };
            let watched = async {
                self.read_server_time()?;
                self.adopt_clock().await?;
                let now = self.monotonic();
                if now.saturating_sub(noted) >= limits::CLOCK_NOTED_EVERY {
                    noted = now;
                    self.commit(&self.work(), NoteTime(self.now())).await?;
                }
                Ok::<(), Fault>(())
            };
            let result = watched.await;
            if let (Err(fault), false) = (&result, is_failing) {
                tracing::warn!(%fault, "the time could not be read or noted; tried each second");
            }
            is_failing = result.is_err();
        }
        let note = async { self.commit(&self.work(), NoteTime(self.now())).await };
        // Without it time goes on from the note before.
        let _ = tokio::time::timeout(limits::CLOCK_NOTED_WITHIN, note).await;
    }

    fn read_server_time(&self) -> Result<(), Fault> {
        let clock = &self.inner.clock;
        let asked = self.monotonic();
        let Some(ServerTime { now, last_jump }) = self.inner.store.server_time()? else {
            return Ok(());
        };
        if self.inner.follows_server_clock {
            clock.server_says(now, asked, self.monotonic());
        }
        if last_jump > clock.last_jump() {
            clock.learn(self.inner.store.clock_record()?);
        }
        Ok(())
    }

    /// Adopts the clock if it is steady. What is written meanwhile goes by the new time already,
    /// and is queued behind the commit that moves what is due.
    async fn adopt_clock(&self) -> Result<(), Fault> {
        let clock = &self.inner.clock;
        let known = clock.last_jump();
        let Some(jump) = clock.adopt() else { return Ok(()) };
        let record = RecordClockJump { jump, known, moves_due: true };
        match self.commit(&self.work(), record).await {
            Ok(true) => clock.stored(known + 1),
            // Another node was faster.
            Ok(false) => clock.learn(self.inner.store.clock_record()?),
            Err(fault) => {
                clock.take_back(jump);
                return Err(fault);
            }
        }
        let seconds = (jump.to.0 - jump.from.0) / 1_000_000;
        tracing::warn!(seconds, "time was moved to the clock, and what is due moved with it");
        self.inner.wake.notify_one();
        self.inner.push_due.notify_one();
        self.inner.webhooks.due.notify_one();
        Ok(())
    }
}
