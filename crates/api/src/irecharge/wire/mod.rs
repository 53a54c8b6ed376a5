//! The requests, responses and events of the irecharge document.
//!
//! `request` parses fields into purchase requests, `response` renders purchases, `forms` documents
//! the bodies of requests, `event` renders the bodies of webhooks. Invariant: no amount passes
//! through a float, in either direction.

pub(super) mod event;
pub(super) mod forms;
pub(super) mod request;
pub(super) mod response;
