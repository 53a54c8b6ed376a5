//! Webhooks: endpoints, what was sent to them, replays.
//!
//! Invariant: an endpoint or a purchase is only ever touched after it was found among the account's
//! own, in the environment of the page.

mod acts;
mod list;

use crate::area::Area;
use domain::Act;

pub(super) fn pages(area: &mut Area) {
    area.get_in("/webhooks", Act::SeePurchases, list::show);
    area.post_in("/webhooks", Act::ManageEndpoints, acts::add);
    area.post_in("/webhooks/{id}/remove", Act::ManageEndpoints, acts::remove);
    area.post_in("/webhooks/{id}/on", Act::ManageEndpoints, acts::switch_on);
    area.post_in("/webhooks/{id}/secret", Act::ManageEndpoints, acts::rotate);
    area.post_in("/webhooks/{id}/test", Act::ReplayWebhooks, acts::test);
    area.post_in("/webhooks/{id}/replay", Act::ReplayWebhooks, acts::replay_since);
    area.post_in("/webhooks/replays", Act::ReplayWebhooks, acts::replay_all);
    area.post_in("/webhooks/replay", Act::ReplayWebhooks, acts::replay_one);
}
