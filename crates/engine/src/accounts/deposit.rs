//! Money in and out of wallets, booked by staff.
//!
//! Invariant: each booking has a reference of staff's own, and a reference is booked once.

use crate::permits::Changed;
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

/// What staff write on a booking.
#[derive(Clone, Copy, Debug)]
pub struct BookingNote<'a> {
    /// The number of the bank's or the cash receipt.
    pub reference: &'a str,
    /// The reason, in their words.
    pub note: &'a str,
}

impl Engine {
    /// Books money paid in (`Deposit`) or out (`Withdraw`); answers what the wallet can spend after
    /// it. Refuses a reference that was used, a wallet that does not exist, and paying out more
    /// than is available.
    pub async fn fund(
        &self,
        permit: Permit<act::BookMoney>,
        reason: Reason,
        account: AccountId,
        environment: Environment,
        amount: Money,
        booking: BookingNote<'_>,
    ) -> Result<Money, StaffRefused> {
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
