//! Saldo's words and rules: values and pure functions on values.
//!
//! Here: money, accounts, the catalog, prices, routes, the lifecycle table, journals, admission
//! and the contracts of an upstream, of a push service and of a courier of webhooks. Not here: I/O,
//! clocks, serialisation, SQL, HTTP. Whatever decides about money is decided in this crate, by a function that can be
//! called in a test.

pub mod account;
pub mod catalog;
pub mod clock;
pub mod ids;
pub mod ledger;
pub mod mail;
pub mod money;
pub mod month;
pub mod purchase;
pub mod push;
pub mod rate;
pub mod refusal;
pub mod upstream;
pub mod webhook;

pub use account::{Account, AccountId, Environment, Key, Plan};
pub use catalog::kind::Kind;
pub use catalog::product::Product;
pub use catalog::{Catalog, Operator};
pub use clock::{Clock, Random, Timestamp};
pub use ids::PurchaseId;
pub use money::{Currency, Money};
pub use month::Month;
pub use purchase::lifecycle::State;
pub use purchase::slip::Slip;
pub use purchase::{Purchase, PurchaseKey};
pub use refusal::Refusal;
