//! What the writer keeps of the ledger between batches, and how it appends to it.
//!
//! Cached: the numbers and balances of ledger accounts, the end of the hash chain, the last closed
//! month. Where other nodes may write, a batch with reads reads all of it again but the numbers. An
//! optimistic batch reads nothing: if another node has written since, the database rejects it.
//! Whatever a balance is taken from, it is written by compare-and-swap with the balance before.

use super::chain::{FIRST_MONTH, GENESIS, JournalHead, Line, hash, month_of};
use super::{FIND, key_of, open_ledger_account};
use crate::archive::{ClosedMonth, LAST_CLOSED};
use crate::backend::{Row, SetQuery, Sql, WriteKey, values};
use crate::fault::{Fault, Result};
use domain::ids::IdMap;
use domain::{Balance, Journal, LedgerAccount, Month, PurchaseId, View};

/// Ledger accounts in the cache: some 30 MB. Past that it is cleared.
const CACHED_MAX: usize = 200_000;

/// The writer's cache of the ledger.
#[derive(Clone, Debug, Default)]
pub(crate) struct LedgerCache {
    /// Numbers of ledger accounts; they never change.
    ids: IdMap<LedgerAccount, i64>,
    /// `None`: it must be read, or there is no journal.
    chain_end: Option<ChainEnd>,
    /// The last closed month; the outer `None`: it must be read.
    closed: Option<Option<ClosedMonth>>,
    /// Balances before this Tx, by the ledger account's number.
    tx_balances: IdMap<i64, i64>,
    /// Balances after the last commit, as far as they are known, by the same number.
    last_balances: IdMap<i64, i64>,
}

/// The last journal of the chain.
#[derive(Clone, Copy, Debug)]
struct ChainEnd {
    seq: i64,
    hash: [u8; 32],
    month: Month,
}

/// The end of the chain before a Tx, to return to if the Tx is not committed.
pub(crate) struct LedgerSavepoint(Option<ChainEnd>);

/// The two queries for balances, and the ledger accounts of their sets, in order.
pub(crate) struct BalanceQueries<'a> {
    pub(crate) known: Vec<&'a LedgerAccount>,
    pub(crate) unknown: Vec<&'a LedgerAccount>,
    pub(crate) by_id: SetQuery<'a>,
    pub(crate) by_name: SetQuery<'a>,
}

impl LedgerCache {
    pub(crate) const fn savepoint(&self) -> LedgerSavepoint {
        LedgerSavepoint(self.chain_end)
    }

    /// Drops what was cached by a Tx that was not committed.
    pub(crate) fn roll_back_to(&mut self, savepoint: LedgerSavepoint) {
        self.chain_end = savepoint.0;
        self.closed = None;
        self.ids.clear();
        self.last_balances.clear();
    }

    /// Drops balances that another node may have changed.
    pub(crate) fn forget_balances(&mut self) {
        self.last_balances.clear();
    }

    /// Keeps the balances after a commit.
    pub(crate) fn keep_balances(&mut self, view: &View) {
        if self.ids.len() > CACHED_MAX {
            self.ids.clear();
            self.last_balances.clear();
        }
        for (account, balance) in &view.balances {
            if let Some(id) = self.ids.get(account) {
                self.last_balances.insert(*id, balance.amount);
            }
        }
    }

