//! Refusals: wrong fields, reported all at once, and what the store's denials mean to the caller.
//!
//! Not here: what is checked while a request is parsed (`api`).

use domain::{Currency, FieldError, Money, MoneyDenial, Refusal};

/// One wrong field, with a message for people.
pub(crate) fn field_error(field: &'static str, message: &str) -> FieldError {
    FieldError { field, message: message.to_owned() }
}

/// The refusal of a request with one wrong field.
pub(crate) fn invalid(field: &'static str, message: &str) -> Refusal {
    Refusal::Invalid(vec![field_error(field, message)])
}

/// An error unless the field is right.
pub(crate) fn unless(is_right: bool, field: &'static str, message: &str) -> Option<FieldError> {
    (!is_right).then(|| field_error(field, message))
}

/// An error if the field is blank.
pub(crate) fn blank(field: &'static str, value: &str, message: &str) -> Option<FieldError> {
    unless(!value.trim().is_empty(), field, message)
}

/// Refuses if there is any error.
pub(crate) fn refuse_if_any(errors: impl IntoIterator<Item = FieldError>) -> Result<(), Refusal> {
    let errors: Vec<FieldError> = errors.into_iter().collect();
    if errors.is_empty() { Ok(()) } else { Err(Refusal::Invalid(errors)) }
}

/// The refusal of what cannot be done now.
pub(crate) fn not_possible(because: impl Into<String>) -> Refusal {
    Refusal::NotPossible { because: because.into() }
}

/// The refusal of money that the ledger does not move.
pub(crate) fn denied(denial: &MoneyDenial, currency: Currency) -> Refusal {
    match denial {
        MoneyDenial::InsufficientBalance { available } => {
            Refusal::InsufficientBalance { available: Money::new(*available, currency) }
        }
        MoneyDenial::NoLedgerAccount(_) => Refusal::NoWallet,
        MoneyDenial::TooLarge => invalid("amount", "The amount is too large."),
    }
}

/// The refusal of what would change a purchase whose month is closed.
pub(crate) fn month_closed() -> Refusal {
    not_possible("Its month is closed and archived: nothing of it changes any more.")
}
