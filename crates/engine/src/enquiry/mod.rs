//! What upstreams are asked before anything is bought: offers for a number, the owner of a bill.
//!
//! Not here: enquiries about an attempt (`settle`). Invariant: nothing here moves money or state.

mod bills;
mod offers;

pub use bills::DeliveryDetails;
pub(crate) use offers::{OfferKey, ShownOffers};
