//! Buying: price and route from the snapshot, one commit that holds the money and puts the first
//! attempt on record, then the upstream, then the settlement.
//!
//! Invariant: the work goes on when the client goes away, and a client is answered in time even
//! when the upstream is not.

use crate::request::{Idempotency, PurchaseOutcome, PurchaseRequest, Replay};
use crate::{Caller, Engine, limits};
use domain::catalog::pricing::PriceQuery;
use domain::catalog::routing::Path;
use domain::ledger::admission::Denial;
use domain::purchase::lifecycle::State;
use domain::purchase::settle;
use domain::purchase::{PurchaseKey, ReferenceKey, ReferenceScope};
use domain::refusal::{FieldError, Refusal};
use domain::upstream::UpstreamCode;
use domain::{Money, Purchase, PurchaseId};
use std::pin::pin;
use std::sync::PoisonError;
use store::{Change, Done};

impl Engine {
    /// Buys: holds the money, sends it to an upstream (or to staff), waits for its word, settles.
    pub async fn purchase(&self, request: PurchaseRequest) -> Result<PurchaseOutcome, Refusal> {
        let _running = match &request.idempotency {
            Some(idempotency) => match self.first_time(&request.caller, idempotency)? {
                FirstTime::Yes(running) => Some(running),
                FirstTime::No(receipt) => return Ok(receipt),
            },
            None => None,
        };
        self.may_buy(&request)?;
        let (mut purchase, path) = self.draft(&request)?;
        let environment = request.caller.environment;
        match path.upstreams.iter().find(|code| self.upstream_in(environment, code).is_some()) {
            Some(first) if !path.needs_approval => {
                purchase.state = State::Sent;
                purchase.attempts = 1;
                purchase.upstream = Some(first.clone());
            }
            Some(_) | None => purchase.state = State::Awaiting,
        }
        // A task of its own: if the client hangs up, even during the commit, what is on record is
        // sent and settled all the same.
        let engine = self.clone();
        let opening = self.inner.tasks.spawn(async move {
            let opened = engine.open_purchase(&request, purchase).await?;
            let driven = (opened.state == State::Sent).then(|| {
                let (engine, sent) = (engine.clone(), opened.clone());
                engine.inner.tasks.clone().spawn(async move { engine.drive(sent).await })
            });
            Ok((opened, driven))
        });
        let mut patience = pin!(tokio::time::sleep(limits::ANSWER_WITHIN));
        let (opened, driven) = tokio::select! {
            biased;
            opened = opening => opened.map_err(|_| Refusal::Uncertain)??,
            () = &mut patience => return Err(Refusal::Uncertain),
        };
        let Some(driven) = driven else { return Ok(PurchaseOutcome::Bought(Box::new(opened))) };
        let settled = tokio::select! {
            biased;
            settled = driven => settled.unwrap_or(opened),
            () = &mut patience => opened,
        };
        Ok(PurchaseOutcome::Bought(Box::new(settled)))
    }

    /// Refuses while the installation is halted: a reference that is used up as such, so that its
    /// asker knows that there is nothing to wait for.
    fn may_buy(&self, request: &PurchaseRequest) -> Result<(), Refusal> {
        let Err(halted) = self.may_sell() else { return Ok(()) };
        let reference = key_reference(&request.caller, request.scope, &request.reference);
        let stored_reference = self.inner.store.stored_reference(&reference);
        match stored_reference.map_err(|fault| self.unavailable(&fault))? {
            None => Err(halted),
            Some(stored_reference) => {
                let key = stored_reference.purchase;
                let first = key.and_then(|key| self.inner.store.purchase(&key).ok().flatten());
                Err(Refusal::ReferenceKnown(first.map(Box::new)))
            }
        }
    }

