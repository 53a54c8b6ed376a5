//! Routes: the connected upstreams that may fulfil a purchase, and how it begins.
//!
//! Not here: the choice among routes (`domain::catalog::routing`). Invariant: what nothing is set
//! up to deliver is refused before any money is held (CONTRACT A-46).

use crate::Engine;
use domain::refusal::NoRoute;
use domain::{Environment, Kind, Opening, Path, PriceQuery, Purchase, UpstreamCode};

/// What has no route: said once in the log, until the catalog changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Unrouted {
    environment: Environment,
    operator: String,
    kind: Kind,
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

    /// As [`Engine::first_step`], for a purchase that was quoted before.
    pub(crate) fn next_step(&self, quote: &Purchase) -> Result<Opening, NoRoute> {
        self.first_step(&self.query_of(quote))
    }

    /// The refusal of what has no route. The operator's log says once what to set up.
    pub(crate) fn no_route(&self, environment: Environment, operator: &str, kind: Kind) -> NoRoute {
        let unrouted = Unrouted { environment, operator: operator.to_owned(), kind };
        if self.inner.unrouted.lock().insert(unrouted) {
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

    fn path_of(&self, purchase: &Purchase) -> Path {
        self.catalog().path(&self.query_of(purchase))
    }

    fn query_of<'p>(&self, purchase: &'p Purchase) -> PriceQuery<'p> {
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
        let path = self.path_of(purchase);
        let environment = purchase.key.environment;
        path.left(tried)
            .filter(|code| self.upstream_in(environment, code).is_some())
            .cloned()
            .collect()
    }
}
