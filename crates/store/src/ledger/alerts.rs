//! When an account is told that a wallet's balance is low, and which balances have crossed that.
//!
//! Invariant: a crossing is told once: who notes it first, in the commit that keeps its webhooks.

use crate::backend::{Sql, all, columns, first, from_row, values};
use crate::commit::unrefused;
use crate::fault::Result;
use crate::webhooks::enqueue;
use domain::{AccountId, Currency, Environment, Money, PendingWebhook, PurchaseKey};
use std::sync::Arc;

/// An account is told when what a wallet can spend falls below an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BalanceAlert {
    /// Whose wallet.
    pub account: AccountId,
    /// The wallet's environment.
    pub environment: Environment,
    /// The amount, in the wallet's currency; more than zero.
    pub below: Money,
}

columns!(BalanceAlert: account, environment, below);

/// Sets or removes the alert of a wallet. A new amount tells of a crossing of its own.
#[derive(Clone, Copy, Debug)]
pub enum SetBalanceAlert {
    /// From now on.
    Below(BalanceAlert),
    /// Nobody is told any more.
    Never(AccountId, Environment, Currency),
}

unrefused!(SetBalanceAlert, (), |change, tx| match change {
    SetBalanceAlert::Below(BalanceAlert { account, environment, below }) => tx.sql.run(
        "INSERT INTO balance_alerts (account_id, environment, currency, below, is_low)
         VALUES ($1, $2, $3, $4, 0)
         ON CONFLICT (account_id, environment, currency) DO UPDATE SET below = excluded.below",
        &values![*account, *environment, below.currency(), below.minor()],
    ),
    SetBalanceAlert::Never(account, environment, currency) => tx.sql.run(
        "DELETE FROM balance_alerts WHERE account_id = $1 AND environment = $2 AND currency = $3",
        &values![*account, *environment, *currency],
    ),
});

/// The alerts of an account.
pub(crate) fn balance_alerts(sql: &mut dyn Sql, account: AccountId) -> Result<Vec<BalanceAlert>> {
    all(
        sql,
        "SELECT account_id, environment, currency, below FROM balance_alerts WHERE account_id = $1
         ORDER BY environment, currency",
        &values![account],
        from_row,
    )
}

/// A balance that is on the other side of its alert than it was when that was last noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrossedBalance {
    /// The alert.
    pub alert: BalanceAlert,
    /// What the wallet can spend.
    pub available: Money,
}

columns!(CrossedBalance: alert, available);

impl CrossedBalance {
    /// Whether it has fallen below the amount; otherwise it has come back.
    pub const fn is_low(&self) -> bool {
        self.available.minor() < self.alert.below.minor()
    }
}

/// The balances of all accounts that have crossed their alert, at most `limit`.
pub(crate) fn crossed_balances(sql: &mut dyn Sql, limit: u32) -> Result<Vec<CrossedBalance>> {
    all(
        sql,
        "SELECT a.account_id, a.environment, a.currency, a.below, a.currency, l.balance
         FROM balance_alerts a JOIN ledger_accounts l
             ON l.account_id = a.account_id AND l.environment = a.environment
             AND l.currency = a.currency AND l.purpose = 'available'
         WHERE (l.balance < a.below) <> (a.is_low = 1) ORDER BY l.id LIMIT $1",
        &values![limit],
        from_row,
    )
}

/// Notes that a balance has crossed its alert, and queues the webhooks that say so. It answers
/// whether that is news; what another node has noted, or is of an alert that was changed, queues
/// nothing.
#[derive(Clone, Debug)]
pub struct NoteCrossing {
    /// What was read.
    pub crossed: CrossedBalance,
    /// What tells the account.
    pub webhooks: Vec<(PurchaseKey, Arc<PendingWebhook>)>,
}

unrefused!(NoteCrossing, bool, |change, tx| {
    let BalanceAlert { account, environment, below } = change.crossed.alert;
    let (currency, is_low) = (below.currency(), change.crossed.is_low());
    let noted = first(
        tx.sql,
        "SELECT below, is_low FROM balance_alerts
         WHERE account_id = $1 AND environment = $2 AND currency = $3",
        &values![account, environment, currency],
        from_row,
    )?;
    if noted != Some((below.minor(), !is_low)) {
        return Ok(false);
    }
    tx.sql.run(
        "UPDATE balance_alerts SET is_low = $1
         WHERE account_id = $2 AND environment = $3 AND currency = $4",
        &values![is_low, account, environment, currency],
    )?;
    for (key, webhook) in &change.webhooks {
        enqueue(tx.sql, tx.run, key, webhook)?;
    }
    Ok(true)
});