    /// Fills a view with the balances after the last commit; answers the ledger accounts whose
    /// balance is not cached.
    pub(crate) fn fill_view<'a>(
        &mut self,
        view: &mut View,
        mentioned: &[&'a LedgerAccount],
    ) -> Vec<&'a LedgerAccount> {
        self.tx_balances.clear();
        let mut others = Vec::new();
        for account in mentioned {
            let id = self.ids.get(*account).copied();
            match id.and_then(|id| Some((id, *self.last_balances.get(&id)?))) {
                Some((id, amount)) => self.set_balance(view, account, id, amount),
                None => others.push(*account),
            }
        }
        others
    }

    /// Whether the end of the chain and the last closed month are cached.
    pub(crate) const fn has_end(&self) -> bool {
        self.chain_end.is_some() && self.closed.is_some()
    }

    /// Called before the first query of a Tx: drops what other nodes may have changed.
    pub(crate) fn begin(&mut self, is_sole_writer: bool) {
        self.tx_balances.clear();
        if !is_sole_writer {
            self.chain_end = None;
            self.closed = None;
        }
    }

    /// Asks for the last closed month, unless it is cached.
    pub(crate) fn closed_query(&self) -> SetQuery<'static> {
        let mut query = SetQuery::new(LAST_CLOSED, 1);
        if self.closed.is_none() {
            query.add(&values![0_i64]);
        }
        query
    }

    /// Caches the last closed month; `None`: there is none.
    pub(crate) fn set_closed(&mut self, closed: Option<ClosedMonth>) {
        self.closed = Some(closed);
    }

    /// Whether a purchase is of a month that is closed.
    pub(crate) fn is_closed(&self, id: PurchaseId) -> bool {
        self.closed().is_some_and(|closed| id.0 < closed.ids_below)
    }

    /// The last closed month.
    pub(crate) fn closed(&self) -> Option<ClosedMonth> {
        self.closed.flatten()
    }

    /// The last journal that is not archived, and its month; `None` before the first.
    pub(crate) fn end(&self) -> Option<(i64, Month)> {
        self.chain_end.map(|end| (end.seq, end.month))
    }

    /// Asks for the end of the chain, unless it is cached.
    pub(crate) fn chain_query(&self) -> SetQuery<'static> {
        let mut query = SetQuery::new(
            "SELECT seq, hash, month FROM journals
             WHERE seq = (SELECT max(seq) FROM journals WHERE seq > $1)",
            1,
        );
        if self.chain_end.is_none() {
            query.add(&values![0_i64]);
        }
        query
    }

    /// Caches the end of the chain from its row.
    pub(crate) fn read_chain(&mut self, row: &dyn Row) -> Result<()> {
        let hash =
            <[u8; 32]>::try_from(row.bytes(1)?).map_err(|_| Fault::corrupt("a journal's hash"))?;
        let month = Month::from_number(row.int(2)?).ok_or_else(|| Fault::corrupt("a month"))?;
        self.chain_end = Some(ChainEnd { seq: row.int(0)?, hash, month });
        Ok(())
    }

    /// Asks for the balances of ledger accounts: by number where it is cached, else by name.
    pub(crate) fn balance_queries<'a>(
        &self,
        mentioned: &[&'a LedgerAccount],
    ) -> BalanceQueries<'a> {
        let mut queries = BalanceQueries {
            known: Vec::new(),
            unknown: Vec::new(),
            by_id: SetQuery::new("SELECT id, balance FROM ledger_accounts WHERE id = $1", 1),
            by_name: SetQuery::new(FIND, 5),
        };
        for account in mentioned {
            match self.ids.get(*account) {
                Some(id) => {
                    queries.known.push(*account);
                    queries.by_id.add(&values![*id]);
                }
                None => {
                    queries.unknown.push(*account);
                    queries.by_name.add(&key_of(account));
                }
            }
        }
        queries
    }

    /// Puts a ledger account's balance from its row into the view.
    pub(crate) fn read_balance(
        &mut self,
        view: &mut View,
        account: &LedgerAccount,
        row: &dyn Row,
    ) -> Result<()> {
        self.add_balance(view, account, row.int(0)?, row.int(1)?);
        Ok(())
    }

    fn add_balance(&mut self, view: &mut View, account: &LedgerAccount, id: i64, amount: i64) {
        if !self.ids.contains_key(account) {
            self.ids.insert(account.clone(), id);
        }
        self.set_balance(view, account, id, amount);
    }

    fn set_balance(&mut self, view: &mut View, account: &LedgerAccount, id: i64, amount: i64) {
        self.tx_balances.insert(id, amount);
        let floor = account.purpose.floor();
        view.balances.insert(account.clone(), Balance { amount, floor, is_changed: false });
    }

    /// Opens the mentioned ledger accounts of the house that do not exist yet. A missing wallet is
    /// left out: admission refuses the change.
    pub(crate) fn open_missing(
        &mut self,
        sql: &mut dyn Sql,
        view: &mut View,
        mentioned: &[&LedgerAccount],
    ) -> Result<()> {
        for account in mentioned {
            if !account.purpose.is_wallet() && !view.balances.contains_key(*account) {
                let id = open_ledger_account(sql, account)?;
                self.add_balance(view, account, id, 0);
            }
        }
        Ok(())
    }

    /// Writes each balance that the batch changed, once, by compare-and-swap with the balance
    /// before.
    pub(crate) fn write_balances(&self, sql: &mut dyn Sql, view: &View) -> Result<()> {
        for (account, balance) in view.balances.iter().filter(|(_, b)| b.is_changed) {
            let id = self.id(account)?;
            let before = self.tx_balances.get(&id).copied();
            sql.defer(
                "UPDATE ledger_accounts SET balance = $1 WHERE id = $2 AND balance = $3",
                WriteKey::LedgerAccount(id),
                &values![balance.amount, id, before],
                Some(1),
            )?;
        }
        Ok(())
    }

    /// Appends a journal and its entries to the chain; answers the journal's number.
    pub(crate) fn append(
        &mut self,
        sql: &mut dyn Sql,
        journal: &Journal,
        head: &JournalHead<'_>,
    ) -> Result<i64> {
        let last = self.last();
        let seq = last.seq + 1;
        let month = month_of(last.month, head);
        let mut lines = Vec::with_capacity(journal.entries().len());
        for entry in journal.entries() {
            let (debit, credit) = (self.id(entry.debit())?, self.id(entry.credit())?);
            lines.push(Line { debit, credit, amount: entry.amount().minor() });
        }
        let hash = hash(&last.hash, seq, journal.reason().code(), head, &lines);
        sql.defer(
            "INSERT INTO journals (seq, account_id, environment, purchase_id, reason, note, at,
                 hash, listed, month) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            WriteKey::Journal(seq, month),
            &values![
                seq,
                head.account,
                head.environment,
                head.purchase,
                journal.reason().code(),
                head.note,
                head.at,
                &hash,
                head.is_listed.then_some(1_i64),
                month.number()
            ],
            Some(1),
        )?;
        for (number, line) in (1_i64..).zip(lines) {
            sql.defer(
                "INSERT INTO entries (journal_seq, line, debit_id, credit_id, amount, month)
                 VALUES ($1, $2, $3, $4, $5, $6)",
                WriteKey::Journal(seq, month),
                &values![seq, number, line.debit, line.credit, line.amount, month.number()],
                Some(1),
            )?;
        }
        self.chain_end = Some(ChainEnd { seq, hash, month });
        Ok(seq)
    }

    /// The last journal: as it was read before the batch was judged. If its row is archived, or
    /// there is none, the end of the last closed month.
    fn last(&self) -> ChainEnd {
        let closed = self.closed();
        let floor = closed.map_or(FIRST_MONTH, |closed| closed.month.next());
        let (seq, hash) =
            closed.map_or((0, GENESIS), |closed| (closed.last_journal, closed.last_hash));
        match self.chain_end {
            Some(end) => ChainEnd { month: end.month.max(floor), ..end },
            None => ChainEnd { seq, hash, month: floor },
        }
    }

    fn id(&self, account: &LedgerAccount) -> Result<i64> {
        self.ids
            .get(account)
            .copied()
            .ok_or_else(|| Fault::corrupt(format!("no ledger account {account:?}")))
    }
}
