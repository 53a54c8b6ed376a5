//! Money: the statement of a wallet, the commission, the account's prices and plan.

mod commission;
mod movements;
mod plan;
mod prices;

use crate::area::Area;
use domain::Act;

pub(super) fn pages(area: &mut Area) {
    area.get_in("/statement", Act::SeeMoney, movements::statement);
    area.post_in("/statement", Act::RequestMoney, movements::alert);
    area.get_in("/commission", Act::SeeMoney, commission::show);
    area.post_in("/commission/pay", Act::RequestMoney, commission::pay);
    area.post_in("/commission/rule", Act::RequestMoney, commission::rule);
    area.get_in("/plan", Act::SeePurchases, plan::show);
    area.post_in("/plan", Act::BuyPlan, plan::buy);
    area.post_in("/plan/renewal", Act::BuyPlan, plan::renew);
    area.get_in("/prices", Act::SeePurchases, prices::show);
}
