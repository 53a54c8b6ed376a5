//! Routes: the connected upstreams that may fulfil a purchase, and how it begins.
//!
//! Not here: the choice among routes (`domain::catalog::routing`). Invariant: what nothing is set
//! up to deliver is refused before any money is held (CONTRACT A-46).

use crate::Engine;
use domain::refusal::NoRoute;
use domain::{Environment, Kind, Opening, PriceQuery, Purchase, UpstreamCode};
use std::collections::HashMap;

/// What has no route. Each part is from the catalog, so there are few.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Unrouted {
    /// Where it was to be bought.
    pub environment: Environment,
    /// The operator's code.
    pub operator: String,
    /// The kind of purchase.
    pub kind: Kind,
}

/// What was refused because it has no route, since this process started.
#[derive(Debug, Default)]
pub(crate) struct UnroutedCounts(HashMap<Unrouted, UnroutedCount>);

#[derive(Debug, Default)]
struct UnroutedCount {
    refusals: u64,
    is_logged: bool,
}

impl UnroutedCounts {
    /// Counts a refusal. Whether it is the first one since the catalog changed.
    fn add(&mut self, unrouted: Unrouted) -> bool {
        let count = self.0.entry(unrouted).or_default();
        count.refusals += 1;
        !std::mem::replace(&mut count.is_logged, true)
    }

    /// The catalog changed: what still has no route is said again.
    pub(crate) fn forget_logged(&mut self) {
        self.0.values_mut().for_each(|count| count.is_logged = false);
    }
}

impl Engine {
    /// How a purchase begins: it is sent to the first connected upstream of its route, or waits for
    /// staff, if the route says so. Refuses what nothing is set up to deliver.
    pub(crate) fn first_step(&self, query: &PriceQuery<'_>) -> Result<Opening, NoRoute> {
        let path = self.catalog().path(query);
        if path.needs_approval {
            return Ok(Opening::Awaiting);
        }
        let is_connected = |c: &UpstreamCode| self.upstream_in(query.environment, c).is_some();
        let first = path.upstreams.into_iter().find(is_connected);
        let PriceQuery { environment, operator, kind, .. } = *query;
        first.map(Opening::Sent).ok_or_else(|| self.no_route(environment, operator, kind))
    }

    /// What was refused because nothing is set up to deliver it, and how often since this process
    /// started, for metrics (CONTRACT A-46); in a fixed order.
    pub fn unrouted(&self) -> Vec<(Unrouted, u64)> {
        let counts = self.inner.unrouted.lock();
        let mut all: Vec<_> =
            counts.0.iter().map(|(what, count)| (what.clone(), count.refusals)).collect();
        drop(counts);
        all.sort_by_cached_key(|(what, _)| {
            (what.environment.code(), what.kind.code(), what.operator.clone())
        });
        all
    }

    /// The refusal of what has no route. It is counted, and the log says once what to set up.
    pub(crate) fn no_route(&self, environment: Environment, operator: &str, kind: Kind) -> NoRoute {
        let unrouted = Unrouted { environment, operator: operator.to_owned(), kind };
        if self.inner.unrouted.lock().add(unrouted) {
            tracing::warn!(
                environment = environment.code(),
                operator,
                kind = kind.code(),
                "nothing is set up to deliver this, so it is refused (NO_ROUTE): set a route \
                 by `saldo route set`, with a connected upstream or with --needs-approval for \
                 staff; this is said once"
            );
        }
        NoRoute
    }

    /// The query for the route of a purchase that was quoted or bought before.
    pub(crate) fn query_of<'p>(&self, purchase: &'p Purchase) -> PriceQuery<'p> {
        PriceQuery {
            account: purchase.key.account,
            plan: None,
            environment: purchase.key.environment,
            operator: &purchase.operator,
            kind: purchase.kind,
            product: purchase.product.as_deref(),
            recipient: &purchase.recipient,
            amount: purchase.amount,
            at: self.now(),
        }
    }

    /// The connected upstreams of a purchase's route that were not tried yet.
    pub(crate) fn routes_left(
        &self,
        purchase: &Purchase,
        tried: &[UpstreamCode],
    ) -> Vec<UpstreamCode> {
        let path = self.catalog().path(&self.query_of(purchase));
        let environment = purchase.key.environment;
        path.left(tried)
            .filter(|code| self.upstream_in(environment, code).is_some())
            .cloned()
            .collect()
    }
}
