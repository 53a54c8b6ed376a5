//! The requests, responses and events of the irecharge document.
//!
//! `request` declares the fields of requests and parses them, `response` renders purchases, `event`
//! renders the bodies of webhooks. Invariant: no amount passes
//! through a float, in either direction.

pub(super) mod event;
pub(super) mod request;
pub(super) mod response;
