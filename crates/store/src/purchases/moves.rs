//! Opening a purchase, and its steps: everything that one of them writes.

use super::{insert, set_available_after, update, use_up};
use super::{jobs, slips};
use crate::commit::{Commit, CommitNeeds, Tx};
use crate::fault::Result;
use crate::ledger::{JournalHead, lists};
use crate::purchases::{change_attempt, close_case, keep_evidence, open_case};
use crate::webhooks;
use domain::{
    CaseKind, LedgerAccount, Move, OpeningDenied, Purpose, Reason, ReferenceKey, State, StepDenied,
};

/// A purchase that opens: references, purchase, hold, first attempt, job. Answers the wallet's
/// available minor units right after the hold.
#[derive(Clone, Debug)]
pub struct OpenPurchase {
    /// The references that name it; all must be free. The first is the purchase's own.
    pub reference_keys: Vec<ReferenceKey>,
    /// The digest of the request, kept with the references.
    pub digest: Option<[u8; 32]>,
    /// The purchase and everything that is written with it.
    pub opening: Box<Move>,
}

/// A purchase's next step: state by compare-and-swap, journal, attempt, job, event. Answers the
/// wallet's available minor units right after a step that changes them.
#[derive(Clone, Debug)]
pub struct TakeStep(pub Box<Move>);

impl Commit for OpenPurchase {
    type Done = i64;
    type Denied = OpeningDenied;

    fn needs(&self) -> CommitNeeds<'_> {
        CommitNeeds::of_move(&self.reference_keys, &self.opening, None)
    }

    fn apply(&self, tx: &mut Tx<'_>) -> Result<i64> {
        let opening = &self.opening;
        let (key, at) = (&opening.after.key, opening.after.opened_at);
        for reference in &self.reference_keys {
            use_up(tx.sql, reference, Some(key.id), self.digest.as_ref(), at)?;
        }
        let available_after = available(tx, opening).unwrap_or(0);
        insert(tx.sql, &opening.after, available_after)?;
        if opening.journal.is_none() {
            lists::add_purchase(tx.sql, &opening.after)?;
        }
        let (job, due) = opening.job;
        jobs::enqueue(tx.sql, tx.run, key, job, due)?;
        write_move(tx, opening)?;
        Ok(available_after)
    }
}

impl Commit for TakeStep {
    type Done = Option<i64>;
    type Denied = StepDenied;

    fn needs(&self) -> CommitNeeds<'_> {
        CommitNeeds::of_move(&[], &self.0, Some(self.0.from_version))
    }

    fn apply(&self, tx: &mut Tx<'_>) -> Result<Option<i64>> {
        let step = &*self.0;
        let (after, (job, due)) = (&step.after, step.job);
        update(tx.sql, after, step.from_version)?;
        jobs::replace(tx.sql, tx.run, after, job, due)?;
        let available_after = available(tx, step);
        if let Some(available) = available_after {
            set_available_after(tx.sql, &after.key, available)?;
        }
        if step.from == State::WithStaff {
            close_case(tx.sql, &after.key, CaseKind::Doubt, after.updated_at)?;
        }
        write_move(tx, step)?;
        Ok(available_after)
    }
}

/// What every move of a purchase writes: attempt, journal, evidence, slip, case, webhooks.
fn write_move(tx: &mut Tx<'_>, step: &Move) -> Result<()> {
    let (key, at) = (&step.after.key, step.after.updated_at);
    if let Some(attempt) = &step.attempt {
        change_attempt(tx.sql, key, attempt, at)?;
    }
    if let Some(journal) = &step.journal {
        let head = JournalHead {
            account: key.account,
            environment: key.environment,
            purchase: Some(key.id),
            note: None,
            at,
            is_listed: step.after.api_key.is_none(),
        };
        tx.ledger.append(tx.sql, journal, &head)?;
    }
    if let Some(proof) = &step.evidence {
        keep_evidence(tx.sql, key, proof, at)?;
    }
    if let (Some(slip), Some(upstream)) = (&step.slip, &step.after.upstream) {
        slips::keep(tx.sql, key, upstream, slip, at)?;
    }
    if let Some(case) = &step.case {
        open_case(tx.sql, key, case, at)?;
    }
    step.webhooks.iter().try_for_each(|pending| webhooks::enqueue(tx.sql, tx.run, key, pending))
}

/// What a purchase's account can spend right after this change was admitted; `None` unless the
/// change holds money or gives it back.
fn available(tx: &Tx<'_>, step: &Move) -> Option<i64> {
    let moves = [Reason::Hold, Reason::Release, Reason::Refund];
    step.journal.as_ref().filter(|journal| moves.contains(&journal.reason()))?;
    let purchase = &step.after;
    let wallet = LedgerAccount {
        owner: purchase.key.account,
        environment: purchase.key.environment,
        currency: purchase.amount.currency(),
        purpose: Purpose::Available,
    };
    tx.view.balances.get(&wallet).map(|balance| balance.amount)
}
