//! The merchants' pages.
//!
//! Invariant: each shows one account's data in one environment, which is in its path. What is of
//! another account or environment is answered as what is not there.

mod common;
mod hooks;
mod keys;
mod live;
mod money;
mod overview;
mod requests;
mod search;
mod start;
mod transactions;

use crate::area::Area;
use crate::frame::MenuItem;
use crate::people;
use crate::view::{Known, View, go};
use axum::response::Response;
use domain::{Act, Environment};
use engine::PersonSession;

pub(crate) fn pages(area: &mut Area) {
    people::pages(area);
    start::pages(area);
    area.get("", Act::SeePurchases, begin);
    area.get_in("", Act::SeePurchases, overview::show);
    area.get_in("/search", Act::SeePurchases, search::show);
    area.get_in("/stream", Act::SeePurchases, live::stream);
    transactions::pages(area);
    money::pages(area);
    keys::pages(area);
    hooks::pages(area);
    requests::pages(area);
}

/// Whether a person may see the secrets of the sandbox.
pub(crate) fn may_manage_keys(session: &PersonSession) -> bool {
    common::may(session, Act::ManageKeys, Some(Environment::Sandbox))
}

/// `/dashboard`: the sandbox's overview.
async fn begin(view: View) -> Response {
    go(&view.here(""))
}

/// The menu; nobody has one before the log-in. Only what the role may see is in it.
pub(crate) fn menu(view: &Known) -> Vec<MenuItem> {
    let Some(session) = &view.session else { return Vec::new() };
    let words = view.words;
    let overview = MenuItem {
        href: view.here(""),
        label: words.t("dashboard.overview").to_owned(),
        is_current: view.path == view.here(""),
    };
    let mut menu = vec![overview];
    for (act, path, label) in [
        (Act::SeePurchases, "/transactions", "dashboard.transactions"),
        (Act::SeeMoney, "/statement", "dashboard.statement"),
        (Act::SeeMoney, "/commission", "dashboard.commission"),
        (Act::SeePurchases, "/prices", "dashboard.prices"),
        (Act::SeePurchases, "/plan", "dashboard.plan"),
        (Act::ManageKeys, "/keys", "dashboard.keys"),
        (Act::SeePurchases, "/webhooks", "dashboard.webhooks"),
        (Act::SeePurchases, "/requests", "dashboard.requests"),
        (Act::ManageKeys, "/activity", "dashboard.activity"),
    ] {
        if common::may(session, act, view.environment) {
            menu.push(MenuItem::new(view, view.here(path), words.t(label)));
        }
    }
    menu.push(MenuItem::new(view, "/docs".to_owned(), words.t("docs.menu")));
    menu
}