    /// A purchase as it would be opened, priced and routed; nothing is stored.
    pub(crate) fn draft(&self, request: &PurchaseRequest) -> Result<(Purchase, Path), Refusal> {
        let now = self.now();
        let catalog = self.catalog();
        let query = PriceQuery {
            account: request.caller.account,
            plan: request.caller.plan,
            environment: request.caller.environment,
            operator: &request.operator,
            kind: request.kind,
            recipient: &request.recipient,
            amount: request.amount,
            at: now,
        };
        let price = catalog
            .price(&query)
            .filter(|p| request.amount.plus(p.fee).is_some())
            .ok_or_else(too_large)?;
        let purchase = Purchase {
            key: PurchaseKey {
                account: request.caller.account,
                environment: request.caller.environment,
                id: PurchaseId(self.next_id()),
            },
            scope: request.scope,
            reference: request.reference.clone(),
            api_key: request.caller.key,
            kind: request.kind,
            operator: request.operator.clone(),
            product: request.product.clone(),
            recipient: request.recipient.clone(),
            service_type: request.service_type,
            amount: request.amount,
            fee: price.fee,
            commission: price.commission,
            available_after: Money::zero(request.amount.currency()),
            details: request.details.clone(),
            webhook_url: request.webhook_url.clone(),
            state: State::Quoted,
            version: 1,
            attempts: 0,
            upstream: None,
            text: None,
            decider: None,
            opened_at: now,
            updated_at: now,
            delivered_at: None,
        };
        Ok((purchase, catalog.path(&query)))
    }

    /// Opens a purchase: from here on its reference is used up and its money is where its state
    /// says.
    pub(crate) async fn open_purchase(
        &self,
        request: &PurchaseRequest,
        mut purchase: Purchase,
    ) -> Result<Purchase, Refusal> {
        let reference = |scope, text: &String| ReferenceKey {
            account: request.caller.account,
            environment: request.caller.environment,
            scope,
            text: text.clone(),
        };
        let mut reference_keys = vec![reference(request.scope, &request.reference)];
        reference_keys.extend(request.idempotency.iter().map(|i| reference(i.scope, &i.key)));
        let mut opening = Box::new(settle::open(purchase.clone(), purchase.opened_at));
        self.enqueue_webhooks(&mut opening).map_err(|fault| self.unavailable(&fault))?;
        let owed = opening.webhooks.clone();
        let digest = request.idempotency.as_ref().map(|i| i.digest).or(request.digest);
        let leaving = purchase.latest_attempt();
        if let Some(attempt) = leaving {
            self.inner.in_flight.leave(attempt, self.monotonic());
        }
        let open = Change::Open { reference_keys, digest, opening };
        let verdict = self.inner.store.write_within(open, limits::BEGUN_WITHIN).await;
        if let (Some(attempt), false) = (leaving, matches!(verdict, Ok(Ok(_)))) {
            self.inner.in_flight.withdraw(attempt);
        }
        match verdict.map_err(|fault| self.unavailable(&fault))? {
            Ok(Done::Opened { available_after }) => {
                self.dispatch_webhooks(purchase.key, owed);
                purchase.available_after = Money::new(available_after, purchase.amount.currency());
                Ok(purchase)
            }
            Ok(
                Done::Written
                | Done::Posted { .. }
                | Done::Calls(_)
                | Done::Leased(_)
                | Done::Pushes(_)
                | Done::Webhooks(_)
                | Done::Counted(_)
                | Done::People(_)
                | Done::Archive(_),
            ) => Ok(purchase),
            Err(denial) => Err(self.denied(request, denial)),
        }
    }

    fn denied(&self, request: &PurchaseRequest, denial: Denial) -> Refusal {
        match denial {
            Denial::ReferenceUsed { reference, .. } if reference.scope != request.scope => {
                Refusal::IdempotencyRunning
            }
            Denial::ReferenceUsed { by, .. } => {
                let first =
                    by.purchase.and_then(|key| self.inner.store.purchase(&key).ok().flatten());
                Refusal::ReferenceKnown(first.map(Box::new))
            }
            Denial::InsufficientBalance { available } => Refusal::InsufficientBalance {
                available: Money::new(available, request.amount.currency()),
            },
            Denial::NoLedgerAccount(_) => Refusal::NoWallet,
            Denial::TooLarge => too_large(),
            // An id of a closed month: the clock is far behind.
            Denial::VersionConflict { .. } | Denial::Closed => {
                Refusal::Unavailable { retry_after_s: 1 }
            }
        }
    }

