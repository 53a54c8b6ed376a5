//! How every dialect reads and writes values: no field's name and no rule of one is here.
//!
//! `sent` reads fields, `amount` reads and writes money, `told` writes moments and bodies.

pub(crate) mod amount;
pub(crate) mod fields;
pub(crate) mod json;
