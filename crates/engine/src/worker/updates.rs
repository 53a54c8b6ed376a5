//! Status updates: messages that upstreams send unasked, such as late outcomes, reversals, repeats.
//!
//! Nobody asks about a closed purchase, so an update that cannot be stored waits here and is tried
//! again until it is. Invariants: the updates of one purchase are applied in the order in which
//! they came; those that were queued before the workers stop are still applied, or the log names
//! them.

use crate::settle::OutcomeSource;
use crate::{Engine, limits};
use domain::{AttemptRef, Outcome, PurchaseNumber, StatusUpdate};
use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::time::Duration;
use store::Fault;
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;

impl Engine {
    pub(super) async fn apply_updates(self, stop: CancellationToken) {
        let Some(mut updates) = self.inner.updates.lock().take() else { return };
        let mut waiting = Waiting::new();
        loop {
            let update = tokio::select! {
                biased;
                // The queue comes before the stop: an upstream does not repeat a reversal.
                update = updates.recv(), if waiting.count < limits::UPDATES_WAITING => update,
                () = waiting.next_try.as_mut(), if waiting.count > 0 => {
                    self.try_again(&mut waiting).await;
                    continue;
                }
                () = stop.cancelled() => None,
            };
            let Some(update) = update else { break };
            let purchase = update.attempt.purchase;
            if waiting.store_is_away() || waiting.of.contains_key(&purchase) {
                waiting.add(update);
                continue;
            }
            match self.apply_update(&update).await {
                Ok(()) => waiting.failed_in_a_row = 0,
                Err(fault) => {
                    let attempt = update.attempt;
                    tracing::warn!(
                        %fault, %attempt, "an upstream's update cannot be stored; it is tried again"
                    );
                    waiting.failed_in_a_row += 1;
                    waiting.add(update);
                }
            }
        }
        self.try_again(&mut waiting).await;
        for StatusUpdate { attempt, outcome } in waiting.of.into_values().flatten() {
            let said = Outcome::from(outcome).code();
            tracing::error!(
                %attempt, said, "an upstream's update could not be stored before the end: ask it"
            );
        }
    }

    /// Tries what waits, purchase by purchase, until too many have failed one after another.
    async fn try_again(&self, waiting: &mut Waiting) {
        let before = waiting.count;
        for _ in 0..waiting.turns.len() {
            let Some(purchase) = waiting.turns.pop_front() else { break };
            let mut updates = waiting.of.remove(&purchase).unwrap_or_default();
            while let Some(update) = updates.front() {
                match self.apply_update(update).await {
                    Ok(()) => {
                        waiting.failed_in_a_row = 0;
                        waiting.count -= 1;
                        updates.pop_front();
                    }
                    Err(fault) => {
                        tracing::debug!(%fault, attempt = %update.attempt, "not stored yet");
                        waiting.failed_in_a_row += 1;
                        break;
                    }
                }
            }
            if !updates.is_empty() {
                waiting.of.insert(purchase, updates);
                waiting.turns.push_back(purchase);
                if waiting.store_is_away() {
                    break;
                }
            }
        }
        let left = waiting.count;
        if left < before {
            tracing::info!(stored = before - left, left, "updates that waited are stored");
        } else if left > 0 {
            tracing::error!(left, "updates of upstreams cannot be stored; they are tried again");
        }
        waiting.rounds = if left < before { 0 } else { waiting.rounds + 1 };
        waiting.set_next_try();
    }

    async fn apply_update(&self, update: &StatusUpdate) -> Result<(), Fault> {
        let attempt: AttemptRef = update.attempt;
        let outcome = Outcome::from(update.outcome.clone());
        if self.is_archived(attempt.purchase)? {
            let (text, reference) = (outcome.text(), outcome.reference());
            return self.keep_late_outcome(attempt, outcome.code(), text, reference).await;
        }
        let Some(purchase) = self.purchase_of_attempt(attempt, None)? else { return Ok(()) };
        let source = OutcomeSource::Update;
        self.apply_outcome(&purchase, attempt.number, &outcome, source).await.map(|_| ())
    }
}

/// Updates that could not be stored, and those that came after them.
struct Waiting {
    of: HashMap<PurchaseNumber, VecDeque<StatusUpdate>>,
    /// The purchases of `of`, in the order in which they are tried.
    turns: VecDeque<PurchaseNumber>,
    /// How many updates wait.
    count: usize,
    /// How many tries have failed since the last one that did not.
    failed_in_a_row: u32,
    /// How often all of them failed since something was stored.
    rounds: u32,
    next_try: Pin<Box<Sleep>>,
}

impl Waiting {
    fn new() -> Waiting {
        Waiting {
            of: HashMap::new(),
            turns: VecDeque::new(),
            count: 0,
            failed_in_a_row: 0,
            rounds: 0,
            next_try: Box::pin(tokio::time::sleep(Duration::ZERO)),
        }
    }

    /// Whether it is the store that fails, rather than one purchase.
    const fn store_is_away(&self) -> bool {
        self.failed_in_a_row >= limits::UPDATES_FAILED_IN_A_ROW
    }

    fn add(&mut self, update: StatusUpdate) {
        if self.count == 0 {
            self.rounds = 0;
            self.set_next_try();
        }
        let purchase = update.attempt.purchase;
        let updates = self.of.entry(purchase).or_default();
        if updates.is_empty() {
            self.turns.push_back(purchase);
        }
        updates.push_back(update);
        self.count += 1;
    }

    fn set_next_try(&mut self) {
        let wait = limits::TRIED_AGAIN_AFTER * (1 << self.rounds.min(10));
        let wait = wait.min(limits::UPDATES_TRIED_AGAIN_MAX);
        self.next_try = Box::pin(tokio::time::sleep(wait));
    }
}
