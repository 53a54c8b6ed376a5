//! Connectors: everything that talks to a service that is not ours.
//!
//! Here: the upstreams (for now the simulator), the push services, the sender of webhooks, and the
//! HTTPS client that they share. Invariant: a connector can change neither money nor state; what
//! it does not know, it reports as unknown.

pub mod http;
#[cfg(test)]
mod manual_clock;
pub mod push;
pub mod upstream;
pub mod webhook_sender;
