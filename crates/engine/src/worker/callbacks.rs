//! Callbacks about purchases that nobody asks about otherwise, because they are closed: their
//! upstream is asked again until it has answered and the answer is stored.
//!
//! An open purchase has a job that asks. Each callback is on record before it is acknowledged, so
//! that those of a process that died are taken up at the next start. Invariant: a callback decides
//! nothing; only what its upstream answers is applied.

use crate::settle::OutcomeSource;
use crate::{Engine, limits};
use domain::UpstreamCode;
use domain::{AttemptRef, Day, PurchaseId, PurchaseKey, PurchaseNumber};
use parking_lot::Mutex;
use std::collections::HashMap;
use store::{CallbackOnRecord, Fault};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// An attempt that its upstream has called about.
#[derive(Clone, Debug)]
pub(crate) struct CalledAbout {
    /// The attempt's purchase.
    pub(crate) purchase: PurchaseKey,
    /// The attempt's number.
    pub(crate) number: u32,
    /// Who called.
    pub(crate) upstream: UpstreamCode,
    /// How often it was asked about.
    pub(crate) tries: u32,
}

impl CalledAbout {
    const fn attempt(&self) -> AttemptRef {
        AttemptRef { purchase: self.purchase.id.number(), number: self.number }
    }
}

/// What upstreams have called about, and have not answered yet.
#[derive(Default)]
pub(crate) struct Unanswered {
    /// With the rounds until it is asked about.
    waiting: Mutex<HashMap<AttemptRef, (CalledAbout, u32)>>,
    added: Notify,
}

impl Unanswered {
    fn add(&self, about: CalledAbout) {
        let attempt = about.attempt();
        let mut waiting = self.waiting.lock();
        if waiting.len() >= limits::CALLBACKS_UNANSWERED {
            tracing::error!(
                %attempt, "too many callbacks wait: this one is asked about after a restart"
            );
            return;
        }
        let rounds = 1 << about.tries.min(10);
        waiting.insert(attempt, (about, rounds.min(limits::CALLBACK_ROUNDS_MAX)));
        self.added.notify_one();
    }

    /// One round is over: takes what is asked about now.
    fn take_due(&self) -> Vec<CalledAbout> {
        let mut waiting = self.waiting.lock();
        waiting.values_mut().for_each(|(_, rounds)| *rounds = rounds.saturating_sub(1));
        let due = waiting.extract_if(|_, (_, rounds)| *rounds == 0);
        due.map(|(_, (about, _))| about).collect()
    }

    fn is_empty(&self) -> bool {
        self.waiting.lock().is_empty()
    }
}

impl Engine {
    /// Asks about it; what has no answer yet, or could not be stored, is asked about again.
    pub(crate) async fn answer_callback(&self, about: CalledAbout) {
        let attempt = about.attempt();
        match self.ask_called_about(&about).await {
            Ok(true) => return,
            Ok(false) => tracing::debug!(%attempt, "a callback has no answer yet"),
            Err(fault) => tracing::warn!(
                %fault, %attempt, "an upstream's answer could not be stored; it is asked again"
            ),
        }
        let tries = about.tries + 1;
        if tries > limits::CALLBACK_TRIES_MAX {
            tracing::error!(
                %attempt, upstream = %about.upstream,
                "an upstream has called about a closed purchase and does not answer: ask it"
            );
            return;
        }
        self.inner.unanswered.add(CalledAbout { tries, ..about });
    }

    /// Whether what an upstream called about is known and stored now, or a job asks.
    async fn ask_called_about(&self, about: &CalledAbout) -> Result<bool, Fault> {
        // What was archived meanwhile has the callback as evidence, for staff.
        let Some(purchase) = self.inner.store.purchase(&about.purchase)? else {
            return Ok(true);
        };
        let outcome = self.enquire_at(&purchase, about.number, &about.upstream).await;
        let is_end = outcome.is_end();
        let source = OutcomeSource::Enquiry;
        let after = self.apply_outcome(&purchase, about.number, &outcome.into(), source).await?;
        let has_job = !after.purchase().state.is_final();
        Ok(is_end || has_job)
    }

    pub(super) async fn ask_about_callbacks(self, stop: CancellationToken) {
        let work = async {
            self.take_up_callbacks().await;
            loop {
                if self.inner.unanswered.is_empty() {
                    self.inner.unanswered.added.notified().await;
                }
                tokio::time::sleep(limits::TRIED_AGAIN_AFTER).await;
                let due = self.inner.unanswered.take_due();
                for some in due.chunks(limits::CALLBACKS_ASKED_AT_ONCE) {
                    let mut asked = JoinSet::new();
                    for about in some.iter().cloned() {
                        let engine = self.clone();
                        asked.spawn(async move { engine.answer_callback(about).await });
                    }
                    asked.join_all().await;
                }
            }
        };
        stop.run_until_cancelled(work).await;
    }

    /// Takes up the callbacks that a process before this one may have left without an answer.
    async fn take_up_callbacks(&self) {
        loop {
            let since = self.proven_now().before(limits::CALLBACKS_TAKEN_UP_OF);
            let first = Day(Day::of(since).0 - limits::CALLBACKS_TAKEN_UP_DAYS);
            let first = PurchaseId::given_on(first, PurchaseNumber(0));
            let limit = limits::CALLBACKS_TAKEN_UP;
            let found =
                self.blocking(move |store| store.callbacks_after_the_end(first, since, limit));
            match found.await {
                Ok(found) => {
                    for CallbackOnRecord { purchase, number, upstream } in found {
                        let about = CalledAbout { purchase, number, upstream, tries: 0 };
                        self.inner.unanswered.add(about);
                    }
                    return;
                }
                Err(fault) => tracing::warn!(%fault, "callbacks on record could not be read; soon"),
            }
            tokio::time::sleep(limits::UPDATES_TRIED_AGAIN_MAX).await;
        }
    }
}
