//! Which upstream of a route gets the next attempt: the first that nothing speaks against.
//!
//! One is passed over, before money moves, while it is paused, its breaker is open, its slots are
//! full (those that staff have set, and those that its own limits of calls leave), or its float is
//! known and too low. Unknown costs and floats pass none over. Invariant: a
//! choice has a place reserved at its upstream, which ends with the attempt's call.

use super::health::{Limits, Unfit};
use super::{CallEnd, Connected};
use crate::{Engine, limits};
use domain::refusal::UpstreamUnavailable;
use domain::{AttemptRef, Environment, Money, PassedOver, UpstreamCode};
use std::time::Duration;

/// The upstream that gets an attempt.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    pub(crate) upstream: UpstreamCode,
    /// Those before it, and why they do not get it.
    pub(crate) passed_over: Vec<PassedOver>,
}

/// Every upstream of a route was passed over.
#[derive(Clone, Debug)]
pub(crate) struct NoUpstream {
    pub(crate) passed_over: Vec<PassedOver>,
    retry_after: Duration,
}

impl NoUpstream {
    /// What a buyer is told.
    pub(crate) fn refusal(&self) -> UpstreamUnavailable {
        UpstreamUnavailable { retry_after_s: self.retry_after.as_secs().max(1) }
    }

    /// For staff: `a: paused; b: breaker open`.
    pub(crate) fn text(&self) -> String {
        let each = self.passed_over.iter().map(|p| format!("{}: {}", p.upstream, p.why));
        each.collect::<Vec<_>>().join("; ")
    }
}

/// An order that looks for an upstream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choosing {
    pub(crate) attempt: AttemptRef,
    pub(crate) environment: Environment,
    pub(crate) amount: Money,
}

impl Engine {
    /// Chooses among the upstreams of a route, in their order, and reserves a place there.
    pub(crate) fn choose<'a>(
        &self,
        candidates: impl IntoIterator<Item = &'a UpstreamCode>,
        order: Choosing,
    ) -> Result<Chosen, NoUpstream> {
        let now = self.monotonic();
        let candidates: Vec<&UpstreamCode> = candidates.into_iter().collect();
        let take =
            |connected: &Connected, may_wait: bool| match (&connected.row, &connected.connector) {
                (Some(row), Some(connector)) => {
                    let may_probe = may_wait || !connected.asking.is_hanging();
                    let limits = Limits { calls_max: row.calls_at_once, may_probe };
                    let at_upstream = || connector.take_place(order.attempt);
                    connected.health.reserve(order.attempt, limits, now, at_upstream)
                }
                (_, _) => Ok(()),
            };
        // Whether one that hangs is back, enquiries find out. An order does, with its buyer
        // waiting, only if it can go nowhere else.
        let quick = self.first_fit(candidates.iter().copied(), order, |one| take(one, false));
        quick.or_else(|_| self.first_fit(candidates, order, |one| take(one, true)))
    }

    /// Whether [`Engine::choose`] would find an upstream now; reserves nothing.
    pub(crate) fn has_choice<'a>(
        &self,
        candidates: impl IntoIterator<Item = &'a UpstreamCode>,
        order: Choosing,
    ) -> Result<(), NoUpstream> {
        let now = self.monotonic();
        self.first_fit(candidates, order, |connected| {
            let calls_max = connected.row.as_ref().and_then(|row| row.calls_at_once);
            connected.health.unfit(calls_max, now).map_or(Ok(()), Err)?;
            let connector = connected.connector.as_ref();
            connector.map_or(Ok(()), |upstream| upstream.has_place()).map_err(Unfit::from)
        })
        .map(drop)
    }

    fn first_fit<'a>(
        &self,
        candidates: impl IntoIterator<Item = &'a UpstreamCode>,
        order: Choosing,
        take: impl Fn(&Connected) -> Result<(), Unfit>,
    ) -> Result<Chosen, NoUpstream> {
        let mut passed_over = Vec::new();
        let mut retry_after = limits::PAUSED_RETRY;
        for code in candidates {
            let connected = self.inner.upstreams.get(code);
            let connected = connected.filter(|connected| connected.fits(order.environment));
            let taken = match &connected {
                None => Err(Unfit { why: "not connected", retry_after: limits::PAUSED_RETRY }),
                Some(connected) => standing(connected, order).and_then(|()| take(connected)),
            };
            match taken {
                Ok(()) => return Ok(Chosen { upstream: code.clone(), passed_over }),
                Err(unfit) => {
                    retry_after = retry_after.min(unfit.retry_after);
                    let why = unfit.why.to_owned();
                    passed_over.push(PassedOver { upstream: code.clone(), why });
                }
            }
        }
        Err(NoUpstream { passed_over, retry_after })
    }

    /// Ends the place of an attempt at its upstream.
    pub(crate) fn end_call(&self, code: &UpstreamCode, attempt: AttemptRef, end: CallEnd) {
        // What is built in is simulated, and fails for those who ask for that: it has neither
        // slots nor a breaker, which would refuse everybody else.
        let connected = self.inner.upstreams.get(code).filter(|connected| connected.row.is_some());
        if let Some(connected) = connected {
            connected.health.end(attempt, end, self.monotonic());
        }
    }

    /// An order whose answer was lost was delivered.
    pub(crate) fn delivered_after_all(&self, code: &UpstreamCode, attempt: AttemptRef) {
        if let Some(connected) = self.inner.upstreams.get(code) {
            connected.health.delivered_after_all(attempt, self.monotonic());
        }
    }
}

/// What speaks against an upstream, whatever it does at the moment.
fn standing(connected: &Connected, order: Choosing) -> Result<(), Unfit> {
    let retry_after = limits::PAUSED_RETRY;
    let Some(row) = &connected.row else { return Ok(()) };
    if row.paused.is_some() {
        return Err(Unfit { why: "paused", retry_after });
    }
    let float = connected.health.float().filter(|f| f.currency() == order.amount.currency());
    let stop = row.float_stop.filter(|_| row.float_currency == Some(order.amount.currency()));
    let left = float.map(|float| float.minor().saturating_sub(order.amount.minor()));
    match left.is_some_and(|left| left < stop.unwrap_or(0)) {
        true => Err(Unfit { why: "float too low", retry_after }),
        false => Ok(()),
    }
}
