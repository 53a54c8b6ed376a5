//! The only writer of a purchase's state: submits attempts, applies outcomes, takes steps.
//!
//! Every step goes through [`Engine::take_step`], which decides by the lifecycle table and writes
//! by compare-and-swap; the loser of a race decides again from the purchase's new state. Invariant:
//! an upstream is called only after its attempt is on record, and never with a Tx open.

mod doubt;
pub(crate) mod in_flight;
pub(crate) mod moves;

use self::doubt::NotFoundWorth;
use self::moves::Moved;
use crate::upstreams::{CallEnd, Choosing};
use crate::{Engine, Permit, limits};
use domain::catalog::number::masked;
use domain::purchase::lifecycle::event_of;
use domain::purchase::settle;
use domain::upstream::cleaned;
use domain::{
    Answer, Attempt, AttemptChange, AttemptRef, Case, Decision, EnquiryOutcome, Event, Money,
    MoneyDenial, MonthClosed, Move, Order, Outcome, OutcomeContext, Proof, Purchase, PurchaseKey,
    Source, State, StepDenied, SubmitOutcome, UpstreamCode,
};
use std::borrow::Cow;
use std::time::Duration;
use store::{Commit, Fault, KeepEvidence, TakeStep};

/// The result of an event, with the purchase in its current state.
#[derive(Debug)]
pub(crate) enum StepResult {
    /// The purchase took a step.
    Stepped(Purchase),
    /// The event changes nothing.
    Unchanged(Purchase),
    /// The event cannot happen in this state; nothing was written.
    Impossible(Purchase),
    /// The money for the step is not there; nothing was written.
    Denied(Purchase, MoneyDenial),
    /// The purchase's month is closed; nothing was written.
    Closed(Purchase),
}

impl StepResult {
    pub(crate) fn purchase(self) -> Purchase {
        match self {
            StepResult::Stepped(purchase)
            | StepResult::Unchanged(purchase)
            | StepResult::Impossible(purchase)
            | StepResult::Denied(purchase, _)
            | StepResult::Closed(purchase) => purchase,
        }
    }
}

/// What an outcome answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutcomeSource {
    /// A submit.
    Submit,
    /// An enquiry.
    Enquiry,
    /// Nothing: the upstream sent it unasked.
    Update,
}

impl Engine {
    /// Carries a purchase whose attempt is on record to wherever the outcomes lead. After a fault
    /// it stays where it is, and its job is still due.
    pub(crate) async fn drive(&self, sent: &Purchase) -> Purchase {
        let mut sent = Cow::Borrowed(sent);
        loop {
            let outcome = Outcome::from(self.submit(&sent).await);
            let source = OutcomeSource::Submit;
            let after = match self.apply_outcome(&sent, sent.attempts, &outcome, source).await {
                // A callback may have moved it since it was sent.
                Ok(StepResult::Unchanged(stale)) => self.read_again(&stale.key).unwrap_or(stale),
                Ok(result) => result.purchase(),
                Err(fault) => return self.left_to_job(sent.into_owned(), &fault),
            };
            if after.state != State::Held {
                return after;
            }
            // Seldom needed, so boxed: the future of every purchase is moved and kept.
            let next = match Box::pin(self.record_attempt(after.clone())).await {
                Ok(Some(next)) => next,
                Ok(None) => return after,
                Err(fault) => return self.left_to_job(after, &fault),
            };
            if next.state != State::Sent {
                return next;
            }
            sent = Cow::Owned(next);
        }
    }

    /// What a purchase is answered as whose step could not be written: as it was before.
    pub(crate) fn left_to_job(&self, purchase: Purchase, fault: &Fault) -> Purchase {
        let id = purchase.key.id;
        tracing::error!(%fault, purchase = %id, "a step could not be written; its job will run");
        purchase
    }

