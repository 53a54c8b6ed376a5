//! Saldo's words and rules: values and pure functions on values.
//!
//! Here: money, accounts, the catalog, prices, routes, the lifecycle table, journals, admission
//! and the contracts of an upstream, of a push service and of a courier of webhooks. Not here: I/O,
//! clocks, serialisation, SQL, HTTP. Whatever decides about money is decided in this crate, by a function that can be
//! called in a test.

pub mod account;
pub mod admission;
pub mod catalog;
pub mod clock;
pub mod ids;
pub mod journal;
pub mod lifecycle;
pub mod mail;
pub mod money;
pub mod month;
pub mod number;
pub mod pricing;
pub mod product;
pub mod purchase;
pub mod push;
pub mod rate;
pub mod refusal;
pub mod routing;
pub mod search;
pub mod settle;
pub mod slip;
pub mod telling;
pub mod upstream;
pub mod webhook;

pub use account::{Account, AccountId, Environment, Key, Plan};
pub use catalog::{Catalog, Kind, Operator};
pub use clock::{Chance, Clock, Timestamp};
pub use ids::PurchaseId;
pub use lifecycle::State;
pub use money::{Currency, Money};
pub use month::Month;
pub use product::Product;
pub use purchase::{Purchase, PurchaseKey};
pub use refusal::Refusal;
pub use slip::Slip;
