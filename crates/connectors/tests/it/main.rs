//! The webhook sender in a network namespace: where its packets go. The connectors to upstreams:
//! their cases, and each fault over a real socket.
//!
//! Not here: what a push does with responses (unit tests beside its source). The namespace needs
//! Linux, `unshare` and `ip`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "all of this crate is test code"
)]

mod namespace;
mod upstreams;