    /// Calls the upstream of the latest attempt, which is on record. An answer that takes too long
    /// is unknown. An attempt whose record took too long is not sent any more, because an enquiry
    /// about it may be due soon.
    async fn submit(&self, purchase: &Purchase) -> SubmitOutcome {
        let order = self.order(purchase, purchase.attempts);
        let environment = purchase.key.environment;
        let may_call = self.inner.in_flight.may_call(order.attempt, self.monotonic())
            && self.inner.store.holds_lease();
        // The call ends with this function, however it returns. If its step then cannot be written,
        // the upstream is asked.
        let _call = OpenCall { engine: self, attempt: order.attempt };
        let upstream =
            purchase.upstream.as_ref().and_then(|code| self.upstream_in(environment, code));
        let mut place = OpenPlace { engine: self, purchase, attempt: order.attempt, end: None };
        let Some(upstream) = upstream else {
            return SubmitOutcome::NotSent { reason: "the upstream is not connected".to_owned() };
        };
        if !may_call {
            let reason = "the store took too long to record it".to_owned();
            return SubmitOutcome::NotSent { reason };
        }
        let began = self.monotonic();
        let answer = tokio::time::timeout(settle::SUBMIT_WITHIN, upstream.submit(&order)).await;
        let answer = answer.unwrap_or_else(|_| unknown("no answer within 20 s").into());
        let end = end_of(&answer);
        place.end = Some(end);
        if let Some(asking) = purchase.upstream.as_ref().and_then(|code| self.asking_at(code)) {
            asking.call_ended(end == CallEnd::Answered, self.monotonic().saturating_sub(began));
        }
        answer
    }

    /// Records the next attempt of a held purchase, at the first upstream that was not tried.
    /// `None`: another step won, or nothing is sent while the installation is halted. Without an
    /// upstream left the purchase fails and the money goes back.
    pub(crate) async fn record_attempt(
        &self,
        purchase: Purchase,
    ) -> Result<Option<Purchase>, Fault> {
        if self.is_halted() {
            return Ok(None);
        }
        let key = purchase.key;
        let tried = self.tried(&key)?;
        let routes = self.routes_left(&purchase, &tried);
        let number = purchase.attempts + 1;
        let attempt = AttemptRef { purchase: key.id.number(), number };
        let order = Choosing { attempt, environment: key.environment, amount: purchase.amount };
        let mut passed_over = Vec::new();
        let mut place = None;
        let (event, proof) = match self.choose(&routes, order) {
            Ok(chosen) => {
                passed_over = chosen.passed_over;
                let code = chosen.upstream.clone();
                place = Some(UnusedPlace { engine: self, code, attempt, is_used: false });
                let source = Source::Upstream { attempt: number, upstream: chosen.upstream };
                (Event::Submit, Proof::new(source, "submit"))
            }
            // Nothing was sent yet: it waits until one of them takes orders.
            Err(_) if purchase.attempts == 0 && !routes.is_empty() => return Ok(None),
            Err(none) if routes.is_empty() || none.passed_over.is_empty() => {
                let proof = Proof::new(Source::Clock, "no_route");
                (Event::Refuse, proof.with_text("no upstream is left to try"))
            }
            // The earlier attempts were definitely refused, so the money may go back.
            Err(none) => {
                let proof = Proof::new(Source::Clock, "no_route");
                let text = format!("no upstream is left to try ({})", none.text());
                (Event::Refuse, proof.with_text(&text))
            }
        };
        // Not decided again after a lost race: the winner submits.
        let Decision::Move(mut step) = settle::decide(&purchase, event, proof, self.now()) else {
            return Ok(None);
        };
        if let Some(AttemptChange::Start(attempt)) = &mut step.attempt {
            attempt.passed_over = passed_over;
        }
        match self.commit_move(&self.work(), step, None, TakeStep).await? {
            Ok(moved) => {
                // From now on it ends with the call.
                if let Some(place) = &mut place {
                    place.is_used = true;
                }
                Ok(Some(after(moved)))
            }
            Err(denied) => {
                tracing::debug!(purchase = %key.id, ?denied, "an attempt was not recorded");
                Ok(None)
            }
        }
    }

