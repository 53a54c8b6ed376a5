//! Buying: price and route from the snapshot, one commit that holds the money and records the first
//! attempt, then the upstream, then the settlement.
//!
//! Invariant: the work continues when the client disconnects, and a client is answered in time even
//! when the upstream does not answer.

use crate::refusals::{denied, not_possible, too_large};
use crate::request::{Idempotency, PurchaseOutcome, PurchaseRequest, Replay};
use crate::settle::moves::Moved;
use crate::{Caller, Engine, Permit, limits};
use domain::purchase::settle;
use domain::refusal::{
    BuyRefused, IdempotencyMismatch, IdempotencyRunning, Invalid, NotPossible, ReferenceKnown,
    StoreRefused, Unavailable, Uncertain,
};
use domain::{
    Money, Opening, OpeningDenied, Path, PriceQuery, Purchase, PurchaseDraft, PurchaseId,
    PurchaseKey, ReferenceKey, ReferenceScope, State, UpstreamCode, act,
};
use std::pin::pin;
use store::{KeepResponse, OpenPurchase};

impl Engine {
    /// Buys: holds the money, sends the order to an upstream (or leaves it to staff), waits for the
    /// outcome, settles.
    pub async fn purchase(
        &self,
        permit: Permit<act::Buy>,
        request: PurchaseRequest,
    ) -> Result<PurchaseOutcome, BuyRefused> {
        self.check_permit(&permit, &request.caller)?;
        let _running = match &request.idempotency {
            Some(idempotency) => match self.first_use(&request.caller, idempotency)? {
                KeyUse::First(running) => Some(running),
                KeyUse::Repeated(outcome) => return Ok(outcome),
            },
            None => None,
        };
        self.may_buy(&request)?;
        let (draft, path) = self.draft(&request)?;
        let environment = request.caller.environment;
        let is_connected = |code: &UpstreamCode| self.upstream_in(environment, code).is_some();
        let first = path.upstreams.into_iter().find(is_connected);
        let opening = match first.filter(|_| !path.needs_approval) {
            Some(first) => Opening::Sent(first),
            None => Opening::Awaiting,
        };
        // A task of its own: if the client disconnects, even during the commit, what is on record
        // is sent and settled all the same.
        let engine = self.clone();
        let opening = self.inner.tasks.spawn(async move {
            let opened = engine.open_purchase(&permit, &request, draft, opening).await?;
            let opened = opened.map_err(|denied| engine.refused(&request, denied))?;
            let driven = (opened.state == State::Sent).then(|| {
                let (engine, sent) = (engine.clone(), opened.clone());
                engine.inner.tasks.clone().spawn(async move { engine.drive(sent).await })
            });
            Ok::<_, BuyRefused>((opened, driven))
        });
        let mut timeout = pin!(tokio::time::sleep(limits::ANSWER_WITHIN));
        let (opened, driven) = tokio::select! {
            biased;
            opened = opening => opened.map_err(|_| Uncertain)??,
            () = &mut timeout => return Err(Uncertain.into()),
        };
        let Some(driven) = driven else { return Ok(PurchaseOutcome::Bought(Box::new(opened))) };
        let settled = tokio::select! {
            biased;
            settled = driven => settled.unwrap_or(opened),
            () = &mut timeout => opened,
        };
        Ok(PurchaseOutcome::Bought(Box::new(settled)))
    }

    /// Refuses a permit that was made for another caller.
    pub(crate) fn check_permit(
        &self,
        permit: &Permit<act::Buy>,
        caller: &Caller,
    ) -> Result<(), NotPossible> {
        match permit.is_of(caller) {
            true => Ok(()),
            false => Err(not_possible("The permit is of another caller.")),
        }
    }

    /// Refuses while the installation is halted. A reference that is used up is refused as such, so
    /// that its client knows that there is nothing to wait for.
    fn may_buy(&self, request: &PurchaseRequest) -> Result<(), BuyRefused> {
        let Err(halted) = self.may_sell() else { return Ok(()) };
        let stored = self.inner.store.stored_reference(&request.reference_key());
        match self.or_unavailable(stored)? {
            None => Err(halted.into()),
            Some(stored) => Err(self.reference_known(stored.purchase).into()),
        }
    }

    pub(crate) fn reference_known(&self, key: Option<PurchaseKey>) -> ReferenceKnown {
        let first = key.and_then(|key| self.inner.store.purchase(&key).ok().flatten());
        ReferenceKnown { first: first.map(Box::new) }
    }

