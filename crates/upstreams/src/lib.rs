//! Connectors: each translates [`domain::upstream`]'s orders to one upstream and its replies back.
//!
//! Here: the simulator, which plays several upstreams in this process; push services, by
//! [`domain::push`]; the courier of webhooks, by [`domain::webhook`]; the HTTPS client they share. Not
//! here: which upstream is asked (routes decide) and what an outcome does to money (the engine decides). Invariant: a connector touches neither
//! money nor state; what it does not know, it answers as unknown.

pub mod courier;
pub mod fcm;
#[cfg(test)]
mod hands;
pub mod http;
pub mod simulator;

pub use courier::WebhookSender;
pub use fcm::Fcm;
pub use simulator::Simulator;
