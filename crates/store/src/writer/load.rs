//! What a batch needs to be judged: read from the database in one round of queries, or, for an
//! optimistic batch, taken from the caches.
//!
//! Admission is `domain::ledger::admission::admit`, pure and in order. Invariant: an optimistic
//! batch never denies a change. A denial writes no row, so the database could not expose a stale
//! cache.

use super::CommitAnswer;
use super::batch::BatchWriter;
use crate::archive;
use crate::backend::SetIndex;
use crate::calls::{CallCounts, Caller};
use crate::change::{Admission, Change};
use crate::fault::{Fault, Result};
use crate::ledger::BalanceQueries;
use crate::purchases;
use domain::ledger::admission;
use domain::{Denial, LedgerAccount, Month, PurchaseKey, ReferenceKey, View};
use std::collections::HashSet;

/// What the changes of a batch mention.
#[derive(Default)]
struct Mentioned<'a> {
    references: Vec<&'a ReferenceKey>,
    purchases: Vec<PurchaseKey>,
    accounts: Vec<&'a LedgerAccount>,
    callers: Vec<Caller>,
    /// The same as `accounts`.
    known_accounts: HashSet<&'a LedgerAccount>,
}

impl<'a> Mentioned<'a> {
    fn add(&mut self, change: &'a Change) {
        let needs = change.admission().needs;
        if let Change::GrantCalls { account, environment, .. } = change
            && !self.callers.contains(&(*account, *environment))
        {
            self.callers.push((*account, *environment));
        }
        self.references.extend(needs.reference_keys);
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

impl BatchWriter {
    /// Judges the changes and writes those that are admitted. `cached` is the view of an optimistic
    /// batch.
    pub(super) fn write_batch(
        &mut self,
        changes: &[Change],
        cached: Option<View>,
    ) -> Result<(Vec<CommitAnswer>, View)> {
        let is_optimistic = cached.is_some();
        let mut view = match cached {
            Some(view) => view,
            None => {
                let view = self.load(changes)?;
                self.ensure_partitions(changes)?;
                view
            }
        };
        let mut answers = Vec::with_capacity(changes.len());
        for change in changes {
            let Admission { needs, purchase, .. } = change.admission();
            let admitted = match purchase {
                Some(id) if self.ledger.is_closed(id) => Err(Denial::Closed),
                _ => admission::admit(&mut view, &needs),
            };
            let answer = match admitted {
                Ok(()) => Ok(self.write(change, &view)?),
                Err(denial) if is_optimistic => {
                    let why = format!("an optimistic batch would deny a change: {denial:?}");
                    return Err(Fault::corrupt(why));
                }
                Err(denial) => Err(denial),
            };
            answers.push(answer);
        }
        self.ledger.write_balances(self.sql.as_mut(), &view)?;
        self.calls.write(self.sql.as_mut())?;
        Ok((answers, view))
    }

    /// What the changes mention, as the last commit left it, and as they say themselves: that
    /// references are free, and that a purchase has the version that its step is from. If any of it
    /// does not hold, the database rejects the batch. `None` if something is not cached.
    pub(super) fn view_from_cache(&mut self, changes: &[Change]) -> Option<View> {
        let (mut view, mut mentioned) = (View::default(), Mentioned::default());
        for change in changes {
            mentioned.add(change);
            let needs = change.admission().needs;
            if let Some((step, from)) = needs.step.and_then(|step| Some((step, step.from_version?)))
            {
                view.purchases.entry(step.key).or_insert((step.to.0, from));
            }
        }
        let is_cached = self.missing_partitions(changes).is_empty()
            && self.calls.begin_with_last(&mentioned.callers)
            && self.ledger.fill_view(&mut view, &mentioned.accounts);
        is_cached.then_some(view)
    }

    /// Makes the partitions of new months, and of the months after them, so that nothing has to be
    /// made when those begin.
    fn ensure_partitions(&mut self, changes: &[Change]) -> Result<()> {
        for month in self.missing_partitions(changes) {
            self.sql.ensure_partitions(month)?;
            self.sql.ensure_partitions(month.next())?;
            self.partitions.insert(month);
        }
        Ok(())
    }

    fn missing_partitions(&self, changes: &[Change]) -> HashSet<Month> {
        let made = changes.iter().filter_map(|c| c.admission().purchase).map(Month::of_id);
        let moved = changes.iter().filter_map(|c| c.admission().moves_at).map(Month::of);
        // If the clock has stepped back, journals go on in the first month that is not closed.
        let open = self.ledger.closed().map(|closed| closed.month.next());
        let all = made.chain(moved).chain(open);
        all.filter(|month| !self.partitions.contains(month)).collect()
    }

    /// Loads everything that the changes mention, in one round of queries.
    fn load(&mut self, changes: &[Change]) -> Result<View> {
        let (mut view, mut mentioned) = (View::default(), Mentioned::default());
        changes.iter().for_each(|change| mentioned.add(change));
        let Mentioned { references, purchases, accounts, callers, .. } = &mentioned;
        self.calls.begin();
        self.ledger.begin(self.sql.is_sole_writer());
        let BalanceQueries { known, unknown, by_id, by_name } =
            self.ledger.balance_queries(accounts);
        let mut queries = [
            purchases::owners_query(references),
            purchases::versions_query(purchases),
            by_id,
            by_name,
            self.ledger.chain_query(),
            self.ledger.closed_query(),
            CallCounts::query(callers),
        ];
        let is_archiving = changes.iter().any(|change| matches!(change, Change::Archive(_)));
        if accounts.is_empty() && !is_archiving {
            queries[4].values.clear();
        }
        let is_closed_queried = !queries[5].values.is_empty();
        let mut closed = None;
        let (ledger, calls) = (&mut self.ledger, &mut self.calls);
        self.sql.query_sets(&queries, &mut |SetIndex { query, set }, row| {
            match query {
                0 => {
                    let owner = purchases::owner(row, references[set])?;
                    view.used.insert(references[set].clone(), owner);
                }
                1 => drop(view.purchases.insert(purchases[set], purchases::version(row)?)),
                2 => ledger.read_balance(&mut view, known[set], row)?,
                3 => ledger.read_balance(&mut view, unknown[set], row)?,
                4 => ledger.read_chain(row)?,
                5 => closed = Some(archive::closed(row)?),
                _ => calls.read_row(callers[set], row)?,
            }
            Ok(())
        })?;
        if is_closed_queried {
            ledger.set_closed(closed);
        }
        if !self.sql.committed_last()? {
            self.ledger.forget_balances();
            self.calls.forget();
        }
        self.ledger.open_missing(self.sql.as_mut(), &mut view, accounts)?;
        Ok(view)
    }
}
