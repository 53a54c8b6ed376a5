//! What the tests share: databases, and a store with accounts and purchases in it.
//!
//! The tests of `engine` and `app` include `file.rs`, `postgres.rs` and `pair.rs` by path.

pub mod at_once;
pub mod file;
#[expect(dead_code, reason = "the app's tests use the rest")]
pub mod pair;
#[expect(dead_code, reason = "the engine's and the app's tests use the rest")]
pub mod postgres;
pub mod world;
