//! What the writer keeps of the database between batches, and what a batch needs to be judged: read
//! in one round of queries, or, for an optimistic batch, taken from the caches.
//!
//! Admission is `domain::ledger::admission::admit`, pure and in order. Not here: when a batch
//! begins, and what becomes of one that failed (`writer`).

use crate::archive;
use crate::backend::{Partition, SetIndex, WriteSql};
use crate::calls::{CallCounts, Caller};
use crate::commit::CommitNeeds;
use crate::fault::Result;
use crate::ledger::{self, BalanceQueries, LedgerCache, LedgerSavepoint};
use crate::purchases;
use domain::ids::IdSet;
use domain::{LedgerAccount, Month, PaymentKey, PurchaseKey, ReferenceKey, View};

/// The writer's caches.
#[derive(Default)]
pub(crate) struct Caches {
    pub(crate) ledger: LedgerCache,
    pub(crate) calls: CallCounts,
    /// Partitions that are there, those of the month after each too.
    partitions: IdSet<Partition>,
}

/// What the changes of a batch mention.
#[derive(Default)]
struct Mentioned<'a> {
    references: Vec<&'a ReferenceKey>,
    payments: Vec<&'a PaymentKey>,
    purchases: Vec<PurchaseKey>,
    accounts: Vec<&'a LedgerAccount>,
    callers: Vec<Caller>,
    reads_ledger_end: bool,
    /// The same as `accounts`.
    known_accounts: IdSet<&'a LedgerAccount>,
}

