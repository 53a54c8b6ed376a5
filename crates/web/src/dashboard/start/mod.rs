//! The first minutes: sign-up, confirmation of the address, the first recharge.

mod confirm;
mod first;
mod sign_up;

use crate::area::Area;
use domain::Act;

pub(super) fn pages(area: &mut Area) {
    area.get("/sign-up", Act::SeePublic, sign_up::show);
    area.post("/sign-up", Act::EnterBySecret, sign_up::enter);
    area.get("/confirm", Act::ManageOwnLogin, confirm::show);
    area.post("/confirm", Act::ManageOwnLogin, confirm::enter);
    area.post("/confirm/again", Act::ManageOwnLogin, confirm::again);
    area.get_in("/first", Act::BuyInSandbox, first::show);
    area.post_in("/first", Act::BuyInSandbox, first::buy);
}
