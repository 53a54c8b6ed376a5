//! Both public APIs and the pages, as a client sees them over HTTP.
//!
//! The module names are used by the filters in `.config/nextest.toml`.

mod access;
mod contract;
mod limits;
mod logins;
mod pages;
mod rechargely;
mod same_ledger;
mod samples;
mod sandbox;
