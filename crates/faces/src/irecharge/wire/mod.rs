//! The words of the irecharge document: what is sent, what it asks for, what is told.
//!
//! `sent` reads fields, `ask` makes wishes of them, `tell` renders purchases, `forms` documents the
//! bodies. Invariant: no amount passes through a float, in either direction.

pub(super) mod ask;
pub(super) mod forms;
pub(super) mod sent;
pub(super) mod tell;
pub(super) mod webhook;
