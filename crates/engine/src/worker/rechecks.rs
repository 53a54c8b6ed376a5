//! Asks again about orders that have ended, some days after: an upstream may take a delivery back,
//! or deliver what it called failed, and say so only when it is asked.
//!
//! Slowly, so that sales are not kept from the upstream. Of several nodes one asks about each
//! order. Invariants: only what is an end of an order is applied, as any enquiry's answer is; no
//! answer, and *not found* after all these days, say nothing.

use super::intervals::pause;
use crate::settle::OutcomeSource;
use crate::upstreams::Rechecked;
use crate::{Engine, limits};
use domain::{Answer, Day, EnquiryOutcome, PurchaseId, PurchaseNumber, UpstreamCode};
use std::collections::VecDeque;
use std::time::Duration;
use store::{EndedAttempt, Fault, MoveRecheckMark};
use tokio_util::sync::CancellationToken;

/// What this node has taken and not asked about yet.
#[derive(Default)]
struct Taken {
    next: VecDeque<Recheck>,
    /// Those without an answer that counts; the first one is due first.
    again: VecDeque<Recheck>,
    /// Upstreams take turns.
    turn: usize,
}

/// One attempt that is asked about again.
#[derive(Clone)]
struct Recheck {
    ended: EndedAttempt,
    code: UpstreamCode,
    /// How often it was asked about.
    tries: usize,
    /// Monotonic: not earlier.
    from: Duration,
}

impl Engine {
    pub(super) async fn recheck_ended(self, stop: CancellationToken) {
        let mut taken = Taken::default();
        loop {
            let wait = match self.recheck_next(&mut taken).await {
                Ok(true) => limits::RECHECK_EVERY,
                Ok(false) => limits::RECHECKS_SOUGHT_EVERY,
                Err(fault) => {
                    tracing::warn!(%fault, "orders could not be asked about again; soon");
                    limits::RECHECKS_SOUGHT_EVERY
                }
            };
            let Some(()) = pause(&stop, wait).await else { return };
        }
    }

    /// Asks about one attempt. False: there is none.
    async fn recheck_next(&self, taken: &mut Taken) -> Result<bool, Fault> {
        if self.is_halted() {
            return Ok(false);
        }
        let now = self.monotonic();
        let is_due = taken.again.front().is_some_and(|first| first.from <= now);
        let waiting = if is_due { taken.again.pop_front() } else { None };
        if waiting.is_none() && taken.next.is_empty() {
            taken.next = self.take_rechecks(taken.turn).await?.into();
            taken.turn = taken.turn.wrapping_add(1);
        }
        let Some(recheck) = waiting.or_else(|| taken.next.pop_front()) else {
            return Ok(!taken.again.is_empty());
        };
        let (wait, tries) = match self.recheck(&recheck).await {
            Ok(AfterRecheck::Done) => return Ok(true),
            Ok(AfterRecheck::AskAgain) => {
                (limits::RECHECKED_AGAIN_AFTER.get(recheck.tries), recheck.tries + 1)
            }
            // Nobody else asks about it: the mark is behind it. So it is no try.
            Err(fault) => {
                let attempt = recheck.ended.attempt();
                tracing::warn!(
                    %fault, %attempt, "an upstream's answer could not be stored; it is asked again"
                );
                (limits::RECHECKED_AGAIN_AFTER.first(), recheck.tries)
            }
        };
        if let Some(wait) = wait {
            let from = self.monotonic() + *wait;
            taken.again.push_back(Recheck { tries, from, ..recheck });
            taken.again.make_contiguous().sort_by_key(|one| one.from);
        }
        Ok(true)
    }

    /// The next ones of the first upstream that has some, which are this node's from now on.
    async fn take_rechecks(&self, turn: usize) -> Result<Vec<Recheck>, Fault> {
        let mut all = self.rechecked_upstreams();
        let count = all.len().max(1);
        all.rotate_left(turn % count);
        for Rechecked { code, days } in all {
            let today = Day::of(self.proven_now());
            let first_of = |day: i64| PurchaseId::given_on(Day(day), PurchaseNumber(0));
            // Of that day and all before it.
            let before = first_of(today.0 - i64::from(days));
            let mark = {
                let code = code.clone();
                self.blocking(move |store| store.recheck_mark(&code, days)).await?
            };
            let after = mark.unwrap_or(first_of(today.0 - i64::from(days) - 1));
            let last = PurchaseId(before.0 - 1);
            if after >= last {
                continue;
            }
            let limit = limits::RECHECKS_AT_ONCE;
            let found = {
                let code = code.clone();
                self.blocking(move |store| store.ended_attempts(&code, after, before, limit))
                    .await?
            };
            let is_all = u32::try_from(found.len()).is_ok_and(|count| count < limit);
            let to = found.last().map(|one| one.purchase.id).filter(|_| !is_all).unwrap_or(last);
            let move_mark = MoveRecheckMark { code: code.clone(), days, from: mark, to };
            if !self.commit(&self.work(), move_mark).await? || found.is_empty() {
                continue;
            }
            let (tries, from) = (0, Duration::ZERO);
            let recheck = |ended| Recheck { ended, code: code.clone(), tries, from };
            return Ok(found.into_iter().map(recheck).collect());
        }
        Ok(Vec::new())
    }

    async fn recheck(&self, recheck: &Recheck) -> Result<AfterRecheck, Fault> {
        let (key, number) = (recheck.ended.purchase, recheck.ended.number);
        let purchase = self.inner.store.purchase(&key)?;
        // What is open has a job that asks; what is archived has its own rules.
        let Some(purchase) = purchase.filter(|purchase| purchase.state.is_final()) else {
            return Ok(AfterRecheck::Done);
        };
        let outcome = self.enquire_at(&purchase, number, &recheck.code).await;
        if let EnquiryOutcome::Answered(Answer::Unknown { .. } | Answer::Unclear { .. }) = outcome {
            return Ok(AfterRecheck::AskAgain);
        }
        if outcome.is_end() {
            let attempt = recheck.ended.attempt();
            tracing::debug!(%attempt, upstream = %recheck.code, "asked about again");
            self.apply_outcome(&purchase, number, &outcome.into(), OutcomeSource::Enquiry).await?;
        }
        Ok(AfterRecheck::Done)
    }
}

/// Whether an enquiry is followed by another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AfterRecheck {
    Done,
    /// No answer, or a refusal that counts when it is said again.
    AskAgain,
}
