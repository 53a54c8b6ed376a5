//! What the courier does to a network: a test that has one of its own.
//!
//! Not here: what a connector makes of answers (beside its source). Needs Linux, `unshare` and `ip`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "all of this crate is test code"
)]

mod namespace;
