//! The store's tests: the conformance suite for every backend, and what is specific to one of them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "all of this crate is test code"
)]

mod conformance;
mod data_folder;
mod harness;
mod server;
