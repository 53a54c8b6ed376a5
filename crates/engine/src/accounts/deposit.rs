//! Money in and out of wallets, booked by staff.
//!
//! A deposit is reported to the account in the same commit. Invariant: each booking has the
//! reference of a payment, and a payment is booked once in the whole house, for each rail and
//! environment.

use crate::access::Changed;
use crate::refusals::{invalid, not_booked};
use crate::webhooks::AccountEvent;
use crate::{Engine, Permit};
use domain::refusal::{StaffRefused, StoreRefused};
use domain::{AccountId, Environment, Journal, Money, PaymentKey, Rail, Reason, Timestamp, act};
use serde_json::json;
use store::{Payment, Posting, Reported};

/// A booking of money by staff.
#[derive(Clone, Copy, Debug)]
pub struct Booking<'a> {
    /// Paid in (`Deposit`) or out (`Withdraw`).
    pub reason: Reason,
    /// The account.
    pub account: AccountId,
    /// The environment of the wallet.
    pub environment: Environment,
    /// How much, in the wallet's currency; more than zero.
    pub amount: Money,
    /// How the money came or went: `manual`, `bkash`, `bank`.
    pub rail: &'a str,
    /// The number that the rail gave: a TrxID, that of a bank or of a receipt. Case and blanks do
    /// not count.
    pub reference: &'a str,
    /// The reason, in their words.
    pub note: &'a str,
}

impl Engine {
    /// Books money paid in or out; answers what the wallet can spend after it. Refuses a payment
    /// that is booked, for this account or another (`PaymentKnown`), a wallet that does not exist,
    /// and paying out more than is available.
    pub async fn fund(
        &self,
        permit: Permit<act::BookMoney>,
        booking: Booking<'_>,
    ) -> Result<Money, StaffRefused> {
        let Booking { reason, account, environment, amount, .. } = booking;
        let by = permit.by("Say who books it.")?;
        let rail = Rail::parse(booking.rail).ok_or_else(|| {
            invalid("rail", "A rail is 1 to 32 letters, digits and hyphens, such as bkash.")
        })?;
        let payment = PaymentKey::new(environment, rail, booking.reference).ok_or_else(|| {
            invalid("reference", "A reference is 1 to 128 printable ASCII characters.")
        })?;
        let journal = Journal::funding(reason, account, environment, amount)
            .ok_or_else(|| invalid("amount", "The amount must be more than zero."))?;
        let note = format!("{by}: {}", booking.note);
        let changed = Changed::made(
            format_args!("wallet of account {account}"),
            json!({
                "reason": reason.code(),
                "environment": environment.code(),
                "amount": amount.to_string(),
                "rail": payment.rail().as_str(),
                "reference": payment.reference(),
                "note": booking.note,
            }),
        );
        let event = AccountEvent::DepositPaid {
            amount,
            rail: payment.rail().as_str(),
            reference: payment.reference(),
        };
        let webhooks = match reason == Reason::Deposit {
            true => self.account_webhooks(account, environment, event).await,
            false => Ok(Vec::new()),
        };
        let webhooks = self.or_unavailable(webhooks)?;
        let is_reported = !webhooks.is_empty();
        let posting = Posting { journal, account, payment, note, at: self.now() };
        let posting = Reported { commit: posting, webhooks };
        let posting = self.recorded(&permit, posting, [changed], |_| true);
        let written = self.write(&permit, posting, None).await;
        let booked = self.or_unavailable(written)?;
        let available_after = booked.map_err(|why| not_booked(why, amount.currency()))?;
        if is_reported {
            self.inner.webhooks.due.notify_one();
        }
        Ok(Money::new(available_after, amount.currency()))
    }

    /// The payments into and out of an account's wallets that were booked before a moment, latest
    /// first, at most `limit`.
    pub fn payments_of(
        &self,
        account: AccountId,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<Payment>, StoreRefused> {
        self.or_unavailable(self.inner.store.payments_of(account, before, limit))
    }
}
