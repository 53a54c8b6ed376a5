//! Wrong fields: how a use case reports them, all at once.
//!
//! Not here: what is checked while a request is parsed (`api`).

use domain::{FieldError, Refusal};

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
