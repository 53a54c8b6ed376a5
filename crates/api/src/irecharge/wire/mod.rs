//! The words of the irecharge document: what is sent, what it asks for, what is told.
//!
//! `ask` makes wishes of the fields that were sent, `tell` renders purchases, `forms` documents the
//! bodies, `event` renders what webhooks tell. Invariant: no amount passes through a float, in either
//! direction.

pub(super) mod event;
pub(super) mod forms;
pub(super) mod request;
pub(super) mod response;
