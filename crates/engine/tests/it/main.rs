//! The engine on a real store, with a clock that the test moves and upstreams that it scripts.

#![expect(clippy::unwrap_used, clippy::panic, reason = "all of this crate is test code")]

mod access;
mod attempts;
mod events;
mod failures;
#[path = "../../../store/tests/it/harness/file.rs"]
mod file;
mod logins;
mod operation;
#[expect(dead_code, reason = "the store's tests use the rest")]
#[path = "../../../store/tests/it/harness/postgres.rs"]
mod postgres;
mod purchases;
mod upstreams;
mod world;