    /// Applies an outcome of an attempt to its purchase.
    pub(crate) async fn apply_outcome(
        &self,
        purchase: &Purchase,
        attempt: u32,
        outcome: &Outcome,
        source: OutcomeSource,
    ) -> Result<StepResult, Fault> {
        self.log_outcome(purchase, attempt, outcome);
        let is_clear = matches!(
            outcome,
            Outcome::Answered(Answer::Delivered { .. } | Answer::Unaskable { .. })
        );
        let key = &purchase.key;
        let attempts = if is_clear { Vec::new() } else { self.inner.store.attempts(key)? };
        let upstream = self.upstream_of(purchase, attempt, &attempts)?;
        let closed = AttemptRef { purchase: purchase.key.id.number(), number: attempt };
        let proof = Proof {
            source: Source::Upstream { attempt, upstream: upstream.clone() },
            code: outcome.code().to_owned(),
            text: outcome.text().map(cleaned).filter(|text| !text.is_empty()),
            upstream_reference: outcome.reference().map(cleaned),
            slip: outcome.slip().cloned().map(Box::new),
            cost: match outcome {
                // It gives back what it took.
                Outcome::Reversed { .. } => cost_of(&attempts, &upstream),
                Outcome::Answered(_) | Outcome::NotSent { .. } | Outcome::NotFound => {
                    outcome.cost()
                }
            },
        };
        let is_answer = source != OutcomeSource::Submit;
        if is_answer && matches!(outcome, Outcome::Answered(Answer::Delivered { .. })) {
            self.delivered_after_all(&upstream, closed);
        }
        if outcome.is_acknowledgement() {
            self.keep_acknowledgement(purchase, closed, proof.clone(), !is_answer).await?;
        }
        let asked = attempts.iter().find(|a| a.number == attempt);
        let worth = match asked {
            Some(asked) if *outcome == Outcome::NotFound => {
                Box::pin(self.not_found_worth(purchase, asked)).await?
            }
            Some(_) | None => NotFoundWorth::Early,
        };
        let is_shown = self.is_shown_to_staff(purchase, &upstream, outcome)?;
        let tried: Vec<UpstreamCode> = attempts.iter().map(|a| a.upstream.clone()).collect();
        let staff_after = self.capabilities_at(purchase, &upstream).and_then(|c| c.staff_after);
        let staff_after = staff_after.unwrap_or(settle::DOUBT_BEFORE_STAFF);
        let waited = asked.map(|attempt| self.elapsed_since(attempt.started_at));
        let is_over = source == OutcomeSource::Enquiry && waited.is_some_and(|w| w >= staff_after);
        let decide = |purchase: &Purchase| {
            let standing = OutcomeContext {
                // Not by the attempt's number: an earlier attempt that turned out delivered counts,
                // not the latest one. No upstream gets a purchase twice, so its code identifies the
                // attempt.
                is_current: purchase.upstream.as_ref() == Some(&upstream)
                    && !matches!(purchase.state, State::Held | State::Rejected),
                grace_is_over: worth == NotFoundWorth::Counts
                    && self.grace_is_over(purchase, attempt, &upstream),
                is_repeat: attempt > 1,
                routes_left: self.routes_left(purchase, &tried).len(),
            };
            let event = event_of(outcome, standing)?;
            let is_for_staff = (is_over && is_doubt(event))
                || (event == Event::Doubt && worth == NotFoundWorth::Contradiction)
                || (is_shown && denies(event) && is_open(purchase.state));
            Some((if is_for_staff { Event::Escalate } else { event }, proof.clone()))
        };
        let result = self.take_step(&self.work(), purchase, decide, TakeStep).await?;
        if let StepResult::Stepped(after) = &result
            && after.state == State::Delivered
        {
            self.note_spent(&upstream, proof.cost.unwrap_or(after.amount));
        }
        // The month was closed meanwhile: the outcome is kept for staff, as for any archived
        // purchase.
        if let StepResult::Closed(_) = result {
            let (text, reference) = (outcome.text(), outcome.reference());
            Box::pin(self.keep_late_outcome(closed, outcome.code(), text, reference)).await?;
        }
        Ok(result)
    }

