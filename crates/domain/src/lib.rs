//! Saldo's types and rules: values, and pure functions on values.
//!
//! Here: money, accounts, the catalog, prices, routes, the lifecycle table, journals, admission,
//! and the traits of an upstream, a push service, a mailer and a webhook sender. Not here: I/O,
//! clocks, serialisation, SQL, HTTP. Invariant: every decision about money is a pure function of
//! this crate.

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
