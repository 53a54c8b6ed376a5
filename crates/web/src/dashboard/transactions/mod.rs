//! Purchases: the list and its export, one with its timeline, a new one.

mod export;
mod filter;
mod list;
mod new;
mod one;
mod timeline;

pub(super) use list::{kind, stream, table};

use crate::area::Area;
use domain::Act;

pub(super) fn pages(area: &mut Area) {
    area.get_in("/transactions", Act::SeePurchases, list::show);
    area.get_in("/transactions.csv", Act::SeePurchases, export::csv);
    area.get_in("/transactions/{id}", Act::SeePurchases, one::show);
    area.post_in("/transactions/{id}/report", Act::ReportPurchase, one::report);
    for act in [Act::BuyInSandbox, Act::BuyLive] {
        area.get_in("/new", act, new::show);
        area.post_in("/new/price", act, new::price);
        area.post_in("/new", act, new::buy);
    }
}
