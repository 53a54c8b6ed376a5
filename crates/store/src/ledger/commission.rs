//! When commission is paid out by itself, and whose is due.
//!
//! Not here: paying it out, which is a payment like others (`posting`).

use crate::backend::{Sql, all, columns, from_row, values};
use crate::commit::unrefused;
use crate::fault::Result;
use domain::{AccountId, Environment, Money};

/// An account's commission in one currency is paid out once a day, if so much is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommissionRule {
    /// Whose commission.
    pub account: AccountId,
    /// The least that is paid out, in its currency; more than zero.
    pub least: Money,
}

columns!(CommissionRule: account, least);

/// Sets the rule of an account and a currency, or removes it.
#[derive(Clone, Copy, Debug)]
pub enum SetCommissionRule {
    /// From now on.
    Pay(CommissionRule),
    /// Never by itself: the account, and zero in the currency.
    Never(AccountId, Money),
}

unrefused!(SetCommissionRule, (), |change, tx| match change {
    SetCommissionRule::Pay(CommissionRule { account, least }) => tx.sql.run(
        "INSERT INTO commission_rules (account_id, currency, least) VALUES ($1, $2, $3)
         ON CONFLICT (account_id, currency) DO UPDATE SET least = excluded.least",
        &values![*account, least.currency(), least.minor()],
    ),
    SetCommissionRule::Never(account, zero) => tx.sql.run(
        "DELETE FROM commission_rules WHERE account_id = $1 AND currency = $2",
        &values![*account, zero.currency()],
    ),
});

/// Commission that is to be paid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueCommission {
    /// Whose.
    pub account: AccountId,
    /// Where it was earned.
    pub environment: Environment,
    /// All that is there.
    pub amount: Money,
}

columns!(DueCommission: account, environment, amount);

/// The rules of an account.
pub(crate) fn commission_rules(
    sql: &mut dyn Sql,
    account: AccountId,
) -> Result<Vec<CommissionRule>> {
    all(
        sql,
        "SELECT account_id, currency, least FROM commission_rules
         WHERE account_id = $1 ORDER BY currency",
        &values![account],
        from_row,
    )
}

/// What is due by the rules, and was not paid out on this day (`2026-11-30`).
pub(crate) fn due_commission(sql: &mut dyn Sql, day: &str) -> Result<Vec<DueCommission>> {
    all(
        sql,
        "SELECT l.account_id, l.environment, l.currency, l.balance
         FROM commission_rules r JOIN ledger_accounts l
             ON l.account_id = r.account_id AND l.currency = r.currency
         WHERE l.purpose = 'commission' AND l.balance >= r.least AND NOT EXISTS (
             SELECT 1 FROM payments p WHERE p.environment = l.environment AND p.rail = 'commission'
                 AND p.reference = l.account_id || '-' || l.currency || '-' || $1)
         ORDER BY l.id",
        &values![day],
        from_row,
    )
}
