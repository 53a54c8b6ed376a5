//! Buying: price and route from the snapshot, one commit that holds the money and records the first
//! attempt, then the upstream, then the settlement.
//!
//! Invariant: the work continues when the client disconnects, and a client is answered in time even
//! when the upstream does not answer.

mod duplicates;
mod routes;

pub(crate) use duplicates::RecentSales;
pub use routes::Unrouted;
pub(crate) use routes::UnroutedCounts;

use crate::refusals::{denied, ensure, not_possible, too_large};
use crate::request::{Idempotency, PurchaseOutcome, PurchaseRequest, Replay};
use crate::settle::moves::Moved;
use crate::upstreams::Choosing;
use crate::{Caller, Engine, Permit, limits};
use domain::purchase::settle;
use domain::refusal::{
    BuyRefused, DraftRefused, IdempotencyMismatch, IdempotencyRunning, NotPossible, ReferenceKnown,
    StoreRefused, Unavailable, Uncertain,
};
use domain::{
    AttemptChange, AttemptRef, Money, Opening, OpeningDenied, PassedOver, Purchase, PurchaseDraft,
    PurchaseKey, ReferenceKey, State, act,
};
use std::fmt;
use std::sync::{Arc, OnceLock};
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
        request.caller.may_buy()?;
        self.is_subscribed(&request.caller)?;
        let key = match &request.idempotency {
            Some(idempotency) => match self.first_use(&request.caller, idempotency)? {
                KeyUse::First(key) => Some(key),
                KeyUse::Repeated(outcome) => return Ok(outcome),
            },
            None => None,
        };
        let begins_as = self.may_buy(&request)?;
        let draft = self.draft(&request).await?;
        let sale = self.note_sale(&request).await?;
        let possible_duplicate_of =
            sale.as_ref().and_then(|sale| sale.possible_duplicate_of.clone());
        let opened_as = match self.opening(&request, &draft, begins_as) {
            Ok((opening, passed_over)) => OpenedAs { draft, opening, passed_over },
            Err(refused) => {
                self.forget_sale(sale);
                return Err(refused);
            }
        };
        // A task of its own: if the client disconnects, even during the commit, what is on record
        // is sent and settled all the same.
        let sent = Arc::new(OnceLock::new());
        let (engine, known) = (self.clone(), sent.clone());
        let settle = Box::pin(async move {
            let opened = match engine.open_purchase(&permit, &request, opened_as).await? {
                Ok(opened) => opened,
                Err(denied) => {
                    engine.forget_sale(sale);
                    return Err(engine.refused(&request, denied));
                }
            };
            if opened.state != State::Sent {
                return Ok(opened);
            }
            let settled = engine.drive(known.get_or_init(|| opened)).await;
            engine.forget_failed_sale(sale, settled.state);
            Ok::<_, BuyRefused>(settled)
        });
        // Boxed: what is spawned is moved several times.
        let settling = self.inner.tasks.spawn(settle);
        let settled = match tokio::time::timeout(limits::ANSWER_WITHIN, settling).await {
            Ok(Ok(settled)) => settled?,
            // It takes too long, or it panicked: the purchase as it was sent, if it was.
            Ok(Err(_)) | Err(_) => sent.get().cloned().ok_or(Uncertain)?,
        };
        Ok(PurchaseOutcome::Bought { purchase: Box::new(settled), possible_duplicate_of, key })
    }

    /// How a purchase opens: sent to an upstream, with those that were passed over before it, or
    /// waiting for staff. Refuses, before any money moves, when every upstream of its route is
    /// passed over; a reference that is used up is refused as such.
    fn opening(
        &self,
        request: &PurchaseRequest,
        draft: &PurchaseDraft,
        begins_as: Opening,
    ) -> Result<(Opening, Vec<PassedOver>), BuyRefused> {
        if !matches!(begins_as, Opening::Sent(_)) {
            return Ok((begins_as, Vec::new()));
        }
        let path = self.catalog().path(&request.price_query(draft.opened_at));
        let attempt = AttemptRef { purchase: draft.key.id.number(), number: 1 };
        let (environment, amount) = (draft.key.environment, draft.amount);
        match self.choose(&path.upstreams, Choosing { attempt, environment, amount }) {
            Ok(chosen) => Ok((Opening::Sent(chosen.upstream), chosen.passed_over)),
            Err(none) => Err(self.known_or(request, none.refusal().into())),
        }
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

    /// How the purchase begins. Refuses while the installation is halted, and what nothing is set
    /// up to deliver. A reference that is used up is refused as such, so that its client knows that
    /// there is nothing to wait for.
    fn may_buy(&self, request: &PurchaseRequest) -> Result<Opening, BuyRefused> {
        let routed = || Ok(self.first_step(&request.price_query(self.now()))?);
        let selling = self.may_sell().map_err(BuyRefused::from).and_then(|()| routed());
        selling.map_err(|refused| self.known_or(request, refused))
    }

    /// The refusal of a reference that is used up, or else this one.
    fn known_or(&self, request: &PurchaseRequest, refused: BuyRefused) -> BuyRefused {
        let stored = self.inner.store.stored_reference(&request.reference_key());
        match self.or_unavailable(stored) {
            Ok(None) => refused,
            Ok(Some(stored)) => self.reference_known(stored.purchase).into(),
            Err(unavailable) => unavailable.into(),
        }
    }

    pub(crate) fn reference_known(&self, key: Option<PurchaseKey>) -> ReferenceKnown {
        let first = key.and_then(|key| self.inner.store.purchase(&key).ok().flatten());
        ReferenceKnown { first: first.map(Box::new) }
    }

    /// A purchase before it opens, priced and numbered; nothing of it is stored.
    pub(crate) async fn draft(
        &self,
        request: &PurchaseRequest,
    ) -> Result<PurchaseDraft, DraftRefused> {
        let now = self.now();
        let price = self
            .catalog()
            .price(&request.price_query(now))
            .filter(|p| request.amount.plus(p.fee).is_some())
            .ok_or_else(too_large)?;
        let numbered = self.or_unavailable(self.next_purchase().await);
        // Nothing of the purchase is stored yet, whatever became of its number.
        let id = numbered.map_err(|_| Unavailable { retry_after_s: 1 })?;
        Ok(PurchaseDraft {
            key: PurchaseKey {
                account: request.caller.account,
                environment: request.caller.environment,
                id,
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
        })
    }

    /// Opens a purchase: from here on its reference is used up, and its money is where its state
    /// says.
    pub(crate) async fn open_purchase(
        &self,
        permit: &Permit<act::Buy>,
        request: &PurchaseRequest,
        opened_as: OpenedAs,
    ) -> Result<Result<Purchase, OpeningDenied>, StoreRefused> {
        let OpenedAs { draft, opening, passed_over } = opened_as;
        let mut reference_keys = vec![request.reference_key()];
        let idempotency = request.idempotency.as_ref();
        reference_keys.extend(idempotency.map(|i| request.caller.reference(i.scope, &i.key)));
        let id = draft.key.id;
        let mut opening = Box::new(settle::open(draft, opening));
        if let Some(AttemptChange::Start(attempt)) = &mut opening.attempt {
            attempt.passed_over = passed_over;
        }
        let digest = idempotency.map(|i| i.digest).or(request.digest);
        let open = |opening| OpenPurchase { reference_keys, digest, opening };
        let written = self.commit_move(permit, opening, Some(limits::BEGUN_WITHIN), open).await;
        let with_balance = |Moved { mut purchase, done: available_after }: Moved<i64>| {
            purchase.available_after = Money::new(available_after, purchase.amount.currency());
            purchase
        };
        let opened = self.or_unavailable(written)?;
        if opened.is_err() {
            self.give_back(id);
        }
        Ok(opened.map(with_balance))
    }

    fn refused(&self, request: &PurchaseRequest, why: OpeningDenied) -> BuyRefused {
        match why {
            OpeningDenied::ReferenceUsed(used) => self
                .key_used_elsewhere(request)
                .unwrap_or_else(|| self.reference_known(used.by.purchase).into()),
            OpeningDenied::Money(why) => denied(&why, request.amount.currency()).into(),
            // An id of a closed month: the clock is far behind.
            OpeningDenied::Closed => Unavailable { retry_after_s: 1 }.into(),
        }
    }

    /// The refusal of a request whose idempotency key another one used up meanwhile, on another
    /// node or after its client had gone. The first answer is not there yet.
    fn key_used_elsewhere(&self, request: &PurchaseRequest) -> Option<BuyRefused> {
        let idempotency = request.idempotency.as_ref()?;
        let reference = request.caller.reference(idempotency.scope, &idempotency.key);
        match self.or_unavailable(self.inner.store.stored_reference(&reference)) {
            Ok(None) => None,
            Ok(Some(stored)) if stored.digest == Some(idempotency.digest) => {
                Some(IdempotencyRunning.into())
            }
            Ok(Some(_)) => Some(IdempotencyMismatch.into()),
            Err(unavailable) => Some(unavailable.into()),
        }
    }

    /// Whether this idempotency key is new; else the outcome of its first use.
    fn first_use(&self, caller: &Caller, idempotency: &Idempotency) -> Result<KeyUse, BuyRefused> {
        let reference = caller.reference(idempotency.scope, &idempotency.key);
        let in_use = KeyInUse::begin(self, reference.clone()).ok_or(IdempotencyRunning)?;
        let stored = self.or_unavailable(self.inner.store.stored_reference(&reference))?;
        let Some(stored) = stored else { return Ok(KeyUse::First(in_use)) };
        ensure(stored.digest == Some(idempotency.digest), IdempotencyMismatch)?;
        let key = stored.purchase.ok_or(ReferenceKnown { first: None })?;
        let purchase = self.or_unavailable(self.inner.store.purchase(&key))?;
        // Archived: the key is used up, and its purchase cannot be shown any more.
        let purchase = purchase.ok_or(ReferenceKnown { first: None })?;
        let replay = self.or_unavailable(self.inner.store.kept_response(&reference))?;
        let replay = replay.map(|(status, body)| Replay { status, body });
        // Another node may be about to give the first answer. Past that time it was lost.
        let answered_by = purchase.opened_at.after(limits::ANSWER_WITHIN);
        let is_awaited =
            replay.is_none() && self.inner.store.is_shared() && self.now() < answered_by;
        ensure(!is_awaited, IdempotencyRunning)?;
        let purchase = Box::new(purchase);
        Ok(KeyUse::Repeated(PurchaseOutcome::Repeated { purchase, replay }))
    }

    /// Stores the first answer to a request with an idempotency key, for its replays. Until then
    /// the key is in use.
    pub async fn remember(&self, key: KeyInUse, replay: Replay) {
        let reference = key.0.reference.clone();
        let change = KeepResponse { reference, status: replay.status, body: replay.body };
        // Without it a replay renders the purchase in its current state.
        if let Err(fault) = self.commit(&self.work(), change).await {
            tracing::warn!(%fault, "the first answer to an idempotency key could not be stored");
        }
    }
}

/// How a purchase opens.
pub(crate) struct OpenedAs {
    pub(crate) draft: PurchaseDraft,
    pub(crate) opening: Opening,
    /// The upstreams before the one that it is sent to.
    pub(crate) passed_over: Vec<PassedOver>,
}

/// How an idempotency key is used by a request.
enum KeyUse {
    First(KeyInUse),
    Repeated(PurchaseOutcome),
}

/// An idempotency key whose first answer is not given yet: until then the same request is refused
/// as running.
#[derive(Clone)]
pub struct KeyInUse(Arc<Running>);

/// An idempotency key that is being worked on, until this is dropped.
struct Running {
    engine: Engine,
    reference: ReferenceKey,
}

impl KeyInUse {
    fn begin(engine: &Engine, reference: ReferenceKey) -> Option<KeyInUse> {
        let is_new = engine.inner.running.lock().insert(reference.clone());
        is_new.then(|| KeyInUse(Arc::new(Running { engine: engine.clone(), reference })))
    }
}

impl fmt::Debug for KeyInUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyInUse").field(&self.0.reference).finish()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.engine.inner.running.lock().remove(&self.reference);
    }
}