    fn log_outcome(&self, purchase: &Purchase, attempt: u32, outcome: &Outcome) {
        tracing::debug!(
            purchase = %purchase.key.id,
            attempt,
            recipient = masked(&purchase.recipient),
            outcome = outcome.code(),
            kind = purchase.kind.code(),
            "an outcome of an upstream"
        );
    }

    /// Whether "never received" counts: the upstream has had time to know, counted from when no
    /// call of ours was in flight any more.
    fn grace_is_over(&self, purchase: &Purchase, number: u32, upstream: &UpstreamCode) -> bool {
        let attempt = AttemptRef { purchase: purchase.key.id.number(), number };
        self.grace_of(purchase, attempt, upstream).is_some_and(|left| left.is_zero())
            && !self.inner.in_flight.is_open(attempt)
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
        let upstream = self.upstream_to_ask(purchase.key.environment, upstream)?;
        let idle_for = self.inner.in_flight.idle_for(attempt, self.monotonic());
        Some(upstream.capabilities().not_found_final_after.saturating_sub(idle_for))
    }

    /// The upstream that an attempt went to.
    fn upstream_of(
        &self,
        purchase: &Purchase,
        attempt: u32,
        attempts: &[Attempt],
    ) -> Result<UpstreamCode, Fault> {
        // The upstream of a final purchase is the one that decided, which need not be the latest.
        if attempt == purchase.attempts
            && (attempt == 1 || !purchase.state.is_final())
            && let Some(upstream) = &purchase.upstream
        {
            return Ok(upstream.clone());
        }
        let find = |attempts: &[Attempt]| {
            attempts.iter().find(|a| a.number == attempt).map(|a| a.upstream.clone())
        };
        let stored = match find(attempts) {
            Some(upstream) => Some(upstream),
            None => find(&self.inner.store.attempts(&purchase.key)?),
        };
        stored.ok_or_else(|| {
            Fault::Corrupt(format!("purchase {} has no attempt {attempt}", purchase.key.id))
        })
    }

    /// The upstreams that had an attempt of this purchase.
    pub(crate) fn tried(&self, key: &PurchaseKey) -> Result<Vec<UpstreamCode>, Fault> {
        Ok(self.inner.store.attempts(key)?.into_iter().map(|a| a.upstream).collect())
    }

    /// Takes the step that `decide` asks for. After a lost race `decide` is called again with the
    /// purchase's new state; `None`: no event happened. `commit` is [`TakeStep`], or that with the
    /// record of an act.
    pub(crate) async fn take_step<A, C: Commit<Done = Option<i64>, Denied = StepDenied>>(
        &self,
        permit: &Permit<A>,
        purchase: &Purchase,
        decide: impl Fn(&Purchase) -> Option<(Event, Proof)>,
        commit: impl Fn(Box<Move>) -> C,
    ) -> Result<StepResult, Fault> {
        let mut purchase = Cow::Borrowed(purchase);
        for _ in 0..limits::RACES_MAX {
            let Some((event, proof)) = decide(&purchase) else {
                return Ok(StepResult::Unchanged(purchase.into_owned()));
            };
            let slip = proof.slip.clone();
            let (id, state) = (purchase.key.id, purchase.state.code());
            let step = match settle::decide(&purchase, event, proof, self.now()) {
                Decision::Move(step) => step,
                Decision::Stay => {
                    Box::pin(self.keep_late_slip(&purchase, slip.as_deref())).await?;
                    return Ok(StepResult::Unchanged(purchase.into_owned()));
                }
                Decision::Clash(case) => {
                    return Box::pin(self.open_clash(purchase.into_owned(), case)).await;
                }
                Decision::Impossible => {
                    tracing::warn!(purchase = %id, state, ?event, "cannot happen in this state");
                    return Ok(StepResult::Impossible(purchase.into_owned()));
                }
            };
            match self.commit_move(permit, step, None, &commit).await? {
                Ok(moved) => {
                    let to = moved.purchase.state.code();
                    tracing::debug!(purchase = %id, from = state, to, "a step");
                    return Ok(StepResult::Stepped(after(moved)));
                }
                Err(StepDenied::VersionConflict) => {
                    purchase = Cow::Owned(self.read_again(&purchase.key)?);
                }
                Err(StepDenied::Money(why)) => {
                    return Ok(StepResult::Denied(purchase.into_owned(), why));
                }
                Err(StepDenied::Closed) => return Ok(StepResult::Closed(purchase.into_owned())),
            }
        }
        Err(Fault::Busy)
    }

