//! Money in and out of wallets, booked by staff.
//!
//! Invariant: each booking has a reference of staff's own, and a reference is booked once.

use crate::access::Changed;
use crate::refusals::{denied, invalid};
use crate::{Engine, Permit};
use domain::purchase::is_reference;
use domain::refusal::{ReferenceKnown, StaffRefused};
use domain::{
    AccountId, Environment, Journal, Money, PostingDenied, Reason, ReferenceKey, ReferenceScope,
    act,
};
use serde_json::json;
use store::Posting;

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
    /// The number of the bank's or the cash receipt.
    pub reference: &'a str,
    /// The reason, in their words.
    pub note: &'a str,
}

impl Engine {
    /// Books money paid in or out; answers what the wallet can spend after it. Refuses a reference
    /// that was used, a wallet that does not exist, and paying out more than is available.
    pub async fn fund(
        &self,
        permit: Permit<act::BookMoney>,
        booking: Booking<'_>,
    ) -> Result<Money, StaffRefused> {
        let Booking { reason, account, environment, amount, .. } = booking;
        let by = permit.by("Say who books it.")?;
        if !is_reference(booking.reference) {
            let message = "A reference is 1 to 128 printable ASCII characters.";
            return Err(invalid("reference", message).into());
        }
        let journal = Journal::funding(reason, account, environment, amount)
            .ok_or_else(|| invalid("amount", "The amount must be more than zero."))?;
        let (scope, text) = (ReferenceScope::Staff, booking.reference.to_owned());
        let reference = ReferenceKey { account, environment, scope, text };
        let note = format!("{by}: {}", booking.note);
        let changed = Changed::new(
            format_args!("wallet of account {account}"),
            json!(null),
            json!({
                "reason": reason.code(),
                "environment": environment.code(),
                "amount": amount.to_string(),
                "reference": booking.reference,
                "note": booking.note,
            }),
        );
        let posting = Posting { journal, reference, note, at: self.now() };
        let posting = self.recorded(&permit, posting, [changed], |_| true);
        let written = self.write(&permit, posting, None).await;
        let available_after = self.or_unavailable(written)?.map_err(|why| match why {
            PostingDenied::ReferenceUsed(_) => StaffRefused::from(ReferenceKnown { first: None }),
            PostingDenied::Money(why) => denied(&why, amount.currency()).into(),
        })?;
        Ok(Money::new(available_after, amount.currency()))
    }
}
