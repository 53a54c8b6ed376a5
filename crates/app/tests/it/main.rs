//! End-to-end tests: the `saldo` binary as a black box, over HTTP and its command line.
//!
//! Here: promises that only the whole can keep. Not here: what a crate can test by itself. Every
//! test starts a server of its own on a free port with data of its own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "all of this crate is test code")]

mod access;
#[cfg(feature = "bench")]
mod archive;
mod backup;
#[cfg(feature = "bench")]
mod bench;
mod buyers;
mod callbacks;
mod command_line;
mod consumer;
mod contract;
mod control;
mod cut_off;
mod fail_over;
#[path = "../../../store/tests/it/harness/file.rs"]
mod file;
mod folders;
mod fuzz;
mod harness;
#[path = "../../../bench/src/http_client.rs"]
mod http_client;
mod inbox;
mod kills;
mod limits;
mod logins;
mod logs;
mod nodes;
mod on_postgres;
mod pages;
#[path = "../../../store/tests/it/harness/pair.rs"]
mod pair;
#[expect(dead_code, reason = "the store's tests use the rest")]
#[path = "../../../store/tests/it/harness/postgres.rs"]
mod postgres;
mod push;
mod races;
mod receivers;
mod rechargely;
mod restored;
mod same_ledger;
mod samples;
mod sandbox;
mod staff;
mod tidy;
mod users;
mod webhooks;
mod wire;
