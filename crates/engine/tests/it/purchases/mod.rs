//! What a caller buys: purchases, quotes, offers, bills, idempotency keys, approval by staff.

mod approval;
pub mod bills;
mod duplicates;
mod idempotency;
mod numbers;
mod offers;
mod purchase;
pub mod quotes;