    /// A purchase before it opens, priced and routed; nothing is stored.
    pub(crate) fn draft(
        &self,
        request: &PurchaseRequest,
    ) -> Result<(PurchaseDraft, Path), Invalid> {
        let now = self.now();
        let catalog = self.catalog();
        let query = request.price_query(now);
        let price = catalog
            .price(&query)
            .filter(|p| request.amount.plus(p.fee).is_some())
            .ok_or_else(too_large)?;
        let draft = PurchaseDraft {
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
            details: request.details.clone(),
            webhook_url: request.webhook_url.clone(),
            opened_at: now,
        };
        Ok((draft, catalog.path(&query)))
    }

    /// Opens a purchase: from here on its reference is used up, and its money is where its state
    /// says.
    pub(crate) async fn open_purchase(
        &self,
        permit: &Permit<act::Buy>,
        request: &PurchaseRequest,
        draft: PurchaseDraft,
        opening: Opening,
    ) -> Result<Result<Purchase, OpeningDenied>, StoreRefused> {
        let mut reference_keys = vec![request.reference_key()];
        let idempotency = request.idempotency.as_ref();
        reference_keys.extend(idempotency.map(|i| request.caller.reference(i.scope, &i.key)));
        let opening = Box::new(settle::open(draft, opening));
        let digest = idempotency.map(|i| i.digest).or(request.digest);
        let open = |opening| OpenPurchase { reference_keys, digest, opening };
        let written = self.commit_move(permit, opening, Some(limits::BEGUN_WITHIN), open).await;
        let with_balance = |Moved { mut purchase, done: available_after }: Moved<i64>| {
            purchase.available_after = Money::new(available_after, purchase.amount.currency());
            purchase
        };
        Ok(self.or_unavailable(written)?.map(with_balance))
    }

    fn refused(&self, request: &PurchaseRequest, why: OpeningDenied) -> BuyRefused {
        match why {
            OpeningDenied::ReferenceUsed(used) if used.reference.scope != request.scope => {
                IdempotencyRunning.into()
            }
            OpeningDenied::ReferenceUsed(used) => self.reference_known(used.by.purchase).into(),
            OpeningDenied::Money(why) => denied(&why, request.amount.currency()).into(),
            // An id of a closed month: the clock is far behind.
            OpeningDenied::Closed => Unavailable { retry_after_s: 1 }.into(),
        }
    }

    /// Whether this idempotency key is new; else the outcome of its first use.
    fn first_use(&self, caller: &Caller, idempotency: &Idempotency) -> Result<KeyUse, BuyRefused> {
        let reference = caller.reference(idempotency.scope, &idempotency.key);
        let running = Running::begin(self, reference.clone()).ok_or(IdempotencyRunning)?;
        let stored = self.or_unavailable(self.inner.store.stored_reference(&reference))?;
        let Some(stored) = stored else { return Ok(KeyUse::First(running)) };
        if stored.digest != Some(idempotency.digest) {
            return Err(IdempotencyMismatch.into());
        }
        let key = stored.purchase.ok_or(ReferenceKnown { first: None })?;
        let purchase = self.or_unavailable(self.inner.store.purchase(&key))?;
        // Archived: the key is used up, and its purchase cannot be shown any more.
        let purchase = purchase.ok_or(ReferenceKnown { first: None })?;
        let replay = self.or_unavailable(self.inner.store.kept_response(&reference))?;
        let replay = replay.map(|(status, body)| Replay { status, body });
        let purchase = Box::new(purchase);
        Ok(KeyUse::Repeated(PurchaseOutcome::Repeated { purchase, replay }))
    }

    /// Stores the first answer to a request with an idempotency key, for its replays.
    pub async fn remember(
        &self,
        caller: &Caller,
        scope: ReferenceScope,
        key: &str,
        replay: Replay,
    ) {
        let reference = caller.reference(scope, key);
        let change = KeepResponse { reference, status: replay.status, body: replay.body };
        // Without it a replay renders the purchase in its current state.
        if let Err(fault) = self.commit(&self.work(), change).await {
            tracing::warn!(%fault, "the first answer to an idempotency key could not be stored");
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

/// How an idempotency key is used by a request.
enum KeyUse {
    First(Running),
    Repeated(PurchaseOutcome),
}

/// An idempotency key that is being worked on, until this is dropped.
struct Running {
    engine: Engine,
    reference: ReferenceKey,
}

impl Running {
    fn begin(engine: &Engine, reference: ReferenceKey) -> Option<Running> {
        let is_new = engine.inner.running.lock().insert(reference.clone());
        is_new.then(|| Running { engine: engine.clone(), reference })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.engine.inner.running.lock().remove(&self.reference);
    }
}
