//! The webhook sender in a network namespace: where its packets go.
//!
//! Not here: what a connector does with responses (unit tests beside its source). Needs Linux,
//! `unshare` and `ip`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "all of this crate is test code"
)]

mod namespace;