impl<'a> Mentioned<'a> {
    fn of(batch: &[CommitNeeds<'a>]) -> Mentioned<'a> {
        let mut mentioned = Mentioned::default();
        batch.iter().for_each(|needs| mentioned.add(needs));
        mentioned
    }

    fn add(&mut self, needs: &CommitNeeds<'a>) {
        if let Some(caller) = needs.caller
            && !self.callers.contains(&caller)
        {
            self.callers.push(caller);
        }
        self.reads_ledger_end |= needs.reads_ledger_end;
        let needs = &needs.admission;
        self.references.extend(needs.reference_keys);
        self.payments.extend(needs.payment.map(|(key, _)| key));
        let step = needs.step.as_ref().filter(|step| step.from_version.is_some());
        self.purchases.extend(step.map(|step| step.key));
        let entries = needs.journal.map_or(&[][..], |journal| journal.entries());
        for account in entries.iter().flat_map(|e| [e.debit(), e.credit()]) {
            if self.known_accounts.insert(account) {
                self.accounts.push(account);
            }
        }
    }
}

impl Caches {
    /// What an optimistic batch mentions, as the last commit left it, and as the changes say
    /// themselves: that references are free, and that a purchase has the version that its step is
    /// from. If any of it does not hold, the database rejects the batch. `None` if something is not
    /// cached, or a change must read.
    pub(crate) fn view(&mut self, batch: &[CommitNeeds<'_>]) -> Option<View> {
        if !batch.iter().all(|needs| needs.is_optimistic) {
            return None;
        }
        let mentioned = Mentioned::of(batch);
        let mut view = View::default();
        for step in batch.iter().filter_map(|needs| needs.admission.step) {
            if let Some(from) = step.from_version {
                view.purchases.entry(step.key).or_insert((step.to.0, from));
            }
        }
        let is_cached = self.missing_partitions(batch).is_empty()
            && self.calls.begin_with_last(&mentioned.callers)
            && self.ledger.fill_view(&mut view, &mentioned.accounts).is_empty()
            && self.ledger.has_end();
        is_cached.then_some(view)
    }

    /// Loads everything that the changes mention, in one round of queries, and makes the partitions
    /// that they need.
    pub(crate) fn load(
        &mut self,
        sql: &mut dyn WriteSql,
        batch: &[CommitNeeds<'_>],
    ) -> Result<View> {
        let mut view = View::default();
        let mentioned = Mentioned::of(batch);
        let Mentioned { references, payments, purchases, accounts, callers, .. } = &mentioned;
        self.calls.begin();
        self.ledger.begin(sql.is_sole_writer());
        // Where nobody else writes, the balances after the last commit are those before this one.
        let read = match sql.is_sole_writer() {
            true => self.ledger.fill_view(&mut view, accounts),
            false => accounts.clone(),
        };
        let BalanceQueries { known, unknown, by_id, by_name } = self.ledger.balance_queries(&read);
        let mut queries = [
            purchases::owners_query(references),
            purchases::versions_query(purchases),
            by_id,
            by_name,
            self.ledger.chain_query(),
            self.ledger.closed_query(),
            CallCounts::query(callers),
            ledger::payments_query(payments),
        ];
        if accounts.is_empty() && !mentioned.reads_ledger_end {
            queries[4].values.clear();
        }
        let is_closed_queried = !queries[5].values.is_empty();
        let mut closed = None;
        let (cache, calls) = (&mut self.ledger, &mut self.calls);
        sql.query_sets(&queries, &mut |SetIndex { query, set }, row| {
            match query {
                0 => {
                    let owner = purchases::owner(row, references[set])?;
                    view.used.insert(references[set].clone(), owner);
                }
                1 => drop(view.purchases.insert(purchases[set], purchases::version(row)?)),
                2 => cache.read_balance(&mut view, known[set], row)?,
                3 => cache.read_balance(&mut view, unknown[set], row)?,
                4 => cache.read_chain(row)?,
                5 => closed = Some(archive::closed(row)?),
                6 => calls.read_row(callers[set], row)?,
                _ => {
                    let owner = ledger::payment_owner(row)?;
                    view.payments.insert(payments[set].clone(), owner);
                }
            }
            Ok(())
        })?;
        if is_closed_queried {
            self.ledger.set_closed(closed);
        }
        if !sql.committed_last()? {
            self.ledger.forget_balances();
            self.calls.forget();
        }
        self.ledger.open_missing(sql, &mut view, accounts)?;
        self.ensure_partitions(sql, batch)?;
        Ok(view)
    }

    /// Makes the partitions of new months, and of the months after them, so that nothing has to be
    /// made when those begin.
    fn ensure_partitions(
        &mut self,
        sql: &mut dyn WriteSql,
        batch: &[CommitNeeds<'_>],
    ) -> Result<()> {
        for partition in self.missing_partitions(batch) {
            sql.ensure_partitions(partition)?;
            if !partition.is_old {
                sql.ensure_partitions(Partition::of(partition.month.next()))?;
            }
            self.partitions.insert(partition);
        }
        Ok(())
    }

    fn missing_partitions(&self, batch: &[CommitNeeds<'_>]) -> IdSet<Partition> {
        let made = batch.iter().filter_map(|needs| needs.purchase).map(Partition::of_purchase);
        let moved = batch.iter().filter_map(|needs| needs.moves_at).map(Month::of);
        // If the clock has stepped back, journals go on in the first month that is not closed.
        let open = self.ledger.closed().map(|closed| closed.month.next());
        let all = made.chain(moved.chain(open).map(Partition::of));
        all.filter(|partition| !self.partitions.contains(partition)).collect()
    }

    /// Writes what the batch has changed as a whole: balances and counts of calls, each once.
    pub(crate) fn write_totals(&self, sql: &mut dyn WriteSql, view: &View) -> Result<()> {
        self.ledger.write_balances(sql, view)?;
        self.calls.write(sql)
    }

    /// Keeps what the database has after a batch, for optimistic batches.
    pub(crate) fn keep(&mut self, view: &View) {
        self.ledger.keep_balances(view);
        self.calls.keep();
    }

    /// Drops what a Tx that was not committed has put into the caches.
    pub(crate) fn forget_uncommitted(&mut self, savepoint: LedgerSavepoint, was_optimistic: bool) {
        self.ledger.roll_back_to(savepoint);
        self.calls.forget();
        if !was_optimistic {
            self.partitions.clear();
        }
    }
}
