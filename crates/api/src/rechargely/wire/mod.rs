//! The words of the rechargely document: what is sent, what it asks for, what is told.
//!
//! `ask` reads bodies and queries, `tell` renders answers, `status` has the words for how a payment
//! stands, `ids` the names of things, `forms` documents the bodies.

pub(super) mod forms;
pub(super) mod ids;
pub(super) mod request;
pub(super) mod response;
pub(super) mod status;