    /// What the upstream took for a delivered purchase, if it said so.
    pub(crate) fn cost_of_delivery(&self, purchase: &Purchase) -> Result<Option<Money>, Fault> {
        let Some(upstream) = &purchase.upstream else { return Ok(None) };
        Ok(cost_of(&self.inner.store.attempts(&purchase.key)?, upstream))
    }

    pub(crate) fn read_again(&self, key: &PurchaseKey) -> Result<Purchase, Fault> {
        let read = self.inner.store.purchase(key)?;
        read.ok_or_else(|| Fault::Corrupt(format!("purchase {} is gone", key.id)))
    }

    /// An outcome contradicts the ledger: stores the proof and opens a case; no money moves. The
    /// same proof again is not new, and opens nothing.
    async fn open_clash(&self, purchase: Purchase, case: Case) -> Result<StepResult, Fault> {
        let (source, proof) = (case.proof.source.label(), case.proof.clone());
        let is_known = self.inner.store.evidence(&purchase.key)?.iter().any(|known| {
            known.source == source && known.word == proof.code && known.text == proof.text
        });
        if is_known {
            return Ok(StepResult::Unchanged(purchase));
        }
        let said = proof.code.clone();
        let evidence = KeepEvidence { key: purchase.key, proof, case: Some(case), at: self.now() };
        if let Err(MonthClosed) = self.write(&self.work(), evidence, None).await? {
            return Ok(StepResult::Closed(purchase));
        }
        tracing::error!(
            purchase = %purchase.key.id,
            state = purchase.state.code(),
            said,
            "an outcome contradicts the ledger: a case for staff"
        );
        Ok(StepResult::Unchanged(purchase))
    }

    /// The order of an attempt, with the country of its operator.
    fn order(&self, purchase: &Purchase, attempt: u32) -> Order {
        let catalog = self.catalog();
        let operator = catalog.operators.iter().find(|one| one.code == purchase.operator);
        let country = operator.and_then(|operator| catalog.country_of(operator));
        purchase.order(attempt, country)
    }

    /// Asks the deciding upstream for the outcome of an attempt.
    pub(crate) async fn enquire_about(&self, purchase: &Purchase, attempt: u32) -> EnquiryOutcome {
        match &purchase.upstream {
            Some(code) => self.enquire_at(purchase, attempt, code).await,
            None => unknown("no upstream has it").into(),
        }
    }

    /// Asks an upstream for the outcome of an attempt that it got.
    pub(crate) async fn enquire_at(
        &self,
        purchase: &Purchase,
        attempt: u32,
        code: &UpstreamCode,
    ) -> EnquiryOutcome {
        let Some(upstream) = self.upstream_to_ask(purchase.key.environment, code) else {
            return unknown("the upstream is not connected").into();
        };
        let mut order = self.order(purchase, attempt);
        match self.inner.store.attempts(&purchase.key) {
            Ok(attempts) => acknowledge(&mut order, &attempts),
            Err(fault) => {
                tracing::warn!(%fault, attempt = %order.attempt, "an attempt cannot be read");
                return unknown("the attempt's record cannot be read").into();
            }
        }
        let answer = tokio::time::timeout(settle::SUBMIT_WITHIN, upstream.enquire(&order)).await;
        answer.unwrap_or_else(|_| unknown("no answer to the enquiry within 20 s").into())
    }
}

