//! Money: the statement of a wallet, the commission, the account's prices.

mod commission;
mod movements;
mod prices;

use crate::area::Area;
use domain::Act;

pub(super) fn pages(area: &mut Area) {
    area.get_in("/statement", Act::SeeMoney, movements::statement);
    area.get_in("/commission", Act::SeeMoney, commission::show);
    area.post_in("/commission/pay", Act::RequestMoney, commission::pay);
    area.post_in("/commission/rule", Act::RequestMoney, commission::rule);
    area.get_in("/prices", Act::SeePurchases, prices::show);
}
