//! Ledger accounts, journals and entries: rows in, rows out, and the hash chain over journals.
//!
//! Invariant: journals and entries are only ever inserted. A journal's hash covers the hash before
//! it, so that no row can be changed, added or removed without every later hash telling.

use crate::archive::{self, Closed, LAST_CLOSED};
use crate::backend::{Row, SetQuery, Sql, Value, WriteKey, first};
use crate::fault::Fault;
use domain::account::AccountId;
use domain::clock::Timestamp;
use domain::ledger::admission::{Balance, View};
use domain::ledger::journal::{Journal, LedgerAccount, Purpose};
use domain::money::Currency;
use domain::{Environment, Money, Month, PurchaseId};
use ring::digest;
use std::collections::HashMap;

/// What the writer remembers between batches: names of ledger accounts and the end of the chain.
#[derive(Clone, Debug, Default)]
pub(crate) struct LedgerCache {
    ids: HashMap<LedgerAccount, i64>,
    chain: Option<Link>,
    /// The last month that is closed; the outer `None`: it must be read.
    closed: Option<Option<Closed>>,
    /// Balances as this Tx found them, by ledger account.
    found: HashMap<i64, i64>,
    /// Balances as the last commit left them, as far as they are known. Good for a Tx that fails if
    /// anybody else wrote since.
    left: HashMap<LedgerAccount, i64>,
}

/// Ledger accounts that are remembered: some 30 MB. Past that it begins anew.
const REMEMBERED_MAX: usize = 200_000;

/// The end of the chain of journals.
#[derive(Clone, Copy, Debug)]
struct Link {
    seq: i64,
    hash: [u8; 32],
    month: Month,
}

/// What the hash of a journal covers besides the one before and its entries.
pub(crate) struct Head<'a> {
    pub(crate) account: AccountId,
    pub(crate) environment: Environment,
    pub(crate) purchase: Option<PurchaseId>,
    pub(crate) note: Option<&'a str>,
    pub(crate) at: Timestamp,
    /// Whether its account reads statements: told to the index, not covered by the hash.
    pub(crate) is_listed: bool,
}

/// The hash before the first journal.
pub(crate) const GENESIS: [u8; 32] = [0; 32];
/// A month before every journal's.
pub(crate) const FIRST_MONTH: Month = Month::of(Timestamp(i64::MIN));

/// The month of a journal that follows one of the month `before`: never earlier, and never earlier
/// than its purchase was made in.
pub(crate) fn month_of(before: Month, head: &Head<'_>) -> Month {
    let made_in = head.purchase.map_or(FIRST_MONTH, Month::of_id);
    before.max(Month::of(head.at)).max(made_in)
}

/// Where the books stood before a Tx.
pub(crate) struct LedgerMark(Option<Link>);

impl LedgerCache {
    /// Notes where the books stand.
    pub(crate) const fn mark(&self) -> LedgerMark {
        LedgerMark(self.chain)
    }

    /// Forgets what a Tx that was undone had taught.
    pub(crate) fn back_to(&mut self, mark: LedgerMark) {
        self.chain = mark.0;
        self.closed = None;
        self.ids.clear();
        self.left.clear();
    }

    /// Forgets balances that somebody else may have changed.
    pub(crate) fn forget_balances(&mut self) {
        self.left.clear();
    }

    /// Remembers the balances that a commit left.
    pub(crate) fn leave(&mut self, view: &View) {
        if self.ids.len() > REMEMBERED_MAX {
            self.ids.clear();
            self.left.clear();
        }
        for (account, balance) in &view.balances {
            match self.left.get_mut(account) {
                Some(left) => *left = balance.amount,
                None => drop(self.left.insert(account.clone(), balance.amount)),
            }
        }
    }

    /// Gives a view the balances that the last commit left; false if not all of them are known, or
    /// not the end of the chain, or not which months are closed.
    pub(crate) fn recall(&mut self, view: &mut View, mentioned: &[&LedgerAccount]) -> bool {
        self.found.clear();
        for account in mentioned {
            let known = self.ids.get(*account).copied().zip(self.left.get(*account).copied());
            let Some(found) = known else { return false };
            self.note(view, account, found);
        }
        self.chain.is_some() && self.closed.is_some()
    }

    /// Before the first question of a Tx; what others may have changed since is forgotten.
    pub(crate) fn open(&mut self, is_alone: bool) {
        self.found.clear();
        if !is_alone {
            self.chain = None;
            self.closed = None;
        }
    }

