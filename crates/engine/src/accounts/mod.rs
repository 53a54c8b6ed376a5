//! What the company sets up for its customers: accounts, wallets, key pairs, money in and out.
//!
//! Not here: logins of consumers (`people`), webhook endpoints (`webhooks`), who may decide this.

mod alerts;
mod catalog;
mod commission;
mod deposit;
pub(crate) mod keys;
mod pairs;
mod plans;
mod setup;

pub use catalog::CatalogChange;
pub use commission::CommissionPaid;
pub use deposit::Booking;
pub use keys::KeyPair;
pub use pairs::KeyTerms;
pub(crate) use pairs::KeyUses;
pub use plans::{AgreedPlan, PlanBought, PlanChange, PlanOffer, PlanOrder};
pub(crate) use setup::new_account;
pub use setup::{AccountSetup, NewAccount};
