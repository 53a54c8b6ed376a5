//! Callbacks: an upstream calls us about an attempt.
//!
//! A callback decides nothing: its text is stored as evidence, and the upstream is asked at once
//! (RELIABILITY O6), again until it has answered (`worker/callbacks.rs`). Invariants: a callback is
//! on record before it is acknowledged; one whose sender its connector cannot verify changes
//! nothing.

use crate::worker::CalledAbout;
use crate::{Engine, limits};
use domain::upstream::cleaned;
use domain::{
    AttemptRef, Callback, CallbackAnswer, CallbackRead, MonthClosed, Proof, Purchase, Source,
    UpstreamCode,
};
use store::{Fault, KeepEvidence};

/// The result of a callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallbackResult {
    /// Genuine, and kept; with what the upstream wants to hear, if it says so. The enquiry that
    /// follows runs in a task of its own.
    Accepted(Option<CallbackAnswer>),
    /// Genuine, but it could not be kept: the upstream should send it again.
    NotKept,
    /// Its sender could not be verified.
    Forged,
    /// No upstream of this name sends callbacks.
    UnknownUpstream,
}

/// The stored word of a callback's evidence.
const WORD: &str = "callback";

impl Engine {
    /// Receives a callback for the upstream of this name.
    pub async fn receive_callback(&self, name: &str, callback: &Callback) -> CallbackResult {
        let code = UpstreamCode::new(name);
        let Some(upstream) = self.upstream(&code) else { return CallbackResult::UnknownUpstream };
        let (attempt, text, answer) = match upstream.read_callback(callback) {
            CallbackRead::NotOffered => return CallbackResult::UnknownUpstream,
            CallbackRead::Forged { reason } => {
                // Anybody can send one: the log counts them; their reasons are for `debug`.
                tracing::warn!(
                    target: "counted", status = 401_u16, code = "CALLBACK_FORGED",
                    "a callback was refused"
                );
                tracing::debug!(upstream = name, reason, "a callback was refused");
                return CallbackResult::Forged;
            }
            CallbackRead::Genuine { attempt, text: says, answer } => (attempt, says, answer),
        };
        if let Err(fault) = self.take_callback(code, attempt, &text).await {
            tracing::warn!(
                %fault,
                %attempt,
                "a callback could not be stored; the upstream will be asked when its job is due"
            );
            return CallbackResult::NotKept;
        }
        CallbackResult::Accepted(answer)
    }

    async fn take_callback(
        &self,
        code: UpstreamCode,
        attempt: AttemptRef,
        text: &str,
    ) -> Result<(), Fault> {
        if self.is_archived(attempt.purchase)? {
            return self.keep_late_outcome(attempt, WORD, Some(text), None).await;
        }
        let Some(purchase) = self.purchase_of_attempt(attempt, Some(&code))? else {
            return Ok(());
        };
        self.keep_callback(&purchase, attempt, &code, text).await?;
        // The call in flight will return an outcome itself.
        if self.inner.in_flight.is_open(attempt) {
            return Ok(());
        }
        let (engine, number) = (self.clone(), attempt.number);
        let about = CalledAbout { purchase: purchase.key, number, upstream: code, tries: 0 };
        self.inner.tasks.spawn(async move {
            engine.answer_callback(about).await;
        });
        Ok(())
    }

    /// The purchase of an attempt that an upstream speaks of; `None`, with a warning, if there is
    /// no such attempt, at this upstream if one is given.
    pub(crate) fn purchase_of_attempt(
        &self,
        attempt: AttemptRef,
        code: Option<&UpstreamCode>,
    ) -> Result<Option<Purchase>, Fault> {
        let purchase = match self.purchase_id(attempt.purchase)? {
            Some(id) => self.inner.store.any_purchase(id)?,
            None => None,
        };
        let is_known = match (&purchase, code) {
            (None, _) => false,
            (Some(purchase), None) => (1..=purchase.attempts).contains(&attempt.number),
            (Some(purchase), Some(code)) => {
                let attempts = self.inner.store.attempts(&purchase.key)?;
                attempts.iter().any(|a| a.number == attempt.number && a.upstream == *code)
            }
        };
        if !is_known {
            tracing::warn!(%attempt, "an upstream speaks of an attempt that does not exist");
        }
        Ok(purchase.filter(|_| is_known))
    }

    /// Stores a callback's text as evidence: once, and no more of one purchase than staff can read.
    async fn keep_callback(
        &self,
        purchase: &Purchase,
        attempt: AttemptRef,
        code: &UpstreamCode,
        text: &str,
    ) -> Result<(), Fault> {
        let text = cleaned(text);
        let kept = self.inner.store.evidence(&purchase.key)?;
        let mut callbacks = kept.iter().filter(|evidence| evidence.word == WORD);
        let is_known = callbacks.any(|evidence| evidence.text.as_deref() == Some(&text));
        if is_known || kept.len() >= limits::EVIDENCE_UNTIL_CALLBACKS_ARE_DROPPED {
            return Ok(());
        }
        let source = Source::Upstream { attempt: attempt.number, upstream: code.clone() };
        let proof = Proof::new(source, WORD).with_text(&text);
        let keep = KeepEvidence { key: purchase.key, proof, case: None, at: self.now() };
        match self.write(&self.work(), keep, None).await? {
            Ok(()) => Ok(()),
            Err(MonthClosed) => self.keep_late_outcome(attempt, WORD, Some(&text), None).await,
        }
    }
}
