//! Refusals: wrong fields, reported all at once, and what the store's denials mean to the caller.
//!
//! Not here: what is checked while a request is parsed (`api`).

use domain::refusal::{
    InsufficientBalance, Invalid, MoneyRefused, NoWallet, NotPossible, PaymentKnown, StaffRefused,
};
use domain::{Currency, FieldError, Money, MoneyDenial, PostingDenied};

/// One wrong field, with a message for people.
pub(crate) fn field_error(field: &'static str, message: &str) -> FieldError {
    FieldError { field, message: message.to_owned() }
}

/// The refusal of a request with one wrong field.
pub(crate) fn invalid(field: &'static str, message: &str) -> Invalid {
    Invalid { errors: vec![field_error(field, message)] }
}

/// An error unless the field is right.
pub(crate) fn unless(is_right: bool, field: &'static str, message: &str) -> Option<FieldError> {
    (!is_right).then(|| field_error(field, message))
}

/// An error if the field is blank.
pub(crate) fn blank(field: &'static str, value: &str, message: &str) -> Option<FieldError> {
    unless(!value.trim().is_empty(), field, message)
}

/// Refuses unless it is so.
pub(crate) fn ensure<R>(is_so: bool, refusal: R) -> Result<(), R> {
    if is_so { Ok(()) } else { Err(refusal) }
}

/// Refuses if there is any error.
pub(crate) fn refuse_if_any(errors: impl IntoIterator<Item = FieldError>) -> Result<(), Invalid> {
    let errors: Vec<FieldError> = errors.into_iter().collect();
    if errors.is_empty() { Ok(()) } else { Err(Invalid { errors }) }
}

/// The refusal of what cannot be done now.
pub(crate) fn not_possible(because: impl Into<String>) -> NotPossible {
    NotPossible { because: because.into() }
}

/// The refusal of money that the ledger does not move.
pub(crate) fn denied(denial: &MoneyDenial, currency: Currency) -> MoneyRefused {
    match denial {
        MoneyDenial::InsufficientBalance { available } => {
            InsufficientBalance { available: Money::new(*available, currency) }.into()
        }
        MoneyDenial::NoLedgerAccount(_) => NoWallet.into(),
        MoneyDenial::TooLarge => too_large().into(),
    }
}

/// The refusal of a payment that is not booked.
pub(crate) fn not_booked(denial: PostingDenied, currency: Currency) -> StaffRefused {
    match denial {
        PostingDenied::Known(by) => PaymentKnown { account: by.account, at: by.at }.into(),
        PostingDenied::Money(why) => denied(&why, currency).into(),
    }
}

/// The refusal of a sum that is beyond every balance.
pub(crate) fn too_large() -> Invalid {
    invalid("amount", "The amount is too large.")
}

/// The refusal of what would change a purchase whose month is closed.
pub(crate) fn month_closed() -> NotPossible {
    not_possible("Its month is closed and archived: nothing of it changes any more.")
}
