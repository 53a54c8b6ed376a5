//! The only writer of a purchase's state: submits attempts, reads words about them, takes steps.
//!
//! Every step goes through [`Engine::take`], which decides by the lifecycle table and writes by
//! compare-and-swap; whoever loses a race decides anew from what the purchase has become.
//! Invariant: an upstream is called only after its attempt is on record, and never with a Tx open.

use crate::{Engine, limits};
use domain::Purchase;
use domain::catalog::number::masked;
use domain::clock::Timestamp;
use domain::ledger::admission::Denial;
use domain::purchase::lifecycle::{Event, OutcomeContext, State, event_of};
use domain::purchase::settle::{self, Case, Decision, Proof, Source};
use domain::purchase::slip::Slip;
use domain::purchase::{Attempt, PurchaseKey};
use domain::upstream::{AttemptRef, Outcome, UpstreamCode, cleaned};
use std::time::Duration;
use store::{Change, Fault};

/// What came of an event.
#[derive(Debug)]
pub(crate) enum StepResult {
    /// The purchase took a step.
    Moved(Purchase),
    /// It stands as it stood.
    Stayed(Purchase),
    /// The event cannot happen to it; nothing was written.
    Never(Purchase),
    /// The money for the step is not there; nothing was written.
    Denied(Purchase, Denial),
}

impl StepResult {
    pub(crate) fn purchase(self) -> Purchase {
        match self {
            StepResult::Moved(purchase)
            | StepResult::Stayed(purchase)
            | StepResult::Never(purchase)
            | StepResult::Denied(purchase, _) => purchase,
        }
    }
}

impl Engine {
    /// Carries a purchase whose attempt is on record to wherever the upstreams' words lead. A
    /// fault leaves it where it is: its job is still owed.
    pub(crate) async fn drive(&self, mut purchase: Purchase) -> Purchase {
        loop {
            let outcome = self.submit(&purchase).await;
            let attempt = purchase.attempts;
            purchase =
                match self.hear(purchase.clone(), attempt, &outcome, OutcomeSource::Answer).await {
                    // Somebody else (a callback) may have moved it since it was sent.
                    Ok(StepResult::Stayed(stale)) => self.read_anew(&stale.key).unwrap_or(stale),
                    Ok(taken) => taken.purchase(),
                    Err(fault) => return self.left_owed(purchase, &fault),
                };
            if purchase.state != State::Held {
                return purchase;
            }
            purchase = match self.record_attempt(purchase.clone()).await {
                Ok(Some(sent)) => sent,
                Ok(None) => return purchase,
                Err(fault) => return self.left_owed(purchase, &fault),
            };
            if purchase.state != State::Sent {
                return purchase;
            }
        }
    }

    fn left_owed(&self, purchase: Purchase, fault: &Fault) -> Purchase {
        tracing::error!(%fault, purchase = %purchase.key.id, "a step could not be written; its job is owed");
        purchase
    }

    /// Calls the upstream of the latest attempt, which is on record. An answer that takes too long
    /// is unknown; an attempt whose record took too long is not sent any more, because somebody may
    /// soon ask about it.
    async fn submit(&self, purchase: &Purchase) -> Outcome {
        let order = purchase.order(purchase.attempts);
        let environment = purchase.key.environment;
        let may_call = self.inner.in_flight.may_call(order.attempt, self.monotonic())
            && self.inner.store.holds_lease();
        // However this ends, the attempt is back then: if its step cannot be written, it is asked
        // about.
        let _call = Call { engine: self, attempt: order.attempt };
        let upstream =
            purchase.upstream.as_ref().and_then(|code| self.upstream_in(environment, code));
        let Some(upstream) = upstream else {
            return Outcome::NotSent { reason: "the upstream is not connected".to_owned() };
        };
        if !may_call {
            return Outcome::NotSent { reason: "the store took too long to record it".to_owned() };
        }
        let answer = tokio::time::timeout(settle::SUBMIT_WITHIN, upstream.submit(&order)).await;
        answer.unwrap_or_else(|_| Outcome::Unknown { reason: "no answer within 20 s".to_owned() })
    }