    /// The last month that is closed, if it must be read.
    pub(crate) fn ask_closed(&self) -> SetQuery<'static> {
        let mut ask = SetQuery::new(LAST_CLOSED, 1);
        if self.closed.is_none() {
            ask.add(&[0_i64.into()]);
        }
        ask
    }

    /// Takes the last month that is closed; `None`: there is none.
    pub(crate) fn take_closed(&mut self, closed: Option<Closed>) {
        self.closed = Some(closed);
    }

    /// Whether a purchase is of a month that is closed.
    pub(crate) fn is_closed(&self, id: PurchaseId) -> bool {
        self.closed().is_some_and(|closed| id.0 < closed.ids_below)
    }

    /// The last month that is closed.
    pub(crate) fn closed(&self) -> Option<Closed> {
        self.closed.flatten()
    }

    /// The last journal, and its month; `None` before the first.
    pub(crate) fn end(&self) -> Option<(i64, Month)> {
        self.chain.map(|link| (link.seq, link.month))
    }

    /// The end of the chain, if it must be read.
    pub(crate) fn ask_chain(&self) -> SetQuery<'static> {
        let mut ask = SetQuery::new(
            "SELECT seq, hash, month FROM journals WHERE seq = (SELECT max(seq) FROM journals WHERE seq > $1)",
            1,
        );
        if self.chain.is_none() {
            ask.add(&[0_i64.into()]);
        }
        ask
    }

    /// Takes the end of the chain from its row.
    pub(crate) fn take_chain(&mut self, row: &dyn Row) -> Result<(), Fault> {
        let hash =
            <[u8; 32]>::try_from(row.bytes(1)?).map_err(|_| Fault::corrupt("a journal's hash"))?;
        let month = Month::from_number(row.int(2)?).ok_or_else(|| Fault::corrupt("a month"))?;
        self.chain = Some(Link { seq: row.int(0)?, hash, month });
        Ok(())
    }

    /// Asks for the balances of ledger accounts: by number where it is known, else by name.
    pub(crate) fn ask_balances<'a>(&self, mentioned: &[&'a LedgerAccount]) -> Balances<'a> {
        let mut balances = Balances {
            known: Vec::new(),
            unknown: Vec::new(),
            by_id: SetQuery::new("SELECT id, balance FROM ledger_accounts WHERE id = $1", 1),
            by_name: SetQuery::new(FIND, 5),
        };
        for account in mentioned {
            match self.ids.get(*account) {
                Some(id) => {
                    balances.known.push(*account);
                    balances.by_id.add(&[(*id).into()]);
                }
                None => {
                    balances.unknown.push(*account);
                    balances.by_name.add(&key_of(account));
                }
            }
        }
        balances
    }

    /// Takes a ledger account's number and balance from its row.
    pub(crate) fn take_balance(
        &mut self,
        view: &mut View,
        account: &LedgerAccount,
        row: &dyn Row,
    ) -> Result<(), Fault> {
        self.note(view, account, (row.int(0)?, row.int(1)?));
        Ok(())
    }

    fn note(&mut self, view: &mut View, account: &LedgerAccount, (id, amount): (i64, i64)) {
        if !self.ids.contains_key(account) {
            self.ids.insert(account.clone(), id);
        }
        self.found.insert(id, amount);
        let floor = account.purpose.floor();
        view.balances.insert(account.clone(), Balance { amount, floor, is_changed: false });
    }

    /// Opens the ledger accounts of the house that are not there yet. A missing wallet is left out,
    /// for admission to refuse.
    pub(crate) fn open_missing(
        &mut self,
        sql: &mut dyn Sql,
        view: &mut View,
        mentioned: &[&LedgerAccount],
    ) -> Result<(), Fault> {
        for account in mentioned {
            if !account.purpose.is_wallet() && !view.balances.contains_key(*account) {
                let id = open_ledger_account(sql, account)?;
                self.note(view, account, (id, 0));
            }
        }
        Ok(())
    }

    /// Writes every balance that the batch changed, once; from what it was, and from nothing else.
    pub(crate) fn write_balances(&self, sql: &mut dyn Sql, view: &View) -> Result<(), Fault> {
        for (account, balance) in view.balances.iter().filter(|(_, b)| b.is_changed) {
            let id = self.id(account)?;
            let before = self.found.get(&id).copied();
            sql.defer(
                "UPDATE ledger_accounts SET balance = $1 WHERE id = $2 AND balance = $3",
                WriteKey::LedgerAccount(id),
                &[balance.amount.into(), id.into(), before.into()],
                Some(1),
            )?;
        }
        Ok(())
    }

    /// Appends a journal and its entries to the chain.
    pub(crate) fn append(
        &mut self,
        sql: &mut dyn Sql,
        journal: &Journal,
        head: &Head<'_>,
    ) -> Result<(), Fault> {
        let last = self.last();
        let seq = last.seq + 1;
        let month = month_of(last.month, head);
        let mut lines = Vec::with_capacity(journal.entries().len());
        for entry in journal.entries() {
            lines.push((self.id(entry.debit())?, self.id(entry.credit())?, entry.amount().minor()));
        }
        let hash = hash(&last.hash, seq, journal.reason().code(), head, &lines);
        sql.defer(
            "INSERT INTO journals (seq, account_id, environment, purchase_id, reason, note, at, hash, listed, month) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            WriteKey::Journal(seq, month),
            &[
                seq.into(),
                head.account.0.into(),
                head.environment.code().into(),
                head.purchase.map(|p| p.0).into(),
                journal.reason().code().into(),
                head.note.into(),
                head.at.0.into(),
                (&hash).into(),
                head.is_listed.then_some(1_i64).into(),
                month.number().into(),
            ],
            Some(1),
        )?;
        for (line, (debit, credit, amount)) in (1_i64..).zip(lines) {
            sql.defer(
                "INSERT INTO entries (journal_seq, line, debit_id, credit_id, amount, month) VALUES ($1, $2, $3, $4, $5, $6)",
                WriteKey::Journal(seq, month),
                &[
                    seq.into(),
                    line.into(),
                    debit.into(),
                    credit.into(),
                    amount.into(),
                    month.number().into(),
                ],
                Some(1),
            )?;
        }
        self.chain = Some(Link { seq, hash, month });
        Ok(())
    }

    /// The last journal: as it was read before the batch was judged, or, where its row is archived
    /// or there is none, as the last closed month ended.
    fn last(&self) -> Link {
        let closed = self.closed();
        let floor = closed.map_or(FIRST_MONTH, |closed| closed.month.next());
        let (seq, hash) =
            closed.map_or((0, GENESIS), |closed| (closed.last_journal, closed.last_hash));
        match self.chain {
            Some(link) => Link { month: link.month.max(floor), ..link },
            None => Link { seq, hash, month: floor },
        }
    }

    fn id(&self, account: &LedgerAccount) -> Result<i64, Fault> {
        self.ids
            .get(account)
            .copied()
            .ok_or_else(|| Fault::corrupt(format!("no ledger account {account:?}")))
    }
}

