//! Both public APIs and the pages, as a client sees them over HTTP.
//!
//! The module names are used by the filters in `.config/nextest.toml`.

mod access;
mod contract;
pub mod docs;
mod limits;
mod lists;
mod logins;
mod origins;
mod pages;
mod rechargely;
mod refused;
mod same_ledger;
mod samples;
mod sandbox;