    /// Puts the next attempt of a held purchase on record, at the first upstream that was not
    /// tried. `None`: somebody else has moved it, or does so now, or nothing is sent while the
    /// installation is halted. Without an upstream left it fails and the money goes back.
    pub(crate) async fn record_attempt(
        &self,
        purchase: Purchase,
    ) -> Result<Option<Purchase>, Fault> {
        if self.is_halted() {
            return Ok(None);
        }
        let tried = self.tried(&purchase.key)?;
        let (event, proof) = match self.routes_left(&purchase, &tried).into_iter().next() {
            Some(upstream) => {
                let source = Source::Upstream { attempt: purchase.attempts + 1, upstream };
                (Event::Submit, Proof::new(source, "submit"))
            }
            None => {
                let proof = Proof::new(Source::Clock, "no_route");
                (Event::Refuse, proof.with_text("no upstream is left to try"))
            }
        };
        // Not decided anew after a lost race: whoever won it submits.
        let Decision::Move(mut step) = settle::decide(&purchase, event, proof, self.now()) else {
            return Ok(None);
        };
        self.enqueue_webhooks(&mut step)?;
        let owed = step.webhooks.clone();
        let after = step.after.clone();
        let leaving = after.latest_attempt().filter(|_| event == Event::Submit);
        if let Some(attempt) = leaving {
            self.inner.in_flight.leave(attempt, self.monotonic());
        }
        let written = self.inner.store.write(Change::Step(step)).await;
        if let (Some(attempt), false) = (leaving, matches!(written, Ok(Ok(_)))) {
            self.inner.in_flight.withdraw(attempt);
        }
        if written?.is_err() {
            return Ok(None);
        }
        self.dispatch_webhooks(after.key, owed);
        Ok(Some(after))
    }

    /// Takes an upstream's word about an attempt, wherever it came from.
    pub(crate) async fn hear(
        &self,
        purchase: Purchase,
        attempt: u32,
        outcome: &Outcome,
        hearing: OutcomeSource,
    ) -> Result<StepResult, Fault> {
        self.log_word(&purchase, attempt, outcome);
        let attempts = match outcome {
            // What these mean depends on what was tried, and when.
            Outcome::Accepted { .. }
            | Outcome::Refused { .. }
            | Outcome::NotSent { .. }
            | Outcome::NotFound
            | Outcome::Unknown { .. } => self.inner.store.attempts(&purchase.key)?,
            Outcome::Delivered { .. } | Outcome::Reversed { .. } | Outcome::Unaskable { .. } => {
                Vec::new()
            }
        };
        let upstream = self.upstream_of(&purchase, attempt, &attempts)?;
        let proof = Proof {
            source: Source::Upstream { attempt, upstream: upstream.clone() },
            code: outcome.code().to_owned(),
            text: outcome.text().map(cleaned).filter(|text| !text.is_empty()),
            upstream_reference: outcome.reference().map(cleaned),
            slip: outcome.slip().cloned().map(Box::new),
        };
        let tried: Vec<UpstreamCode> = attempts.iter().map(|a| a.upstream.clone()).collect();
        let started_at = attempts.iter().find(|a| a.number == attempt).map(|a| a.started_at);
        self.take(purchase, |purchase| {
            let standing = OutcomeContext {
                // Not by its number: a straggler that delivered counts, not the latest attempt. No
                // upstream gets a purchase twice, so its name tells the attempt.
                is_current: purchase.upstream.as_ref() == Some(&upstream)
                    && !matches!(purchase.state, State::Held | State::Rejected),
                grace_is_over: self.grace_is_over(purchase, attempt, &upstream),
                routes_left: self.routes_left(purchase, &tried).len(),
            };
            let event = event_of(outcome, standing)?;
            let event =
                if self.is_hopeless(event, started_at, hearing) { Event::Escalate } else { event };
            Some((event, proof.clone()))
        })
        .await
    }

    fn log_word(&self, purchase: &Purchase, attempt: u32, outcome: &Outcome) {
        let (id, recipient) = (purchase.key.id, masked(&purchase.recipient));
        tracing::debug!(purchase = %id, attempt, recipient, outcome = outcome.code(), kind = purchase.kind.code(), "an upstream said");
    }

