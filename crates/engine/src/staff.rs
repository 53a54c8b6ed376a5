//! What staff decide: approve, reject, settle with evidence, refund.
//!
//! Not here: who may decide what (the dialect's). Invariant: staff move money only by the same
//! table and the same writer as everything else, and their evidence is stored.

use crate::access::Changed;
use crate::refusals::{blank, ensure, month_closed, not_possible, refuse_if_any};
use crate::settle::StepResult;
use crate::{Engine, Permit};
use domain::refusal::{NotPossible, PurchaseUnknown, StaffRefused};
use domain::{
    CaseKind, Environment, Event, MonthClosed, Move, Permitted, Proof, Purchase, PurchaseNumber,
    Source, State, UpstreamCode, act,
};
use serde_json::json;
use store::{CloseCase, NoteRefusal, OpenCase, TakeStep};

impl Engine {
    /// Lets a purchase that waits for approval go out to its upstream. Refuses one that does not
    /// wait, or that no upstream is routed for: that one is delivered by hand and settled with
    /// evidence.
    pub async fn approve(
        &self,
        permit: Permit<act::DecideApproval>,
        id: PurchaseNumber,
    ) -> Result<Purchase, StaffRefused> {
        let purchase = self.any_purchase(id)?;
        if purchase.state == State::Awaiting && self.routes_left(&purchase, &[]).is_empty() {
            let because =
                "No upstream is routed for it: deliver it by hand, then settle it with evidence.";
            return Err(not_possible(because).into());
        }
        let after = self.by_staff(permit, purchase, Event::Approve, "approve", None).await?;
        self.inner.wake.notify_one();
        Ok(after)
    }

    /// Calls off what was not sent; the money goes back. Refuses what was sent.
    pub async fn reject(
        &self,
        permit: Permit<act::DecideApproval>,
        id: PurchaseNumber,
        reason: &str,
    ) -> Result<Purchase, StaffRefused> {
        let purchase = self.any_purchase(id)?;
        self.by_staff(permit, purchase, Event::Reject, "reject", Some(reason)).await
    }

    /// Settles with evidence what no upstream can or will answer: delivered (the money is spent) or
    /// not (it goes back). Refuses what is not in doubt and not waiting for staff. While the
    /// installation is halted, a held purchase may be settled as delivered too.
    pub async fn settle_by_staff(
        &self,
        permit: Permit<act::SettleDoubt>,
        id: PurchaseNumber,
        is_delivered: bool,
        evidence: &str,
    ) -> Result<Purchase, StaffRefused> {
        let purchase = self.any_purchase(id)?;
        let (event, word) = match purchase.state {
            // Restored as held, and sent after the backup: the ledger does not have its attempts.
            State::Held if self.is_halted() && is_delivered => (Event::DeliverLate, "delivered"),
            State::Awaiting | State::InDoubt | State::WithStaff => match is_delivered {
                true => (Event::Deliver, "delivered"),
                false => (Event::Deny, "not delivered"),
            },
            State::Quoted
            | State::Held
            | State::Sent
            | State::Delivered
            | State::Failed
            | State::Rejected
            | State::Refunded => return Err(not_from_here(&purchase).into()),
        };
        let shown = self.shown_refusal(&purchase)?;
        if let Some(upstream) = shown.clone().filter(|_| is_delivered) {
            // First: were it lost, a wrong rule would go on counting.
            self.note_refusal(upstream, false).await?;
        }
        let settled = self.by_staff(permit, purchase, event, word, Some(evidence)).await?;
        if let Some(upstream) = shown.filter(|_| !is_delivered) {
            self.note_refusal(upstream, true).await?;
        }
        Ok(settled)
    }

    /// The upstream whose refusal staff are about to confirm or to find wrong, if it is one whose
    /// first refusals are shown to them.
    fn shown_refusal(&self, purchase: &Purchase) -> Result<Option<UpstreamCode>, StaffRefused> {
        let attempts = self.or_unavailable(self.inner.store.attempts(&purchase.key))?;
        let Some(latest) = attempts.last() else { return Ok(None) };
        let was_denied = matches!(latest.outcome.as_deref(), Some("refused" | "refused_as_repeat"));
        let is_shown = purchase.key.environment == Environment::Live
            && self.refusals_shown(purchase, &latest.upstream) > 0;
        Ok((was_denied && is_shown).then(|| latest.upstream.clone()))
    }

    async fn note_refusal(
        &self,
        upstream: UpstreamCode,
        was_refused: bool,
    ) -> Result<(), StaffRefused> {
        let note = NoteRefusal { upstream, was_refused };
        let written = self.write(&self.work(), note, None).await;
        let Ok(()) = self.or_unavailable(written)?;
        Ok(())
    }

