//! The requests and responses of the rechargely document.
//!
//! `request` declares and parses bodies and queries, `response` renders answers, `status` has the
//! texts of a payment's states, `ids` the public ids.

pub(super) mod ids;
pub(super) mod request;
pub(super) mod response;
pub(super) mod status;