    /// "Never received" counts only once the upstream has had time to know, counted from when
    /// nothing of ours was on its way any more.
    fn grace_is_over(&self, purchase: &Purchase, number: u32, upstream: &UpstreamCode) -> bool {
        let attempt = AttemptRef { purchase: purchase.key.id, number };
        self.grace_of(purchase, attempt, upstream).is_some_and(|left| left.is_zero())
            && !self.inner.in_flight.is_out(attempt)
    }

    /// How long until "never received" counts for the latest attempt; `None` without one.
    pub(crate) fn grace_left(&self, purchase: &Purchase) -> Option<Duration> {
        self.grace_of(purchase, purchase.latest_attempt()?, purchase.upstream.as_ref()?)
    }

    fn grace_of(
        &self,
        purchase: &Purchase,
        attempt: AttemptRef,
        upstream: &UpstreamCode,
    ) -> Option<Duration> {
        let upstream = self.upstream_in(purchase.key.environment, upstream)?;
        let quiet_for = self.inner.in_flight.quiet_for(attempt, self.monotonic());
        Some(upstream.capabilities().not_found_final_after.saturating_sub(quiet_for))
    }

    /// After a day of asking in vain, or of "we are working on it", staff are called; the clock
    /// alone decides nothing.
    fn is_hopeless(
        &self,
        event: Event,
        started_at: Option<Timestamp>,
        hearing: OutcomeSource,
    ) -> bool {
        let waited = started_at.map(|at| self.now().since(at));
        matches!(event, Event::Doubt | Event::Acknowledge)
            && hearing == OutcomeSource::Enquiry
            && waited.is_some_and(|w| w >= settle::DOUBT_BEFORE_STAFF)
    }

    /// Which upstream an attempt went to.
    fn upstream_of(
        &self,
        purchase: &Purchase,
        attempt: u32,
        attempts: &[Attempt],
    ) -> Result<UpstreamCode, Fault> {
        // Of a final purchase it is the one that decided, which need not be the latest.
        if attempt == purchase.attempts
            && (attempt == 1 || !purchase.state.is_final())
            && let Some(upstream) = &purchase.upstream
        {
            return Ok(upstream.clone());
        }
        let known = attempts.iter().find(|a| a.number == attempt).map(|a| a.upstream.clone());
        let stored = match known {
            Some(upstream) => Some(upstream),
            None => self
                .inner
                .store
                .attempts(&purchase.key)?
                .into_iter()
                .find(|a| a.number == attempt)
                .map(|a| a.upstream),
        };
        stored.ok_or_else(|| {
            Fault::Corrupt(format!("purchase {} has no attempt {attempt}", purchase.key.id))
        })
    }

    /// The upstreams that have had an attempt of this purchase.
    pub(crate) fn tried(&self, key: &PurchaseKey) -> Result<Vec<UpstreamCode>, Fault> {
        Ok(self.inner.store.attempts(key)?.into_iter().map(|a| a.upstream).collect())
    }

    /// Takes the step that `what` leads to, deciding anew if somebody else was faster. `what` is
    /// asked with the purchase as it stands; `None`: nothing happened.
    pub(crate) async fn take(
        &self,
        mut purchase: Purchase,
        what: impl Fn(&Purchase) -> Option<(Event, Proof)>,
    ) -> Result<StepResult, Fault> {
        for _ in 0..limits::RACES_MAX {
            let Some((event, proof)) = what(&purchase) else {
                return Ok(StepResult::Stayed(purchase));
            };
            let said = proof.clone();
            let mut step = match settle::decide(&purchase, event, proof, self.now()) {
                Decision::Move(step) => step,
                Decision::Stay => {
                    self.keep_late_slip(&purchase, said.slip.as_deref()).await?;
                    return Ok(StepResult::Stayed(purchase));
                }
                Decision::Clash(case) => return self.call_staff(purchase, case).await,
                Decision::Impossible => {
                    tracing::warn!(purchase = %purchase.key.id, state = purchase.state.code(), ?event, "cannot happen in this state");
                    return Ok(StepResult::Never(purchase));
                }
            };
            self.enqueue_webhooks(&mut step)?;
            let (after, owed) = (step.after.clone(), step.webhooks.clone());
            match self.inner.store.write(Change::Step(step)).await? {
                Ok(_) => {
                    tracing::debug!(purchase = %after.key.id, from = purchase.state.code(), to = after.state.code(), "a step");
                    self.dispatch_webhooks(after.key, owed);
                    if after.state.is_final() {
                        self.inner.in_flight.forget_all(after.key.id, after.attempts);
                    }
                    return Ok(StepResult::Moved(after));
                }
                Err(Denial::VersionConflict { .. }) => purchase = self.read_anew(&purchase.key)?,
                Err(denial) => return Ok(StepResult::Denied(purchase, denial)),
            }
        }
        Err(Fault::Busy)
    }