/// After a day of enquiries without an end, or as long as the upstream says, staff must find out.
/// Time alone decides nothing: an enquiry must have been answered, or failed, at that time.
const fn is_doubt(event: Event) -> bool {
    matches!(event, Event::Doubt | Event::Acknowledge)
}

/// Puts when the attempt began, and what the upstream has said about it, into its order.
fn acknowledge(order: &mut Order, attempts: &[Attempt]) {
    let Some(attempt) = attempts.iter().find(|one| one.number == order.attempt.number) else {
        return;
    };
    order.started_at = attempt.started_at;
    order.upstream_reference.clone_from(&attempt.upstream_reference);
    let outcome = attempt.outcome.as_deref();
    order.is_acknowledged = attempt.upstream_reference.is_some()
        || outcome.is_some_and(doubt::is_acknowledgement)
        || matches!(outcome, Some("delivered" | "reversed"));
}

/// What the upstream took for the attempt that was delivered, as it is stored.
fn cost_of(attempts: &[Attempt], upstream: &UpstreamCode) -> Option<Money> {
    attempts.iter().find(|a| a.upstream == *upstream).and_then(|a| a.cost)
}

/// What a submit's answer says about the upstream's health.
const fn end_of(answer: &SubmitOutcome) -> CallEnd {
    match answer {
        SubmitOutcome::NotSent { .. }
        | SubmitOutcome::Answered(
            Answer::Unknown { .. } | Answer::Unclear { .. } | Answer::Unaskable { .. },
        ) => CallEnd::Failed,
        SubmitOutcome::Answered(
            Answer::Delivered { .. }
            | Answer::Accepted { .. }
            | Answer::Refused { .. }
            | Answer::RefusedAsRepeat { .. },
        ) => CallEnd::Answered,
    }
}

fn unknown(reason: &str) -> Answer {
    Answer::Unknown { reason: reason.to_owned() }
}

/// The purchase after a step, with what its wallet had available then if the step changed that.
fn after(moved: Moved<Option<i64>>) -> Purchase {
    let Moved { mut purchase, done } = moved;
    if let Some(available) = done {
        purchase.available_after = Money::new(available, purchase.amount.currency());
    }
    purchase
}

/// The place of an order at its upstream; given back when this is dropped.
struct OpenPlace<'a> {
    engine: &'a Engine,
    purchase: &'a Purchase,
    attempt: AttemptRef,
    /// None: the order was not sent, or its task ended within the call.
    end: Option<CallEnd>,
}

impl Drop for OpenPlace<'_> {
    fn drop(&mut self) {
        if let Some(code) = &self.purchase.upstream {
            let end = self.end.unwrap_or(CallEnd::Cancelled);
            self.engine.end_call(code, self.attempt, end);
        }
    }
}

/// The place of an order whose attempt is not on record yet; given back unless that happens.
struct UnusedPlace<'a> {
    engine: &'a Engine,
    code: UpstreamCode,
    attempt: AttemptRef,
    is_used: bool,
}

impl Drop for UnusedPlace<'_> {
    fn drop(&mut self) {
        if !self.is_used {
            self.engine.end_call(&self.code, self.attempt, CallEnd::Cancelled);
        }
    }
}

/// A call in flight; it ends when this is dropped.
struct OpenCall<'a> {
    engine: &'a Engine,
    attempt: AttemptRef,
}

impl Drop for OpenCall<'_> {
    fn drop(&mut self) {
        self.engine.inner.in_flight.end(self.attempt, self.engine.monotonic());
    }
}

/// Whether an event sends money back, or the order elsewhere.
const fn denies(event: Event) -> bool {
    matches!(event, Event::Refuse | Event::Reroute)
}

/// Whether an upstream has the order, and its outcome is not known.
const fn is_open(state: State) -> bool {
    matches!(state, State::Sent | State::InDoubt | State::WithStaff)
}