/// SHA-256 over the hash before and everything that the journal says. Fields are parted by their
/// lengths, so that no two journals have one text.
pub(crate) fn hash(
    before: &[u8; 32],
    seq: i64,
    reason: &str,
    head: &Head<'_>,
    lines: &[(i64, i64, i64)],
) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(before);
    let mut text = |s: &str| {
        context.update(&(s.len() as u64).to_le_bytes());
        context.update(s.as_bytes());
    };
    text(reason);
    text(head.environment.code());
    text(head.note.unwrap_or(""));
    let mut number = |n: i64| context.update(&n.to_le_bytes());
    number(i64::from(head.note.is_some()));
    number(seq);
    number(head.account.0);
    number(head.purchase.map_or(0, |p| p.0));
    number(head.at.0);
    for (debit, credit, amount) in lines {
        number(*debit);
        number(*credit);
        number(*amount);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// The last journal and its hash, archived or not.
pub(crate) fn end(sql: &mut dyn Sql) -> Result<Option<(i64, [u8; 32])>, Fault> {
    let last = first(
        sql,
        "SELECT seq, hash FROM journals WHERE seq = (SELECT max(seq) FROM journals)",
        &[],
        |row| Ok((row.int(0)?, archive::hash(row.bytes(1)?)?)),
    )?;
    let archived = archive::archived(sql)?.filter(|archived| archived.last_journal > 0);
    Ok(last.or(archived.map(|archived| (archived.last_journal, archived.last_hash))))
}

/// Whether a journal is there with this hash, or was archived.
pub(crate) fn has(sql: &mut dyn Sql, seq: i64, hash: &[u8; 32]) -> Result<bool, Fault> {
    if archive::archived(sql)?.is_some_and(|archived| seq <= archived.last_journal) {
        return Ok(true);
    }
    let found = first(sql, "SELECT hash FROM journals WHERE seq = $1", &[seq.into()], |row| {
        Ok(row.bytes(0)? == hash)
    })?;
    Ok(found == Some(true))
}

/// The two questions for balances, and whose they are, in the order of their sets.
pub(crate) struct Balances<'a> {
    pub(crate) known: Vec<&'a LedgerAccount>,
    pub(crate) unknown: Vec<&'a LedgerAccount>,
    pub(crate) by_id: SetQuery<'a>,
    pub(crate) by_name: SetQuery<'a>,
}