    pub(crate) fn read_anew(&self, key: &PurchaseKey) -> Result<Purchase, Fault> {
        let read = self.inner.store.purchase(key)?;
        read.ok_or_else(|| Fault::Corrupt(format!("purchase {} is gone", key.id)))
    }

    /// A word that says nothing new about the upstream that counts may bring what the first one did
    /// not: the tokens.
    pub(crate) async fn keep_late_slip(
        &self,
        purchase: &Purchase,
        slip: Option<&Slip>,
    ) -> Result<(), Fault> {
        let (Some(upstream), Some(slip)) = (purchase.upstream.clone(), slip) else { return Ok(()) };
        let slip = Box::new(slip.clone());
        let change = Change::KeepSlip { key: purchase.key, upstream, slip, at: self.now() };
        // Nothing in it can be denied: it needs nothing.
        self.inner.store.write(change).await.map(|_| ())
    }

    /// The world contradicts our books: keeps the proof and opens a case; no money moves.
    /// A word that is on record already says nothing new, and opens nothing again.
    async fn call_staff(&self, purchase: Purchase, case: Case) -> Result<StepResult, Fault> {
        let (source, proof) = (case.proof.source.label(), &case.proof);
        let is_known = self.inner.store.evidence(&purchase.key)?.iter().any(|known| {
            known.source == source && known.word == proof.code && known.text == proof.text
        });
        if is_known {
            return Ok(StepResult::Stayed(purchase));
        }
        tracing::error!(purchase = %purchase.key.id, state = purchase.state.code(), said = case.proof.code, "contradicts our books: a case for staff");
        let proof = case.proof.clone();
        let change =
            Change::KeepEvidence { key: purchase.key, proof, case: Some(case), at: self.now() };
        // Nothing in it can be denied: it needs nothing.
        let _ = self.inner.store.write(change).await?;
        Ok(StepResult::Stayed(purchase))
    }

    /// Asks the upstream of the latest attempt what became of it.
    pub(crate) async fn enquire(&self, purchase: &Purchase) -> Outcome {
        self.enquire_about(purchase, purchase.attempts).await
    }

    /// Asks the upstream that counts what became of its attempt.
    pub(crate) async fn enquire_about(&self, purchase: &Purchase, attempt: u32) -> Outcome {
        match &purchase.upstream {
            Some(code) => self.enquire_at(purchase, attempt, code).await,
            None => Outcome::Unknown { reason: "no upstream has it".to_owned() },
        }
    }

    /// Asks an upstream what became of an attempt that it had.
    pub(crate) async fn enquire_at(
        &self,
        purchase: &Purchase,
        attempt: u32,
        code: &UpstreamCode,
    ) -> Outcome {
        let Some(upstream) = self.upstream_in(purchase.key.environment, code) else {
            return Outcome::Unknown { reason: "the upstream is not connected".to_owned() };
        };
        let order = purchase.order(attempt);
        match tokio::time::timeout(settle::SUBMIT_WITHIN, upstream.enquire(&order)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                Outcome::Unknown { reason: "no answer to the enquiry within 20 s".to_owned() }
            }
        }
    }
}

/// A call that is under way; however it ends, it is back then.
struct Call<'a> {
    engine: &'a Engine,
    attempt: AttemptRef,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.engine.inner.in_flight.back(self.attempt, self.engine.monotonic());
    }
}

/// How an upstream's word came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutcomeSource {
    /// As the answer to a submit.
    Answer,
    /// As the answer to an enquiry.
    Enquiry,
    /// Unasked.
    StatusUpdate,
}
