//! What leaves the server besides orders to upstreams: mails, pushes and webhooks, as configured.

pub(crate) mod connectors;
pub(crate) mod mail;
pub(crate) mod push;
pub(crate) mod webhook_sender;
