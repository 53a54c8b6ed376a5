//! An account is told when what a wallet can spend falls below an amount that was set.
//!
//! Invariant: it is told once for each crossing, by whichever node notes it first; the event is
//! written in the commit that notes it. It is told again once the balance was back at the amount.

use crate::access::Changed;
use crate::refusals::{ensure, invalid, not_possible};
use crate::webhooks::AccountEvent;
use crate::{Caller, Engine, Permit, limits};
use domain::refusal::{PurchaseUnknown, StaffRefused, StoreRefused};
use domain::{AccountId, Money, Permitted, act};
use serde_json::json;
use store::{BalanceAlert, CrossedBalance, Fault, NoteCrossing, SetBalanceAlert};

impl Engine {
    /// Sets below which amount an account is told that a wallet's balance is low; zero: never.
    /// Refuses an amount below zero and a wallet that does not exist.
    pub async fn set_balance_alert(
        &self,
        permit: Permit<act::ManageAccounts>,
        alert: BalanceAlert,
    ) -> Result<(), StaffRefused> {
        self.set_alert(&permit, alert).await
    }

    /// Sets below which amount the caller is told that their wallet's balance is low; zero: never.
    pub async fn set_own_balance_alert(
        &self,
        permit: Permit<act::RequestMoney>,
        caller: &Caller,
        below: Money,
    ) -> Result<(), StaffRefused> {
        let Caller { account, environment, .. } = *caller;
        self.set_alert(&permit, BalanceAlert { account, environment, below }).await
    }

    async fn set_alert<A: Permitted>(
        &self,
        permit: &Permit<A>,
        alert: BalanceAlert,
    ) -> Result<(), StaffRefused> {
        let BalanceAlert { account, environment, below } = alert;
        self.account(account)?.ok_or(PurchaseUnknown)?;
        ensure(below.minor() >= 0, invalid("below", "The amount must not be below zero."))?;
        let currency = below.currency();
        let wallet =
            self.or_unavailable(self.inner.store.available(account, environment, currency))?;
        ensure(wallet.is_some(), not_possible("The account has no wallet in this currency."))?;
        let before = self.balance_alerts(account)?.into_iter();
        let mut before = before.filter(|before| before.environment == environment);
        let before = before.find(|before| before.below.currency() == currency);
        let changed = Changed::new(
            format_args!("account {account}"),
            json!({ "alert_below": before.map(|before| before.below.to_string()) }),
            json!({
                "environment": environment.code(),
                "alert_below": below.is_positive().then(|| below.to_string()),
            }),
        );
        let set = match below.is_positive() {
            true => SetBalanceAlert::Below(alert),
            false => SetBalanceAlert::Never(account, environment, currency),
        };
        Ok(self.or_unavailable(self.commit_act(permit, set, changed).await)?)
    }

    /// Below which amounts an account is told that a wallet's balance is low.
    pub fn balance_alerts(&self, account: AccountId) -> Result<Vec<BalanceAlert>, StoreRefused> {
        self.or_unavailable(self.inner.store.balance_alerts(account))
    }

    /// The same of one environment, for the pages.
    pub fn own_balance_alerts(&self, caller: &Caller) -> Result<Vec<Money>, StoreRefused> {
        let alerts = self.balance_alerts(caller.account)?.into_iter();
        let here = |alert: &BalanceAlert| alert.environment == caller.environment;
        Ok(alerts.filter(here).map(|alert| alert.below).collect())
    }

    /// Notes each balance that has crossed its alert, and tells its account.
    pub(crate) async fn report_low_balances(&self) -> Result<(), Fault> {
        let permit = self.work();
        for crossed in self.inner.store.crossed_balances(limits::CROSSINGS_AT_ONCE)? {
            let CrossedBalance { alert: BalanceAlert { account, environment, below }, available } =
                crossed;
            let webhooks = match crossed.is_low() {
                true => {
                    let event = AccountEvent::LowBalance { available, below };
                    self.account_webhooks(account, environment, event).await?
                }
                false => Vec::new(),
            };
            let is_reported = !webhooks.is_empty();
            if self.commit(&permit, NoteCrossing { crossed, webhooks }).await? && is_reported {
                self.inner.webhooks.due.notify_one();
            }
        }
        Ok(())
    }
}
