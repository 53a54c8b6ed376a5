//! Commits moves of purchases: openings and steps.
//!
//! One way for all of them: the webhooks that report a move are in its commit, an attempt counts as
//! in flight before it is on record, and what was committed is handed on. Not here: which move is
//! made (`settle`, `purchase`).

use crate::upstreams::CallEnd;
use crate::{Engine, Permit};
use domain::{AttemptChange, AttemptRef, Move, Purchase, State, UpstreamCode};
use std::time::Duration;
use store::{Commit, Fault};

/// A move that was committed.
pub(crate) struct Moved<T> {
    /// The purchase after it.
    pub(crate) purchase: Purchase,
    /// What the commit answered.
    pub(crate) done: T,
}

impl Engine {
    /// Commits a move; `within` is how long the writer may take to begin with it. On a fault of the
    /// webhooks' receivers the move is not made.
    pub(crate) async fn commit_move<A, C: Commit>(
        &self,
        permit: &Permit<A>,
        mut step: Box<Move>,
        within: Option<Duration>,
        commit: impl FnOnce(Box<Move>) -> C,
    ) -> Result<Result<Moved<C::Done>, C::Denied>, Fault> {
        self.enqueue_webhooks(&mut step)?;
        let starts = matches!(step.attempt, Some(AttemptChange::Start(_)));
        if matches!(step.after.state, State::InDoubt | State::Sent) && !starts {
            // Its call is over. Each upstream has a schedule of its own, from the first enquiry on.
            step.job.1 = step.after.updated_at.after(self.enquiries_of(&step.after).wait(0));
        }
        let (purchase, webhooks) = (step.after.clone(), step.webhooks.clone());
        let draft = purchase.latest_attempt().filter(|_| starts);
        let draft = draft.zip(purchase.upstream.clone());
        let draft = draft.map(|(attempt, upstream)| AttemptDraft::begin(self, attempt, upstream));
        let done = match self.write(permit, commit(step), within).await? {
            Ok(done) => done,
            Err(denied) => return Ok(Err(denied)),
        };
        if let Some(draft) = draft {
            draft.recorded();
        }
        self.dispatch_webhooks(purchase.key, webhooks);
        if purchase.state.is_final() {
            self.inner.in_flight.forget_all(purchase.key.id.number(), purchase.attempts);
            if purchase.api_key.is_none() {
                self.inner.push_due.notify_one();
            }
        }
        Ok(Ok(Moved { purchase, done }))
    }
}

/// An attempt that is about to be recorded; cancelled if it is dropped before.
struct AttemptDraft<'a> {
    engine: &'a Engine,
    attempt: AttemptRef,
    upstream: UpstreamCode,
    is_recorded: bool,
}

impl AttemptDraft<'_> {
    fn begin(engine: &Engine, attempt: AttemptRef, upstream: UpstreamCode) -> AttemptDraft<'_> {
        engine.inner.in_flight.begin(attempt, engine.monotonic());
        AttemptDraft { engine, attempt, upstream, is_recorded: false }
    }

    fn recorded(mut self) {
        self.is_recorded = true;
    }
}

impl Drop for AttemptDraft<'_> {
    fn drop(&mut self) {
        if !self.is_recorded {
            self.engine.inner.in_flight.cancel(self.attempt);
            self.engine.end_call(&self.upstream, self.attempt, CallEnd::Cancelled);
        }
    }
}
