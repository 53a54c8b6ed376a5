//! End-to-end tests: the `saldo` binary as a black box, over HTTP and its command line.
//!
//! Here: promises that only the whole can keep, in folders by subject. Not here: what a crate can
//! test by itself. Every test starts its own server on a free port with its own data.

#![expect(clippy::unwrap_used, clippy::panic, reason = "all of this crate is test code")]

mod browser;
mod events;
mod faults;
#[path = "../../../store/tests/it/harness/file.rs"]
mod file;
#[path = "../../../bench/src/http_client.rs"]
mod http_client;
mod operations;
#[path = "../../../store/tests/it/harness/pair.rs"]
mod pair;
mod peers;
#[expect(dead_code, reason = "the store's tests use the rest")]
#[path = "../../../store/tests/it/harness/postgres.rs"]
mod postgres;
mod support;
mod tidy;
mod web;
mod wire;