const FIND: &str = "SELECT id, balance FROM ledger_accounts
     WHERE account_id = $1 AND environment = $2 AND currency = $3 AND purpose = $4 AND upstream = $5";

fn key_of(account: &LedgerAccount) -> [Value<'_>; 5] {
    let upstream = match &account.purpose {
        Purpose::Float(upstream) => upstream.as_str(),
        Purpose::Available
        | Purpose::Held
        | Purpose::Commission
        | Purpose::Fees
        | Purpose::CommissionExpense
        | Purpose::Funding
        | Purpose::Discrepancy => "",
    };
    [
        account.owner.0.into(),
        account.environment.code().into(),
        account.currency.code().into(),
        account.purpose.code().into(),
        upstream.into(),
    ]
}

/// A ledger account's number and balance.
pub(crate) fn find(
    sql: &mut dyn Sql,
    account: &LedgerAccount,
) -> Result<Option<(i64, i64)>, Fault> {
    first(sql, FIND, &key_of(account), |row| Ok((row.int(0)?, row.int(1)?)))
}

/// Makes a ledger account with nothing in it, or finds it.
pub(crate) fn open_ledger_account(
    sql: &mut dyn Sql,
    account: &LedgerAccount,
) -> Result<i64, Fault> {
    if let Some((id, _)) = find(sql, account)? {
        return Ok(id);
    }
    let last =
        first(sql, "SELECT coalesce(max(id), 0) FROM ledger_accounts", &[], |row| row.int(0))?;
    let id = last.unwrap_or(0) + 1;
    let [owner, environment, currency, purpose, upstream] = key_of(account);
    sql.execute(
        "INSERT INTO ledger_accounts (id, account_id, environment, currency, purpose, upstream, balance, floor)
         VALUES ($1, $2, $3, $4, $5, $6, 0, $7)",
        &[id.into(), owner, environment, currency, purpose, upstream, account.purpose.floor().into()],
    )?;
    Ok(id)
}

/// A wallet of an account: what is free to spend, what is held, what it earned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wallet {
    /// Where.
    pub environment: Environment,
    /// Free to spend.
    pub available: Money,
    /// Held for purchases.
    pub held: Money,
    /// Commission earned.
    pub commission: Money,
}

/// The wallets of an account.
pub(crate) fn wallets(sql: &mut dyn Sql, account: AccountId) -> Result<Vec<Wallet>, Fault> {
    let mut wallets: Vec<Wallet> = Vec::new();
    sql.query(
        "SELECT environment, currency, purpose, balance FROM ledger_accounts
         WHERE account_id = $1 AND purpose IN ('available', 'held', 'commission') ORDER BY environment DESC, currency, id",
        &[account.0.into()],
        &mut |row| {
            let environment = crate::read::environment(row.text(0)?)?;
            let currency = crate::read::currency(row.text(1)?)?;
            let money = Money::new(row.int(3)?, currency);
            let zero = Money::zero(currency);
            if wallets.last().is_none_or(|w| (w.environment, w.available.currency()) != (environment, currency)) {
                wallets.push(Wallet { environment, available: zero, held: zero, commission: zero });
            }
            if let Some(wallet) = wallets.last_mut() {
                match row.text(2)? {
                    "available" => wallet.available = money,
                    "held" => wallet.held = money,
                    _ => wallet.commission = money,
                }
            }
            Ok(())
        },
    )?;
    Ok(wallets)
}

/// What an account can spend; `None` without such a wallet.
pub(crate) fn available(
    sql: &mut dyn Sql,
    owner: AccountId,
    environment: Environment,
    currency: Currency,
) -> Result<Option<Money>, Fault> {
    let account = LedgerAccount { owner, environment, currency, purpose: Purpose::Available };
    Ok(find(sql, &account)?.map(|(_, minor)| Money::new(minor, currency)))
}
