//! The engine on a real store, with a clock that the test moves and upstreams that it scripts.

#![expect(clippy::unwrap_used, clippy::panic, reason = "all of this crate is test code")]

mod access;
mod approval;
mod archive;
mod bills;
mod callbacks;
mod clock;
mod crash;
mod doubt;
#[path = "../../../store/tests/it/harness/file.rs"]
mod file;
mod halt;
mod home;
mod idempotency;
mod offers;
mod outcomes;
mod people;
#[expect(dead_code, reason = "the store's tests use the rest")]
#[path = "../../../store/tests/it/harness/postgres.rs"]
mod postgres;
mod purchase;
mod pushes;
mod quotes;
mod races;
mod routes;
mod soak;
mod tokens;
mod updates;
mod webhooks;
mod workers;
mod world;
