//! How a dialect turns the engine's refusals into errors of its own.
//!
//! Not here: a status or a text. Invariant: a use case whose refusals have not all a text does not
//! compile.

/// The error that each single refusal becomes: its status, its texts, and what more it has.
macro_rules! error_texts {
    ($error:ident: $(
        $name:ident $({ $($field:tt)+ })? => $status:ident, $($text:expr),+
        $(=> $with:ident($value:expr))?;
    )+) => {$(
        impl From<$name> for $error {
            fn from(refusal: $name) -> $error {
                let code = refusal.code();
                let $name $({ $($field)+ })? = refusal;
                $error::new(code, StatusCode::$status, $($text),+)$(.$with($value))?
            }
        }
    )+};
}

/// The use cases that a dialect calls: their refusals become its errors.
macro_rules! use_case_errors {
    ($error:ident: $($refused:ident),+) => {$(
        impl From<$refused> for $error {
            fn from(refused: $refused) -> $error {
                refused.widen()
            }
        }
    )+};
}

pub(crate) use {error_texts, use_case_errors};

/// An error for each refusal of a use case, as an example for documents.
pub(crate) fn examples<R: domain::Refused, E: From<R>>() -> Vec<E> {
    R::examples().into_iter().map(E::from).collect()
}
