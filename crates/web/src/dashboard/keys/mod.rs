//! Key pairs: the list, one with its settings, and what was done on the account.
//!
//! Invariant: a key is only ever touched after it was found among the account's own, in the
//! environment of the page.

mod activity;
mod limits;
mod list;
mod one;

use crate::area::Area;
use domain::Act;

pub(super) fn pages(area: &mut Area) {
    area.get_in("/keys", Act::ManageKeys, list::show);
    area.post_in("/keys", Act::ManageKeys, list::make);
    area.get_in("/keys/{id}", Act::ManageKeys, one::show);
    area.post_in("/keys/{id}/addresses", Act::ManageKeys, one::set_addresses);
    area.post_in("/keys/{id}/limits", Act::ManageKeys, limits::limit);
    area.post_in("/keys/{id}/rotate", Act::ManageKeys, limits::rotate);
    area.post_in("/keys/{id}/webhook", Act::ManageEndpoints, one::set_webhook);
    area.post_in("/keys/{id}/revoke", Act::RevokeKeys, one::revoke);
    area.get_in("/activity", Act::ManageKeys, activity::show);
}
