//! What the company sets up for its customers: accounts, wallets, key pairs, money in and out.
//!
//! Not here: logins of consumers (`people`), webhook endpoints (`webhooks`), who may decide this.

mod deposit;
pub(crate) mod keys;
mod setup;

pub use deposit::Booking;
pub use keys::KeyPair;
pub use setup::{AccountSetup, NewAccount};
