//! Callbacks: an upstream that calls us says that something has become of an attempt.
//!
//! What it says decides nothing: it is kept as evidence, and the upstream is asked at once (RELIABILITY
//! O6). Invariant: a callback that its connector does not vouch for changes nothing at all.

use crate::settle::OutcomeSource;
use crate::{Engine, limits};
use domain::Purchase;
use domain::purchase::settle::{Proof, Source};
use domain::upstream::{AttemptRef, Callback, CallbackRead, UpstreamCode, cleaned};
use store::{Change, Fault};

/// How a callback was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    /// It was genuine; whatever follows from it follows later.
    Heard,
    /// Nobody vouches for it.
    Forged,
    /// No upstream of this name calls back.
    Unknown,
}

/// What an upstream called about a purchase, kept as this.
const WORD: &str = "callback";

impl Engine {
    /// Takes a callback to an upstream of this name.
    pub async fn call_back(&self, name: &str, callback: &Callback) -> Called {
        let code = UpstreamCode::new(name);
        let Some(upstream) = self.connected(&code) else { return Called::Unknown };
        let (attempt, says) = match upstream.read_callback(callback) {
            CallbackRead::NotOffered => return Called::Unknown,
            CallbackRead::Forged { reason } => {
                tracing::warn!(upstream = name, reason, "a callback was refused");
                return Called::Forged;
            }
            CallbackRead::Genuine { attempt, text: says } => (attempt, says),
        };
        if let Err(fault) = self.take_callback(code, attempt, &says).await {
            tracing::warn!(%fault, %attempt, "a callback could not be taken; the upstream will be asked in its time");
        }
        Called::Heard
    }

    async fn take_callback(
        &self,
        code: UpstreamCode,
        attempt: AttemptRef,
        says: &str,
    ) -> Result<(), Fault> {
        if self.is_archived(attempt.purchase)? {
            return self.keep_late_outcome(attempt, WORD, Some(says), None).await;
        }
        let purchase = self.inner.store.any_purchase(attempt.purchase)?;
        let Some(purchase) = purchase else {
            tracing::warn!(%attempt, "a callback speaks of an attempt that we never made");
            return Ok(());
        };
        let attempts = self.inner.store.attempts(&purchase.key)?;
        if !attempts.iter().any(|a| a.number == attempt.number && a.upstream == code) {
            tracing::warn!(%attempt, "a callback speaks of an attempt that we never made");
            return Ok(());
        }
        self.keep_callback(&purchase, attempt, &code, says).await?;
        // Its own answer is on the way.
        if self.inner.in_flight.is_out(attempt) {
            return Ok(());
        }
        let engine = self.clone();
        self.inner.tasks.spawn(async move {
            if let Err(fault) = engine.ask_about(purchase, attempt, &code).await {
                tracing::warn!(%fault, %attempt, "what an upstream answered could not be taken; it will be asked again");
            }
        });
        Ok(())
    }

    /// Keeps it, once, and no more of one purchase than anybody will read.
    async fn keep_callback(
        &self,
        purchase: &Purchase,
        attempt: AttemptRef,
        code: &UpstreamCode,
        says: &str,
    ) -> Result<(), Fault> {
        let text = cleaned(says);
        let kept = self.inner.store.evidence(&purchase.key)?;
        let mut callbacks = kept.iter().filter(|evidence| evidence.word == WORD);
        let is_known = callbacks.any(|evidence| evidence.text.as_deref() == Some(&text));
        if is_known || kept.len() >= limits::EVIDENCE_UNTIL_CALLBACKS_ARE_DROPPED {
            return Ok(());
        }
        let source = Source::Upstream { attempt: attempt.number, upstream: code.clone() };
        let proof = Proof::new(source, WORD).with_text(&text);
        let change = Change::KeepEvidence { key: purchase.key, proof, case: None, at: self.now() };
        // Nothing in it can be denied: it needs nothing.
        self.inner.store.write(change).await.map(|_| ())
    }

    async fn ask_about(
        &self,
        purchase: Purchase,
        attempt: AttemptRef,
        code: &UpstreamCode,
    ) -> Result<(), Fault> {
        let outcome = self.enquire_at(&purchase, attempt.number, code).await;
        self.hear(purchase, attempt.number, &outcome, OutcomeSource::Enquiry).await.map(|_| ())
    }
}