    /// Whether this idempotency key is new; else what came of it before.
    fn first_time(&self, caller: &Caller, idempotency: &Idempotency) -> Result<FirstTime, Refusal> {
        let reference = key_reference(caller, idempotency.scope, &idempotency.key);
        let running = Running::begin(self, reference.clone()).ok_or(Refusal::IdempotencyRunning)?;
        let fault = |fault| self.unavailable(&fault);
        let Some(stored_reference) =
            self.inner.store.stored_reference(&reference).map_err(fault)?
        else {
            return Ok(FirstTime::Yes(running));
        };
        if stored_reference.digest != Some(idempotency.digest) {
            return Err(Refusal::IdempotencyMismatch);
        }
        let key = stored_reference.purchase.ok_or(Refusal::PurchaseUnknown)?;
        // Archived: used up, and no more is known of it.
        let purchase = self.inner.store.purchase(&key).map_err(fault)?;
        let purchase = purchase.ok_or(Refusal::ReferenceKnown(None))?;
        let replay = self.inner.store.kept_response(&reference).map_err(fault)?;
        let replay = replay.map(|(status, body)| Replay { status, body });
        Ok(FirstTime::No(PurchaseOutcome::Before { purchase: Box::new(purchase), replay }))
    }

    /// Keeps the first answer to a request that carried an idempotency key, for its replays.
    pub async fn remember(
        &self,
        caller: &Caller,
        scope: ReferenceScope,
        key: &str,
        replay: Replay,
    ) {
        let reference = key_reference(caller, scope, key);
        let change = Change::KeepResponse { reference, status: replay.status, body: replay.body };
        // Losing it costs nothing: a replay then renders the purchase as it stands.
        if let Err(fault) = self.inner.store.write(change).await {
            tracing::warn!(%fault, "the first answer to an idempotency key could not be kept");
        }
    }

    /// Whether staff decide about a purchase before it is sent.
    pub(crate) fn needs_staff(&self, purchase: &Purchase) -> bool {
        self.path_of(purchase).needs_approval || self.routes_left(purchase, &[]).is_empty()
    }

    fn path_of(&self, purchase: &Purchase) -> Path {
        self.catalog().path(&PriceQuery {
            account: purchase.key.account,
            plan: None,
            environment: purchase.key.environment,
            operator: &purchase.operator,
            kind: purchase.kind,
            recipient: &purchase.recipient,
            amount: purchase.amount,
            at: self.now(),
        })
    }

    /// The upstreams of a purchase's route that are connected and were not tried.
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

fn too_large() -> Refusal {
    Refusal::Invalid(vec![FieldError {
        field: "amount",
        message: "The amount is too large.".to_owned(),
    }])
}

fn key_reference(caller: &Caller, scope: ReferenceScope, key: &str) -> ReferenceKey {
    ReferenceKey {
        account: caller.account,
        environment: caller.environment,
        scope,
        text: key.to_owned(),
    }
}

enum FirstTime {
    Yes(Running),
    No(PurchaseOutcome),
}

/// An idempotency key that is being worked on, until this is dropped.
struct Running {
    engine: Engine,
    reference: ReferenceKey,
}

impl Running {
    fn begin(engine: &Engine, reference: ReferenceKey) -> Option<Running> {
        let mut running = engine.inner.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.insert(reference.clone()).then(|| Running { engine: engine.clone(), reference })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut running = self.engine.inner.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.remove(&self.reference);
    }
}
