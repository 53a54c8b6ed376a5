//! Which upstreams may fulfil a purchase, in which order, and whether staff approve first.
//!
//! Routes are data of the catalog. Not here: the current health of upstreams. A purchase without a
//! route is refused (CONTRACT A-46); one whose route needs approval waits for staff, who may
//! deliver it by hand.

use crate::account::{AccountId, Environment};
use crate::catalog::kind::Kind;
use crate::catalog::pricing::PriceQuery;
use crate::upstream::UpstreamCode;

/// One route. A condition that is `None` is always met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Of equally specific routes, the one with the higher id wins.
    pub id: i64,
    /// A sandbox purchase never takes a live route.
    pub environment: Environment,
    /// For this operator only, by its code.
    pub operator: Option<String>,
    /// For this kind of purchase only.
    pub kind: Option<Kind>,
    /// For this product only, by its name.
    pub product: Option<String>,
    /// For this account only.
    pub account: Option<AccountId>,
    /// For recipients with these last digits only (the sandbox numbers of CONTRACT section 3).
    pub recipient_ends: Option<String>,
    /// The upstreams to try, in this order.
    pub upstreams: Vec<UpstreamCode>,
    /// Staff must approve before anything is sent.
    pub needs_approval: bool,
}

/// How a purchase is fulfilled: what a route gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path {
    /// The upstreams to try, in this order; empty with approval: staff deliver by hand.
    pub upstreams: Vec<UpstreamCode>,
    /// Staff must approve before anything is sent.
    pub needs_approval: bool,
}

/// An upstream of a route that did not get an attempt, although it came before the one that did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// Which upstream.
    pub upstream: UpstreamCode,
    /// Why: `paused`, `breaker open`, `slots full`, `float too low`, …
    pub why: String,
}

/// The path of the most specific route that applies: recipient before account before product before
/// operator before kind, then the higher id.
pub fn path(routes: &[Route], query: &PriceQuery<'_>) -> Path {
    let best = routes.iter().filter(|r| r.applies(query)).max_by_key(|r| r.rank());
    best.map_or_else(Path::default, |r| Path {
        upstreams: r.upstreams.clone(),
        needs_approval: r.needs_approval,
    })
}

impl Path {
    /// The upstreams that were not tried yet.
    pub fn left<'a>(&'a self, tried: &'a [UpstreamCode]) -> impl Iterator<Item = &'a UpstreamCode> {
        self.upstreams.iter().filter(|u| !tried.contains(u))
    }
}

impl Route {
    fn applies(&self, query: &PriceQuery<'_>) -> bool {
        self.environment == query.environment
            && self.operator.as_deref().is_none_or(|o| o == query.operator)
            && self.kind.is_none_or(|k| k == query.kind)
            && self.product.as_deref().is_none_or(|p| query.product == Some(p))
            && self.account.is_none_or(|a| a == query.account)
            && self.recipient_ends.as_deref().is_none_or(|end| query.recipient.ends_with(end))
    }

    const fn rank(&self) -> (bool, bool, bool, bool, bool, i64) {
        (
            self.recipient_ends.is_some(),
            self.account.is_some(),
            self.product.is_some(),
            self.operator.is_some(),
            self.kind.is_some(),
            self.id,
        )
    }

    /// Whether two routes hold for the same purchases: a new one takes the place of the other.
    pub fn has_conditions_of(&self, other: &Route) -> bool {
        self.environment == other.environment
            && self.operator == other.operator
            && self.kind == other.kind
            && self.product == other.product
            && self.account == other.account
            && self.recipient_ends == other.recipient_ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::money::{Currency, Money};

    fn route(id: i64, upstream: &str) -> Route {
        Route {
            id,
            environment: Environment::Sandbox,
            operator: None,
            kind: None,
            product: None,
            account: None,
            recipient_ends: None,
            upstreams: vec![UpstreamCode::new(upstream)],
            needs_approval: false,
        }
    }

    fn path_of(routes: &[Route], recipient: &str, kind: Kind) -> (String, bool) {
        let query = PriceQuery {
            account: AccountId(7),
            plan: None,
            environment: Environment::Sandbox,
            operator: "GP",
            kind,
            product: Some("Cake"),
            recipient,
            amount: Money::new(1_000, Currency::BDT),
            at: Timestamp(0),
        };
        let path = path(routes, &query);
        (
            path.upstreams.iter().map(UpstreamCode::as_str).collect::<Vec<_>>().join(","),
            path.needs_approval,
        )
    }

    #[test]
    fn the_most_specific_route_wins_and_without_one_there_is_no_path() {
        let routes = [
            Route { environment: Environment::Live, ..route(9, "live") },
            Route { kind: Some(Kind::Recharge), ..route(1, "any") },
            Route { kind: Some(Kind::Offer), ..route(2, "offers") },
            Route {
                recipient_ends: Some("105".into()),
                needs_approval: true,
                kind: Some(Kind::Recharge),
                ..route(3, "asked")
            },
        ];
        assert_eq!(path_of(&routes, "01700000001", Kind::Recharge), ("any".into(), false));
        assert_eq!(path_of(&routes, "01700000105", Kind::Recharge), ("asked".into(), true));
        assert_eq!(path_of(&routes, "01700000105", Kind::Offer), ("offers".into(), false));
        assert_eq!(path_of(&routes, "01700000105", Kind::Banking), (String::new(), false));
        assert_eq!(
            path_of(
                &[Route { operator: Some("GP".into()), ..route(1, "gp") }, route(2, "all")],
                "0",
                Kind::Offer
            )
            .0,
            "gp"
        );
    }

    #[test]
    fn a_route_may_hold_for_a_product_or_an_account() {
        let mut routes = vec![
            Route { operator: Some("GP".into()), ..route(9, "operator") },
            Route { product: Some("Cake".into()), ..route(1, "product") },
            Route { product: Some("Pie".into()), ..route(2, "other") },
            Route { account: Some(AccountId(8)), ..route(3, "stranger") },
        ];
        assert_eq!(path_of(&routes, "01700000001", Kind::Bundle).0, "product");
        routes.push(Route { account: Some(AccountId(7)), ..route(4, "account") });
        assert_eq!(path_of(&routes, "01700000001", Kind::Bundle).0, "account");
    }
}
