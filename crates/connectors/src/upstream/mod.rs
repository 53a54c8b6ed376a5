//! Connectors to upstreams: each implements [`domain::upstream::Upstream`] for one of them.
//!
//! Not here: which upstream is asked (routes decide), and what an outcome does to money (the
//! engine decides).

pub mod simulator;
