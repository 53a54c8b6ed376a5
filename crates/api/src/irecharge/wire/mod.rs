//! The requests, responses and events of the irecharge document.
//!
//! `request` declares the fields of requests and parses them, `response` renders purchases, `event`
//! renders the bodies of webhooks, `status` has the words for how a purchase stands, `lists` the
//! requests and responses that we add. Invariant: no
//! amount passes through a float, in either direction.

pub(super) mod event;
pub(super) mod lists;
pub(super) mod request;
pub(super) mod response;
pub(super) mod status;
