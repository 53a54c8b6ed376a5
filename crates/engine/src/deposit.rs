//! Money in and out of wallets, booked by staff under a reference of their own: once.

use crate::Engine;
use domain::account::AccountId;
use domain::ledger::admission::Denial;
use domain::ledger::journal::{Journal, Reason};
use domain::purchase::{ReferenceKey, ReferenceScope, is_reference};
use domain::refusal::{FieldError, Refusal};
use domain::{Environment, Money};
use store::{Change, Done, Posting};

impl Engine {
    /// Books money paid in (`Deposit`) or out (`Withdraw`); answers what the wallet can spend
    /// then. Refuses a reference that was used, a wallet that is not there, and paying out more
    /// than there is.
    pub async fn fund(
        &self,
        reason: Reason,
        place: (AccountId, Environment),
        amount: Money,
        paper: BookingNote<'_>,
    ) -> Result<Money, Refusal> {
        let (account, environment) = place;
        let wrong = |field, says: &str| {
            Refusal::Invalid(vec![FieldError { field, message: says.to_owned() }])
        };
        if paper.by.trim().is_empty() {
            return Err(wrong("by", "Say who books it."));
        }
        if !is_reference(paper.reference) {
            return Err(wrong("reference", "A reference is 1 to 128 printable ASCII characters."));
        }
        let journal = Journal::funding(reason, account, environment, amount)
            .ok_or_else(|| wrong("amount", "The amount must be more than zero."))?;
        let reference = ReferenceKey {
            account,
            environment,
            scope: ReferenceScope::Staff,
            text: paper.reference.to_owned(),
        };
        let note = format!("{}: {}", paper.by, paper.note);
        let posting = Box::new(Posting { journal, reference, note, at: self.now() });
        match self
            .inner
            .store
            .write(Change::PostJournal(posting))
            .await
            .map_err(|fault| self.unavailable(&fault))?
        {
            Ok(Done::Posted { available_after }) => {
                Ok(Money::new(available_after, amount.currency()))
            }
            Ok(
                Done::Opened { .. }
                | Done::Written
                | Done::Calls(_)
                | Done::Leased(_)
                | Done::Pushes(_)
                | Done::Webhooks(_)
                | Done::Counted(_)
                | Done::People(_)
                | Done::Archive(_),
            ) => Ok(amount),
            Err(Denial::ReferenceUsed { .. }) => Err(Refusal::ReferenceKnown(None)),
            Err(Denial::InsufficientBalance { available }) => Err(Refusal::InsufficientBalance {
                available: Money::new(available, amount.currency()),
            }),
            Err(Denial::NoLedgerAccount(_)) => Err(Refusal::NoWallet),
            Err(Denial::TooLarge | Denial::VersionConflict { .. } | Denial::Closed) => {
                Err(wrong("amount", "The amount is too large."))
            }
        }
    }
}

/// What staff write on a booking.
#[derive(Clone, Copy, Debug)]
pub struct BookingNote<'a> {
    /// The bank's or the receipt's number.
    pub reference: &'a str,
    /// Who books.
    pub by: &'a str,
    /// Why.
    pub note: &'a str,
}
