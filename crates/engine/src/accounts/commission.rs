//! Commission is paid out to the wallet that earned it: by hand, or by the rule of its account.
//!
//! Invariant: an account's commission in one environment and currency is paid out once a day (UTC)
//! at most, by whichever node or person is first: the day is the payment's reference.

use crate::access::Changed;
use crate::refusals::{denied, ensure, invalid, not_possible};
use crate::{Caller, Engine, Permit};
use domain::month::day;
use domain::refusal::{MoneyRefused, NoWallet, PurchaseUnknown, StaffRefused, StoreRefused};
use domain::{
    AccountId, Currency, Environment, Journal, Money, PaymentKey, Permitted, PostingDenied,
    Timestamp, act,
};
use serde_json::json;
use store::{CommissionRule, DueCommission, Fault, Posting, SetCommissionRule};

/// What became of a pay-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommissionPaid {
    /// So much was paid out, and so much can be spent after it.
    Paid {
        /// The commission.
        amount: Money,
        /// What the wallet can spend.
        available: Money,
    },
    /// It was paid out earlier on this day; nothing was paid again.
    PaidBefore(Timestamp),
    /// There is nothing to pay out.
    Nothing,
}

impl Engine {
    /// Pays an account's whole commission out to its wallet, unless that was done today. Refuses an
    /// account without such a wallet, and a blank name.
    pub async fn pay_commission(
        &self,
        permit: Permit<act::BookMoney>,
        account: AccountId,
        environment: Environment,
        currency: Currency,
    ) -> Result<CommissionPaid, StaffRefused> {
        let by = permit.by("Say who pays it out.")?;
        self.pay_out(&permit, account, environment, currency, by).await
    }

    /// Pays the caller's whole commission in a currency out to its wallet, unless that was done
    /// today. Refuses an account without such a wallet.
    pub async fn pay_own_commission(
        &self,
        permit: Permit<act::RequestMoney>,
        caller: &Caller,
        currency: Currency,
    ) -> Result<CommissionPaid, StaffRefused> {
        let (account, environment) = (caller.account, caller.environment);
        self.pay_out(&permit, account, environment, currency, &permit.maker()).await
    }

    /// `by`: who asks for it, for the journal's note.
    async fn pay_out<A: Permitted>(
        &self,
        permit: &Permit<A>,
        account: AccountId,
        environment: Environment,
        currency: Currency,
        by: &str,
    ) -> Result<CommissionPaid, StaffRefused> {
        let wallets = self.or_unavailable(self.inner.store.wallets(account))?;
        let is_asked = |wallet: &&store::Wallet| {
            wallet.environment == environment && wallet.available.currency() == currency
        };
        let amount = wallets.iter().find(is_asked).ok_or(NoWallet)?.commission;
        let Some(posting) =
            self.commission_posting(&DueCommission { account, environment, amount }, by)
        else {
            return Ok(CommissionPaid::Nothing);
        };
        let changed = Changed::made(
            format_args!("wallet of account {account}"),
            json!({
                "reason": posting.journal.reason().code(),
                "environment": environment.code(),
                "amount": amount.to_string(),
                "reference": posting.payment.reference(),
            }),
        );
        let posting = self.recorded(permit, posting, [changed], |_| true);
        let written = self.or_unavailable(self.write(permit, posting, None).await)?;
        Ok(paid(amount, written)?)
    }

    /// Sets how much commission is paid out by itself, once a day; zero: none.
    pub async fn set_commission_rule(
        &self,
        permit: Permit<act::ManageAccounts>,
        account: AccountId,
        least: Money,
    ) -> Result<(), StaffRefused> {
        self.set_rule(&permit, account, least).await
    }

    /// Sets how much of the caller's commission is paid out by itself, once a day; zero: none.
    pub async fn set_own_commission_rule(
        &self,
        permit: Permit<act::RequestMoney>,
        caller: &Caller,
        least: Money,
    ) -> Result<(), StaffRefused> {
        self.set_rule(&permit, caller.account, least).await
    }

    async fn set_rule<A: Permitted>(
        &self,
        permit: &Permit<A>,
        account: AccountId,
        least: Money,
    ) -> Result<(), StaffRefused> {
        self.account(account)?.ok_or(PurchaseUnknown)?;
        ensure(least.minor() >= 0, invalid("least", "The amount must not be below zero."))?;
        let currency = least.currency();
        let has_wallet = self.wallet_currencies(account)?.contains(&currency);
        ensure(has_wallet, not_possible("The account has no wallet in this currency."))?;
        let before = self.commission_rules(account)?.into_iter();
        let before = before.map(|rule| rule.least).find(|l| l.currency() == currency);
        let shown =
            |from: Option<Money>| json!({ "commission_paid_from": from.map(|l| l.to_string()) });
        let (was, is) = (shown(before), shown(Some(least).filter(|l| l.is_positive())));
        let changed = Changed::new(format_args!("account {account}"), was, is);
        let set = match least.is_positive() {
            true => SetCommissionRule::Pay(CommissionRule { account, least }),
            false => SetCommissionRule::Never(account, least),
        };
        Ok(self.or_unavailable(self.commit_act(permit, set, changed).await)?)
    }

    /// The rules by which an account's commission is paid out, a currency each.
    pub fn commission_rules(
        &self,
        account: AccountId,
    ) -> Result<Vec<CommissionRule>, StoreRefused> {
        self.or_unavailable(self.inner.store.commission_rules(account))
    }

    /// Pays out what is due by the rules. What cannot be paid now is due again the next time.
    pub(crate) async fn pay_due_commission(&self) -> Result<(), Fault> {
        let permit = self.work();
        for due in self.inner.store.due_commission(&day(self.now()))? {
            let Some(posting) = self.commission_posting(&due, "by rule") else { continue };
            // Another node was first, or the commission has become less: the next time decides.
            let written = self.write(&permit, posting, None).await?;
            if let Err(why) = paid(due.amount, written) {
                tracing::info!(account = %due.account, ?why, "a commission is not paid out yet");
            }
        }
        Ok(())
    }

    fn commission_posting(&self, due: &DueCommission, by: &str) -> Option<Posting> {
        let DueCommission { account, environment, amount } = *due;
        let journal = Journal::commission(account, environment, amount)?;
        let at = self.now();
        let payment = PaymentKey::commission(environment, account, amount.currency(), &day(at));
        Some(Posting { journal, account, payment, note: by.to_owned(), at })
    }
}

fn paid(
    amount: Money,
    written: Result<i64, PostingDenied>,
) -> Result<CommissionPaid, MoneyRefused> {
    let currency = amount.currency();
    match written {
        Ok(available) => {
            Ok(CommissionPaid::Paid { amount, available: Money::new(available, currency) })
        }
        Err(PostingDenied::Known(owner)) => Ok(CommissionPaid::PaidBefore(owner.at)),
        Err(PostingDenied::Money(why)) => Err(denied(&why, currency)),
    }
}
