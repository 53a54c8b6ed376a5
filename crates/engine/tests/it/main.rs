//! The engine on a real store, with a clock that the test moves and upstreams that it scripts.

#![expect(clippy::unwrap_used, clippy::panic, reason = "all of this crate is test code")]

mod access;
mod approval;
mod bills;
mod clock;
mod crash;
mod doubt;
mod halt;
mod idempotency;
mod offers;
mod outcomes;
mod people;
mod purchase;
mod pushes;
mod quotes;
mod races;
mod routes;
mod soak;
mod tokens;
mod words;
mod workers;
mod world;
