//! Traffic outside of a client's requests: webhooks, pushes, callbacks of upstreams.
//!
//! The module names are used by the filters in `.config/nextest.toml`.

mod accounts;
mod callbacks;
mod push;
mod receivers;
pub mod webhook_receiver;
mod webhooks;
