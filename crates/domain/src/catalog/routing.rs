//! Which upstreams may fulfil a purchase, in which order, and whether staff decide first.
//!
//! Routes are data. Not here: whether an upstream is healthy just now. Without a route a purchase
//! waits for staff, who deliver it by hand (CONTRACT A-16).

use crate::account::Environment;
use crate::catalog::kind::Kind;
use crate::catalog::pricing::PriceQuery;
use crate::upstream::UpstreamCode;

/// One route. What is `None` applies to all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Which; the later one wins where two are equally specific.
    pub id: i64,
    /// Where; a sandbox purchase can never take a live route.
    pub environment: Environment,
    /// One operator, by its code.
    pub operator: Option<String>,
    /// One kind of purchase.
    pub kind: Option<Kind>,
    /// Recipients that end in these digits (the sandbox numbers of CONTRACT section 3).
    pub recipient_ends: Option<String>,
    /// Who may fulfil it, in this order.
    pub upstreams: Vec<UpstreamCode>,
    /// Staff approve before anything is sent.
    pub needs_approval: bool,
}

/// Where a purchase goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path {
    /// Who may fulfil it, in this order; nobody: staff deliver by hand.
    pub upstreams: Vec<UpstreamCode>,
    /// Staff approve before anything is sent.
    pub needs_approval: bool,
}

/// The most specific route that applies: recipient before operator before kind, then the later.
pub fn path(routes: &[Route], query: &PriceQuery<'_>) -> Path {
    let best = routes.iter().filter(|r| r.applies(query)).max_by_key(|r| r.rank());
    best.map_or_else(Path::default, |r| Path {
        upstreams: r.upstreams.clone(),
        needs_approval: r.needs_approval,
    })
}

impl Path {
    /// Those that were not tried yet.
    pub fn left<'a>(&'a self, tried: &'a [UpstreamCode]) -> impl Iterator<Item = &'a UpstreamCode> {
        self.upstreams.iter().filter(|u| !tried.contains(u))
    }
}

impl Route {
    fn applies(&self, query: &PriceQuery<'_>) -> bool {
        self.environment == query.environment
            && self.operator.as_deref().is_none_or(|o| o == query.operator)
            && self.kind.is_none_or(|k| k == query.kind)
            && self.recipient_ends.as_deref().is_none_or(|end| query.recipient.ends_with(end))
    }

    const fn rank(&self) -> (bool, bool, bool, i64) {
        (self.recipient_ends.is_some(), self.operator.is_some(), self.kind.is_some(), self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::AccountId;
    use crate::clock::Timestamp;
    use crate::money::{Currency, Money};

    fn route(id: i64, upstream: &str) -> Route {
        Route {
            id,
            environment: Environment::Sandbox,
            operator: None,
            kind: None,
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
    fn the_most_specific_route_wins_and_none_is_for_staff() {
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
}
