//! What staff decide: approve, reject, settle with evidence, refund.
//!
//! Not here: who may decide what (a face's matter). Invariant: staff move money only by the same
//! table and the same writer as everything else, and what they say is kept.

use crate::Engine;
use crate::settle::StepResult;
use domain::purchase::lifecycle::{Event, State};
use domain::purchase::settle::{CaseKind, Proof, Source};
use domain::refusal::{FieldError, Refusal};
use domain::{Purchase, PurchaseId};
use store::Change;

impl Engine {
    /// Lets a purchase that waits for approval go out to its upstream. Refuses one that does not
    /// wait, or that no upstream is routed for: that one is delivered by hand and settled with
    /// evidence.
    pub async fn approve(&self, id: PurchaseId, by: &str) -> Result<Purchase, Refusal> {
        let purchase = self.any(id)?;
        if purchase.state == State::Awaiting && self.routes_left(&purchase, &[]).is_empty() {
            let because =
                "No upstream is routed for it: deliver it by hand, then settle it with evidence."
                    .to_owned();
            return Err(Refusal::NotPossible { because });
        }
        let after = self.by_staff(purchase, Event::Approve, by, "approve", None).await?;
        self.inner.wake.notify_one();
        Ok(after)
    }

    /// Calls off what was not sent; the money goes back. Refuses what was sent.
    pub async fn reject(
        &self,
        id: PurchaseId,
        by: &str,
        reason: &str,
    ) -> Result<Purchase, Refusal> {
        let purchase = self.any(id)?;
        self.by_staff(purchase, Event::Reject, by, "reject", Some(reason)).await
    }

    /// Settles with evidence what no upstream can or will tell: delivered (the money is spent) or
    /// not (it goes back). Refuses what is not in doubt and not waiting for staff; while the
    /// installation is halted, what is held may have been delivered too.
    pub async fn settle_by_staff(
        &self,
        id: PurchaseId,
        is_delivered: bool,
        by: &str,
        evidence: &str,
    ) -> Result<Purchase, Refusal> {
        let purchase = self.any(id)?;
        match purchase.state {
            State::Awaiting | State::InDoubt | State::WithStaff => {}
            // Restored as held, and sent after the backup: its attempts are not in our books.
            State::Held if self.is_halted() && is_delivered => {
                let delivered = Event::DeliverLate;
                return self.by_staff(purchase, delivered, by, "delivered", Some(evidence)).await;
            }
            State::Quoted
            | State::Held
            | State::Sent
            | State::Delivered
            | State::Failed
            | State::Rejected
            | State::Refunded => return Err(not_possible(&purchase)),
        }
        let (event, word) = if is_delivered {
            (Event::Deliver, "delivered")
        } else {
            (Event::Deny, "not delivered")
        };
        self.by_staff(purchase, event, by, word, Some(evidence)).await
    }

    /// Undoes a delivered purchase by a new entry; the commission is clawed back.
    pub async fn refund(
        &self,
        id: PurchaseId,
        by: &str,
        reason: &str,
    ) -> Result<Purchase, Refusal> {
        let purchase = self.any(id)?;
        if purchase.state != State::Delivered {
            return Err(not_possible(&purchase));
        }
        self.by_staff(purchase, Event::Reverse, by, "refund", Some(reason)).await
    }

    /// Closes the clash cases of a purchase: staff have found out, and say what. Moves no money;
    /// what is owed is booked by its own journal. Refuses when there is no such case.
    pub async fn close_case(
        &self,
        id: PurchaseId,
        by: &str,
        evidence: &str,
    ) -> Result<(), Refusal> {
        if by.trim().is_empty() || evidence.trim().is_empty() {
            let says = "Say who closes it, and what was found.".to_owned();
            return Err(Refusal::Invalid(vec![FieldError { field: "evidence", message: says }]));
        }
        if self.close_late_outcomes(id, by, evidence).await? {
            return Ok(());
        }
        let purchase = self.any(id)?;
        let cases = self.inner.store.open_cases().map_err(|fault| self.unavailable(&fault))?;
        if !cases.iter().any(|case| case.key == purchase.key && case.why == CaseKind::Clash.code())
        {
            return Err(Refusal::NotPossible {
                because: "No clash case of it is open.".to_owned(),
            });
        }
        let proof = Proof::new(Source::Staff(by.to_owned()), "close case").with_text(evidence);
        let change =
            Change::CloseCase { key: purchase.key, why: CaseKind::Clash, proof, at: self.now() };
        let written = self.inner.store.write(change).await;
        written.map(|_| ()).map_err(|fault| self.unavailable(&fault))
    }

    async fn by_staff(
        &self,
        purchase: Purchase,
        event: Event,
        by: &str,
        word: &str,
        text: Option<&str>,
    ) -> Result<Purchase, Refusal> {
        let blank = |field, says: &str| FieldError { field, message: says.to_owned() };
        let mut complaints = Vec::new();
        if by.trim().is_empty() {
            complaints.push(blank("by", "Say who decides."));
        }
        if text.is_some_and(|text| text.trim().is_empty()) {
            complaints.push(blank("evidence", "Say what shows it, or why."));
        }
        if !complaints.is_empty() {
            return Err(Refusal::Invalid(complaints));
        }
        let proof = Proof {
            text: text.map(str::to_owned),
            ..Proof::new(Source::Staff(by.to_owned()), word)
        };
        // They decide about what they saw: what went out meanwhile is not theirs to settle. A doubt
        // stays a doubt, whoever looks into it.
        let seen = purchase.state;
        let is_doubt = |state| matches!(state, State::InDoubt | State::WithStaff);
        let what = |now: &Purchase| {
            let is_as_seen = now.state == seen || (is_doubt(now.state) && is_doubt(seen));
            is_as_seen.then(|| (event, proof.clone()))
        };
        match self.take(purchase, what).await {
            Ok(StepResult::Moved(after)) => Ok(after),
            Ok(StepResult::Stayed(now) | StepResult::Never(now) | StepResult::Denied(now, _)) => {
                Err(not_possible(&now))
            }
            Err(fault) => Err(self.unavailable(&fault)),
        }
    }

    /// A purchase whoever's it is.
    fn any(&self, id: PurchaseId) -> Result<Purchase, Refusal> {
        let read = self.inner.store.any_purchase(id).map_err(|fault| self.unavailable(&fault))?;
        read.ok_or(Refusal::PurchaseUnknown)
    }
}

fn not_possible(purchase: &Purchase) -> Refusal {
    let because = match purchase.state {
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
    };
    Refusal::NotPossible { because: because.to_owned() }
}
