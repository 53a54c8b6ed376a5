//! Ledger accounts, journals and entries: rows in, rows out.
//!
//! `cache` has what the writer keeps between batches and how it appends; `chain` has the hash over
//! journals; `statement` has what customers read. Invariant: journals and entries are only ever
//! inserted.

mod alerts;
mod cache;
mod chain;
mod commission;
pub(crate) mod lists;
pub(crate) mod posting;
pub(crate) mod statement;

pub use alerts::{BalanceAlert, CrossedBalance, NoteCrossing, SetBalanceAlert};
pub(crate) use alerts::{balance_alerts, crossed_balances};
pub(crate) use cache::{BalanceQueries, LedgerCache, LedgerSavepoint};
pub(crate) use chain::{FIRST_MONTH, GENESIS, JournalHead, Line, hash, month_of};
pub use commission::{CommissionRule, DueCommission, SetCommissionRule};
pub(crate) use commission::{commission_rules, due_commission};
pub use lists::{AccountList, FillList};
pub use posting::{Payment, Posting};
pub(crate) use posting::{owner_of, payment_owner, payments_of, payments_query};
pub(crate) use statement::statement;
pub use statement::{Balance, Page, StatementLine, StatementOf};

use crate::archive;
use crate::backend::{Sql, Value, first, from_row, number, values};
use crate::fault::Result;
use crate::read;
use domain::{AccountId, Currency, Environment, LedgerAccount, Money, Purpose};

/// A wallet of an account: three ledger accounts in one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wallet {
    /// The environment that it belongs to.
    pub environment: Environment,
    /// Free to spend.
    pub available: Money,
    /// Held for purchases.
    pub held: Money,
    /// Commission earned.
    pub commission: Money,
}

/// The last journal and its hash, archived or not.
pub(crate) fn end(sql: &mut dyn Sql) -> Result<Option<(i64, [u8; 32])>> {
    let last = first(
        sql,
        "SELECT seq, hash FROM journals WHERE seq = (SELECT max(seq) FROM journals)",
        &[],
        from_row,
    )?;
    let archived = archive::archived(sql)?.filter(|archived| archived.last_journal > 0);
    Ok(last.or(archived.map(|archived| (archived.last_journal, archived.last_hash))))
}

/// Whether the ledger has a journal with this number and hash, or has archived that number.
pub(crate) fn has(sql: &mut dyn Sql, seq: i64, hash: &[u8; 32]) -> Result<bool> {
    if archive::archived(sql)?.is_some_and(|archived| seq <= archived.last_journal) {
        return Ok(true);
    }
    let found = first(sql, "SELECT hash FROM journals WHERE seq = $1", &values![seq], |row| {
        Ok(row.bytes(0)? == hash)
    })?;
    Ok(found == Some(true))
}

/// Opens a ledger account with a balance of zero, or finds it; answers its number.
pub(crate) fn open_ledger_account(sql: &mut dyn Sql, account: &LedgerAccount) -> Result<i64> {
    if let Some((id, _)) = find(sql, account)? {
        return Ok(id);
    }
    let id = number(sql, "SELECT coalesce(max(id), 0) FROM ledger_accounts", &[])? + 1;
    let [owner, environment, currency, purpose, upstream] = key_of(account);
    let floor = account.purpose.floor();
    sql.execute(
        "INSERT INTO ledger_accounts (id, account_id, environment, currency, purpose, upstream,
             balance, floor) VALUES ($1, $2, $3, $4, $5, $6, 0, $7)",
        &values![id, owner, environment, currency, purpose, upstream, floor],
    )?;
    Ok(id)
}

/// The wallets of an account.
pub(crate) fn wallets(sql: &mut dyn Sql, account: AccountId) -> Result<Vec<Wallet>> {
    let mut wallets: Vec<Wallet> = Vec::new();
    sql.query(
        "SELECT environment, currency, purpose, balance FROM ledger_accounts
         WHERE account_id = $1 AND purpose IN ('available', 'held', 'commission')
         ORDER BY environment DESC, currency, id",
        &values![account],
        &mut |row| {
            let environment = read::environment(row.text(0)?)?;
            let currency = read::currency(row.text(1)?)?;
            let money = Money::new(row.int(3)?, currency);
            let zero = Money::zero(currency);
            let is_same =
                |w: &Wallet| w.environment == environment && w.available.currency() == currency;
            if !wallets.last().is_some_and(is_same) {
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
) -> Result<Option<Money>> {
    let account = LedgerAccount { owner, environment, currency, purpose: Purpose::Available };
    Ok(find(sql, &account)?.map(|(_, minor)| Money::new(minor, currency)))
}

/// A ledger account's number and balance.
const FIND: &str = "SELECT id, balance FROM ledger_accounts
    WHERE account_id = $1 AND environment = $2 AND currency = $3 AND purpose = $4
        AND upstream = $5";

fn find(sql: &mut dyn Sql, account: &LedgerAccount) -> Result<Option<(i64, i64)>> {
    first(sql, FIND, &key_of(account), from_row)
}

/// The values that name a ledger account.
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
    let LedgerAccount { owner, environment, currency, purpose } = account;
    values![*owner, *environment, *currency, purpose.code(), upstream]
}
