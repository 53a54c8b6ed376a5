//! One change of the store, typed: what must hold for it, what it writes, what it answers.
//!
//! Each kind of change is a type beside its SQL. The writer knows none of them: it holds them as
//! [`QueuedCommit`]s. Invariant: a change is written whole or not at all.

use crate::backend::WriteSql;
use crate::calls::{CallCounts, Caller};
use crate::fault::{Fault, Result};
use crate::ledger::LedgerCache;
use domain::{
    Denial, DeniedBy, Move, Needs, Purchase, PurchaseId, PurchaseStep, ReferenceKey, Timestamp,
    View,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::oneshot;

/// One kind of change.
pub trait Commit: Send + 'static {
    /// What it answers once it is durable.
    type Done: Send + 'static;
    /// What can refuse it; [`Infallible`](std::convert::Infallible) where nothing can.
    type Denied: DeniedBy + Send + 'static;

    /// What must hold for it; by default nothing.
    fn needs(&self) -> CommitNeeds<'_> {
        CommitNeeds::default()
    }

    /// Writes it, once it is admitted. It is called again if its Tx was not committed.
    fn apply(&self, tx: &mut Tx<'_>) -> Result<Self::Done>;
}

/// Implements [`Commit`] for a change that nothing can refuse: `unrefused!(Change, Done, |change,
/// tx| …)`.
macro_rules! unrefused {
    ($change:ty, $done:ty, |$this:ident, $tx:ident| $write:expr) => {
        impl $crate::commit::Commit for $change {
            type Done = $done;
            type Denied = std::convert::Infallible;

            fn apply(&self, $tx: &mut $crate::commit::Tx<'_>) -> $crate::fault::Result<$done> {
                let $this = self;
                $write
            }
        }
    };
}
pub(crate) use unrefused;

/// What decides whether a change is admitted, and with which others it can share a Tx.
#[derive(Default)]
pub struct CommitNeeds<'a> {
    /// What must be true for it, for [`domain::ledger::admission::admit`].
    pub(crate) admission: Needs<'a>,
    /// The purchase whose history it changes. It is refused if that purchase's month is closed.
    /// Jobs, leases and webhooks are not history.
    pub(crate) purchase: Option<PurchaseId>,
    /// The time of its journal, if it has one.
    pub(crate) moves_at: Option<Timestamp>,
    /// The caller whose calls it counts.
    pub(crate) caller: Option<Caller>,
    /// Whether it reads the end of the ledger.
    pub(crate) reads_ledger_end: bool,
    /// Whether it may be in an optimistic batch: everything that it relies on is named here, and
    /// the database rejects its rows if any of that does not hold, such as a reference that is used
    /// up or a version that has passed. Counts of calls are cached as balances are.
    pub(crate) is_optimistic: bool,
}

impl<'a> CommitNeeds<'a> {
    /// A step of a purchase, or its opening, which has no version before.
    pub(crate) fn of_move(
        reference_keys: &'a [ReferenceKey],
        step: &'a Move,
        from_version: Option<u32>,
    ) -> CommitNeeds<'a> {
        let Purchase { key, state, version, updated_at, .. } = step.after;
        let to = (state, version);
        let journal = step.journal.as_ref();
        let step = Some(PurchaseStep { key, from_version, to });
        CommitNeeds {
            admission: Needs { reference_keys, step, journal, ..Needs::default() },
            purchase: Some(key.id),
            moves_at: Some(updated_at),
            is_optimistic: true,
            ..CommitNeeds::default()
        }
    }

    /// Something about a purchase whose month must be open.
    pub(crate) fn open_month(purchase: PurchaseId) -> CommitNeeds<'a> {
        CommitNeeds { purchase: Some(purchase), ..CommitNeeds::default() }
    }
}

/// The open Tx of a batch, as a change writes into it.
pub struct Tx<'t> {
    pub(crate) sql: &'t mut dyn WriteSql,
    pub(crate) ledger: &'t mut LedgerCache,
    pub(crate) calls: &'t mut CallCounts,
    /// What the batch mentions, after the changes that were admitted so far.
    pub(crate) view: &'t View,
    /// The run of this node.
    pub(crate) run: i64,
}

/// The answer to one change.
pub(crate) type Answer<C> = Result<Result<<C as Commit>::Done, <C as Commit>::Denied>>;

/// Decides whether the writer begins with a change or its caller withdraws it: the first one wins.
#[derive(Clone, Default)]
pub(crate) struct Withdrawable(Arc<AtomicBool>);

impl Withdrawable {
    pub(crate) fn is_first(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

/// A change in the writer's queue, of whatever kind.
pub(crate) trait QueuedCommit: Send {
    fn needs(&self) -> CommitNeeds<'_>;

    /// Whether the writer may begin with it: its caller has not withdrawn it.
    fn begin(&self) -> bool;

    /// Writes it, and keeps what it will answer.
    fn apply(&mut self, tx: &mut Tx<'_>) -> Result<()>;

    /// Keeps that it was denied.
    fn deny(&mut self, denial: Denial) -> Result<()>;

    /// Answers its caller: after a commit with what was kept, else with the fault.
    fn answer(self: Box<Self>, committed: Result<()>);
}

/// A change with the place its answer goes to.
pub(crate) struct Queued<C: Commit> {
    commit: C,
    kept: Option<Result<C::Done, C::Denied>>,
    withdrawable: Withdrawable,
    reply: oneshot::Sender<Answer<C>>,
}

impl<C: Commit> Queued<C> {
    pub(crate) fn new(
        commit: C,
        withdrawable: Withdrawable,
    ) -> (Box<Queued<C>>, oneshot::Receiver<Answer<C>>) {
        let (reply, answer) = oneshot::channel();
        (Box::new(Queued { commit, kept: None, withdrawable, reply }), answer)
    }
}

impl<C: Commit> QueuedCommit for Queued<C> {
    fn needs(&self) -> CommitNeeds<'_> {
        self.commit.needs()
    }

    fn begin(&self) -> bool {
        self.withdrawable.is_first()
    }

    fn apply(&mut self, tx: &mut Tx<'_>) -> Result<()> {
        self.kept = Some(Ok(self.commit.apply(tx)?));
        Ok(())
    }

    fn deny(&mut self, denial: Denial) -> Result<()> {
        let impossible = format!("a change was denied for what it does not need: {denial:?}");
        let denied = C::Denied::from_denial(denial).ok_or_else(|| Fault::corrupt(impossible))?;
        self.kept = Some(Err(denied));
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<()>) {
        let Queued { kept, reply, .. } = *self;
        let answer = committed.and_then(|()| kept.ok_or(Fault::Closed));
        // The caller may have gone away; what is committed stays committed.
        let _ = reply.send(answer);
    }
}
