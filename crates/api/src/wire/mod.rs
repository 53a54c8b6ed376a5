//! How every dialect parses and renders values: no name of a field and no rule of one is here.
//!
//! `form` is how fields and requests are declared, `fields` reads the fields of a request, `amount`
//! parses and renders money, `json` renders times and bodies.

pub(crate) mod amount;
pub(crate) mod fields;
pub(crate) mod form;
pub(crate) mod json;
