//! What "not found" is worth, and what must be remembered for that.
//!
//! It counts once the upstream's grace is over, when it was said twice, with the upstream's gap in
//! between, by the account that got the order. After the upstream has acknowledged the order it is
//! a contradiction, which staff must look into. A refusal counts at once, unless its upstream is
//! one whose first refusals are shown to staff. Invariant: what an upstream says counts only as
//! evidence that is stored, so a restart or another node decides the same.

use crate::Engine;
use domain::{
    Answer, Attempt, AttemptRef, Capabilities, Environment, MonthClosed, Outcome, Proof, Purchase,
    Source, UpstreamCode,
};
use std::time::Duration;
use store::{Fault, KeepAcknowledgement, KeepEvidence};

/// The words of an acknowledgement in the evidence: it has the order, or has shown that it has it.
const ACKNOWLEDGEMENTS: [&str; 2] = ["accepted", "unclear"];
/// The word of "not found" in the evidence.
const NOT_FOUND: &str = "not_found";

/// What "not found" is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotFoundWorth {
    /// Nothing yet: it is too early, or must be said once more.
    Early,
    /// The upstream never got the order.
    Counts,
    /// The upstream had the order before.
    Contradiction,
}

impl Engine {
    /// What "not found" about an attempt is worth now; the first one that could count is stored.
    pub(super) async fn not_found_worth(
        &self,
        purchase: &Purchase,
        attempt: &Attempt,
    ) -> Result<NotFoundWorth, Fault> {
        let Some(capabilities) = self.capabilities_at(purchase, &attempt.upstream) else {
            return Ok(NotFoundWorth::Early);
        };
        let (key, source) = (&purchase.key, source_of(attempt).label());
        let evidence = self.inner.store.evidence(key)?;
        let said = |word: &str| evidence.iter().find(|e| e.word == word && e.source == source);
        let is_acknowledged = ACKNOWLEDGEMENTS.iter().any(|word| said(word).is_some())
            || attempt.upstream_reference.is_some()
            || attempt.outcome.as_deref().is_some_and(is_acknowledgement);
        if is_acknowledged {
            return Ok(NotFoundWorth::Contradiction);
        }
        if !self.is_same_account(attempt)
            || !self.grace_is_over(purchase, attempt.number, &attempt.upstream)
        {
            return Ok(NotFoundWorth::Early);
        }
        match said(NOT_FOUND) {
            Some(first) if self.elapsed_since(first.at) >= capabilities.not_found_gap => {
                Ok(NotFoundWorth::Counts)
            }
            Some(_) => Ok(NotFoundWorth::Early),
            None => {
                self.keep_word(purchase, attempt, Proof::new(source_of(attempt), NOT_FOUND))
                    .await?;
                Ok(NotFoundWorth::Early)
            }
        }
    }

    /// Whether what an upstream says must be confirmed by staff before money goes back: it refuses
    /// a live order, and is one whose first refusals are shown to them.
    pub(super) fn is_shown_to_staff(
        &self,
        purchase: &Purchase,
        upstream: &UpstreamCode,
        outcome: &Outcome,
    ) -> Result<bool, Fault> {
        // "Not found" has rules of its own.
        let is_refusal = matches!(
            outcome,
            Outcome::Answered(Answer::Refused { .. } | Answer::RefusedAsRepeat { .. })
        );
        if !is_refusal || purchase.key.environment != Environment::Live {
            return Ok(false);
        }
        let shown = self.refusals_shown(purchase, upstream);
        Ok(shown > 0 && self.inner.store.confirmed_refusals(upstream)? < shown)
    }

    /// How many first refusals of an upstream are shown to staff.
    pub(crate) fn refusals_shown(&self, purchase: &Purchase, upstream: &UpstreamCode) -> u32 {
        self.capabilities_at(purchase, upstream).map_or(0, |known| known.refusals_shown)
    }

    /// How long until "not found" could count for the latest attempt; `None`: it cannot, or there
    /// is no attempt.
    pub(crate) fn not_found_counts_in(
        &self,
        purchase: &Purchase,
    ) -> Result<Option<Duration>, Fault> {
        let attempts = self.inner.store.attempts(&purchase.key)?;
        let Some(latest) = attempts.last() else { return Ok(None) };
        let Some(left) = self.grace_left(purchase) else { return Ok(None) };
        if !self.is_same_account(latest) {
            return Ok(None);
        }
        if !left.is_zero() {
            return Ok(Some(left));
        }
        let Some(capabilities) = self.capabilities_at(purchase, &latest.upstream) else {
            return Ok(None);
        };
        let source = source_of(latest).label();
        let evidence = self.inner.store.evidence(&purchase.key)?;
        let first = evidence.iter().find(|e| e.word == NOT_FOUND && e.source == source);
        let passed = first.map_or(Duration::ZERO, |first| self.elapsed_since(first.at));
        Ok(Some(capabilities.not_found_gap.saturating_sub(passed)))
    }

    /// Keeps that an upstream has acknowledged an order, once: after that it cannot deny it. After
    /// a submit it is then asked by its schedule, because the call is over.
    pub(super) async fn keep_acknowledgement(
        &self,
        purchase: &Purchase,
        attempt: AttemptRef,
        proof: Proof,
        is_of_submit: bool,
    ) -> Result<(), Fault> {
        let source = proof.source.label();
        let evidence = self.inner.store.evidence(&purchase.key)?;
        if evidence.iter().any(|e| is_acknowledgement(&e.word) && e.source == source) {
            return Ok(());
        }
        let word = proof.code.clone();
        let at = self.now();
        let ask_at = is_of_submit.then(|| at.after(self.enquiries_of(purchase).wait(0)));
        let keep = KeepAcknowledgement { key: purchase.key, proof, at, ask_at };
        match self.write(&self.work(), keep, None).await? {
            Ok(()) => Ok(()),
            Err(MonthClosed) => self.keep_late_outcome(attempt, &word, None, None).await,
        }
    }

    async fn keep_word(
        &self,
        purchase: &Purchase,
        attempt: &Attempt,
        proof: Proof,
    ) -> Result<(), Fault> {
        let keep = KeepEvidence { key: purchase.key, proof, case: None, at: self.now() };
        let reference = AttemptRef { purchase: purchase.key.id.number(), number: attempt.number };
        match self.write(&self.work(), keep, None).await? {
            Ok(()) => Ok(()),
            Err(MonthClosed) => self.keep_late_outcome(reference, NOT_FOUND, None, None).await,
        }
    }

    /// Whether the account that is asked now is the one that got the attempt.
    fn is_same_account(&self, attempt: &Attempt) -> bool {
        self.account_since(&attempt.upstream).is_none_or(|since| since <= attempt.started_at)
    }

    pub(super) fn capabilities_at(
        &self,
        purchase: &Purchase,
        code: &UpstreamCode,
    ) -> Option<Capabilities> {
        let upstream = self.upstream_to_ask(purchase.key.environment, code)?;
        Some(upstream.capabilities())
    }
}

/// Whether a word in the evidence acknowledges the order.
pub(super) fn is_acknowledgement(word: &str) -> bool {
    ACKNOWLEDGEMENTS.contains(&word)
}

fn source_of(attempt: &Attempt) -> Source {
    Source::Upstream { attempt: attempt.number, upstream: attempt.upstream.clone() }
}