    /// Reverses a delivered purchase by a new journal; the commission is clawed back.
    pub async fn refund(
        &self,
        permit: Permit<act::ReversePurchase>,
        id: PurchaseNumber,
        reason: &str,
    ) -> Result<Purchase, StaffRefused> {
        let purchase = self.any_purchase(id)?;
        ensure(purchase.state == State::Delivered, not_from_here(&purchase))?;
        self.by_staff(permit, purchase, Event::Reverse, "refund", Some(reason)).await
    }

    /// Closes the clash cases of a purchase, with what staff found out. Moves no money: a
    /// difference is booked by a journal of its own. Refuses when there is no such case.
    pub async fn close_case(
        &self,
        permit: Permit<act::SettleDoubt>,
        id: PurchaseNumber,
        evidence: &str,
    ) -> Result<(), StaffRefused> {
        let message = "Say who closes it, and what was found.";
        let by = permit.by(message)?;
        refuse_if_any(blank("evidence", evidence, message))?;
        if self.close_late_outcomes(&permit, id, by, evidence).await? {
            return Ok(());
        }
        let purchase = self.any_purchase(id)?;
        let cases = self.or_unavailable(self.inner.store.open_cases())?;
        let is_it =
            |case: &OpenCase| case.key == purchase.key && case.why == CaseKind::Clash.code();
        ensure(cases.iter().any(is_it), not_possible("No clash case of it is open."))?;
        let proof = Proof::new(Source::Staff(by.to_owned()), "close case").with_text(evidence);
        let (key, why, at) = (purchase.key, CaseKind::Clash, self.now());
        let changed = Changed::new(
            format_args!("purchase {id}"),
            json!({ "case": why.code() }),
            json!({ "case": "closed", "evidence": evidence }),
        );
        let close = CloseCase { key, why, proof, at };
        let close = self.recorded(&permit, close, [changed], |()| true);
        let closed = self.write(&permit, close, None).await;
        Ok(self.or_unavailable(closed)?.map_err(|MonthClosed| month_closed())?)
    }

    async fn by_staff<A: Permitted>(
        &self,
        permit: Permit<A>,
        purchase: Purchase,
        event: Event,
        word: &str,
        text: Option<&str>,
    ) -> Result<Purchase, StaffRefused> {
        let by = permit.by("Say who decides.")?;
        refuse_if_any(text.and_then(|t| blank("evidence", t, "Say what shows it, or why.")))?;
        let cost = match event == Event::Reverse {
            // What the upstream took is what it is expected to give back.
            true => self.or_unavailable(self.cost_of_delivery(&purchase))?,
            false => None,
        };
        let proof = Proof {
            cost,
            text: text.map(str::to_owned),
            ..Proof::new(Source::Staff(by.to_owned()), word)
        };
        // The decision is about the state that staff saw: if the purchase was sent meanwhile, it is
        // not theirs to settle. `InDoubt` and `WithStaff` are the same doubt.
        let seen = purchase.state;
        let is_doubt = |state| matches!(state, State::InDoubt | State::WithStaff);
        let decide = |now: &Purchase| {
            let is_as_seen = now.state == seen || (is_doubt(now.state) && is_doubt(seen));
            is_as_seen.then(|| (event, proof.clone()))
        };
        let commit = |step: Box<Move>| {
            let changed = Changed::new(
                format_args!("purchase {}", step.after.key.id),
                json!({ "state": step.from.code() }),
                json!({ "state": step.after.state.code(), "decision": word, "evidence": text }),
            );
            self.recorded(&permit, TakeStep(step), [changed], |_| true)
        };
        let taken = self.take_step(&permit, &purchase, decide, commit).await;
        match self.or_unavailable(taken)? {
            StepResult::Stepped(after) => Ok(after),
            StepResult::Unchanged(now)
            | StepResult::Impossible(now)
            | StepResult::Denied(now, _) => Err(not_from_here(&now).into()),
            StepResult::Closed(_) => Err(month_closed().into()),
        }
    }

    /// A purchase of any account.
    fn any_purchase(&self, id: PurchaseNumber) -> Result<Purchase, StaffRefused> {
        let id = self.or_unavailable(self.purchase_id(id))?.ok_or(PurchaseUnknown)?;
        Ok(self.or_unavailable(self.inner.store.any_purchase(id))?.ok_or(PurchaseUnknown)?)
    }
}

fn not_from_here(purchase: &Purchase) -> NotPossible {
    not_possible(match purchase.state {
        State::Quoted => "It is only quoted: no money is held.",
        State::Awaiting => "It waits for approval.",
        State::Held => "It is about to be sent.",
        State::Sent => "It is with the upstream, which is still working on it: wait for its word.",
        State::InDoubt | State::WithStaff => {
            "Nobody knows yet whether it was delivered: settle it with evidence."
        }
        State::Delivered => "It is delivered: it can be refunded.",
        State::Failed => "It has failed, and the money is back.",
        State::Rejected => "It was rejected, and the money is back.",
        State::Refunded => "It was refunded already.",
    })
}
