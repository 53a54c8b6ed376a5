//! The log of the account's requests to its API: the list with its errors, one, and one run again.
//!
//! Invariant: only a request of the sandbox is run again, as whoever is logged in, with a reference
//! that was never used.

mod list;
mod one;

use crate::area::Area;
use domain::Act;

pub(super) fn pages(area: &mut Area) {
    area.get_in("/requests", Act::SeePurchases, list::show);
    area.get_in("/requests/{id}", Act::SeePurchases, one::show);
    area.post_in("/requests/{id}/again", Act::BuyInSandbox, one::again);
}
