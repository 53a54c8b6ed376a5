//! The same sale again: the same recipient, operator and amount within two minutes, under another
//! reference, whatever was bought and in whichever dialect (CONTRACT A-42).
//!
//! A node keeps its recent sales in memory. What other nodes sold, and this one before it started,
//! is read once a second while it sells, the latest purchases in the order of their primary key;
//! the sale that begins the reading waits for it, but not long. So what two nodes sell within the
//! same second is not compared: this is a warning for people who press a button twice, not what
//! keeps money right.

use super::PurchaseRequest;
use crate::rate::CallerKey;
use crate::{Engine, limits};
use domain::ids::IdMap;
use domain::refusal::{BuyRefused, PossibleDuplicate};
use domain::{DuplicatePolicy, Money, Purchase, PurchaseKey, ReferenceKey, ReferenceScope, State};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;
use store::Fault;

/// What makes two sales the same, in 16 bytes: two hashes, keyed by chance at the start, which two
/// different sales share no more often than two UUIDs meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct SaleKey([u64; 2]);

/// A sale of the last minutes.
#[derive(Clone, Debug)]
struct Sale {
    scope: ReferenceScope,
    reference: String,
    at: Duration,
}

/// The recent sales that this node knows.
#[derive(Default)]
pub(crate) struct RecentSales {
    hashers: [RandomState; 2],
    window: Mutex<Window>,
}

impl RecentSales {
    /// Two sales of one seller are the same by these. An operator sells in one currency.
    fn key(&self, of: CallerKey, operator: &str, recipient: &str, amount: Money) -> SaleKey {
        let sold = (of, operator, recipient, amount.minor());
        SaleKey(self.hashers.each_ref().map(|hasher| hasher.hash_one(sold)))
    }
}

#[derive(Default)]
struct Window {
    sales: IdMap<SaleKey, Sale>,
    /// In the order in which they were noted, so that the oldest are forgotten first.
    order: VecDeque<(Duration, SaleKey)>,
    /// When the store's latest purchases were last read.
    read_at: Option<Duration>,
    /// One reading at a time: a slow database must have connections left for buyers.
    is_read_now: bool,
}

/// A sale that was noted before its purchase opens.
pub(crate) struct NotedSale {
    key: SaleKey,
    reference: String,
    /// What it took the place of.
    before: Option<Sale>,
    /// The reference of the earlier sale that looks the same.
    pub(super) possible_duplicate_of: Option<String>,
}

impl Engine {
    /// Notes a sale before its purchase opens, and finds the earlier one that looks the same; none
    /// if the account does not want to know. Refuses it, if the account wants that and the request
    /// does not allow it.
    pub(crate) async fn note_sale(
        &self,
        request: &PurchaseRequest,
    ) -> Result<Option<NotedSale>, BuyRefused> {
        let policy = request.caller.duplicates;
        if policy == DuplicatePolicy::Off {
            return Ok(None);
        }
        self.read_sales().await;
        let now = self.monotonic();
        let PurchaseRequest { caller, operator, recipient, amount, .. } = request;
        let key = self.inner.sales.key(caller.rate_key(), operator, recipient, *amount);
        let (scope, reference) = (request.scope, request.reference.clone());
        let before =
            self.inner.sales.window.lock().note(key, Sale { scope, reference, at: now }, now);
        let is_this = |sale: &Sale| sale.scope == scope && sale.reference == request.reference;
        let earlier = before.as_ref().filter(|sale| !is_this(sale));
        let is_refused = policy == DuplicatePolicy::Refuse && !request.allow_duplicate;
        // Only a refusal is worth a query: the earlier sale may have failed meanwhile.
        let earlier = earlier.filter(|earlier| !is_refused || self.stands(request, earlier));
        let earlier = earlier.map(|sale| sale.reference.clone());
        let (reference, possible_duplicate_of) = (request.reference.clone(), earlier.clone());
        let noted = NotedSale { key, reference, before, possible_duplicate_of };
        match earlier {
            Some(earlier) if is_refused => {
                self.forget_sale(Some(noted));
                Err(self.known_or(request, PossibleDuplicate { earlier }.into()))
            }
            Some(_) | None => Ok(Some(noted)),
        }
    }

    /// Forgets a sale whose purchase was not opened; the earlier one counts again.
    pub(crate) fn forget_sale(&self, noted: Option<NotedSale>) {
        let Some(NotedSale { key, reference, before, .. }) = noted else { return };
        let mut window = self.inner.sales.window.lock();
        if window.sales.get(&key).is_some_and(|sale| sale.reference == reference) {
            match before {
                Some(before) => window.sales.insert(key, before),
                None => window.sales.remove(&key),
            };
        }
    }

    /// Forgets a sale that failed: it is repeated with reason.
    pub(crate) fn forget_failed_sale(&self, noted: Option<NotedSale>, state: State) {
        if !may_be_delivered(state) {
            self.forget_sale(noted);
        }
    }

    /// Whether the earlier sale may have been delivered.
    fn stands(&self, request: &PurchaseRequest, earlier: &Sale) -> bool {
        let key: ReferenceKey = request.caller.reference(earlier.scope, &earlier.reference);
        let stored = self.inner.store.stored_reference(&key).ok().flatten();
        let purchase = stored.and_then(|stored| stored.purchase);
        let purchase = purchase.and_then(|key| self.inner.store.purchase(&key).ok().flatten());
        // Its commit may still be under way.
        purchase.is_none_or(|purchase| may_be_delivered(purchase.state))
    }

    /// Where other nodes sell too: reads the latest purchases, if that is due. A slow database is
    /// not waited for.
    async fn read_sales(&self) {
        if !self.inner.store.is_shared() {
            return;
        }
        {
            let mut window = self.inner.sales.window.lock();
            let now = self.monotonic();
            let age = window.read_at.map(|at| now.saturating_sub(at));
            if window.is_read_now || age.is_some_and(|age| age < limits::SALES_READ_EVERY) {
                return;
            }
            window.is_read_now = true;
        }
        let engine = self.clone();
        let reading = self.inner.tasks.spawn(async move {
            if let Err(fault) = engine.note_stored_sales().await {
                tracing::debug!(%fault, "the latest sales could not be read");
            }
            let mut window = engine.inner.sales.window.lock();
            window.is_read_now = false;
            window.read_at = Some(engine.monotonic());
        });
        let _ = tokio::time::timeout(limits::SALES_AWAITED, reading).await;
    }

    /// Reads the latest purchases: what was sold before a start, or by other nodes.
    pub(crate) async fn note_stored_sales(&self) -> Result<(), Fault> {
        let latest =
            self.blocking(|store| store.latest_purchases(None, limits::SALES_READ)).await?;
        let now = self.monotonic();
        let mut window = self.inner.sales.window.lock();
        for purchase in latest.into_iter().rev().filter(|p| may_be_delivered(p.state)) {
            let age = self.elapsed_since(purchase.opened_at);
            let Purchase { operator, recipient, amount, .. } = &purchase;
            let PurchaseKey { account, environment, .. } = purchase.key;
            let of = CallerKey { account, environment };
            let key = self.inner.sales.key(of, operator, recipient, *amount);
            let at = now.saturating_sub(age);
            let sale = Sale { scope: purchase.scope, reference: purchase.reference, at };
            // One that is known may be an older one with the same key.
            let is_news = window.sales.get(&key).is_none_or(|known| {
                known.at < at && (known.scope, &known.reference) != (sale.scope, &sale.reference)
            });
            if age < limits::SAME_SALE_WITHIN && is_news {
                window.note(key, sale, now);
            }
        }
        Ok(())
    }
}

const fn may_be_delivered(state: State) -> bool {
    match state {
        State::Quoted | State::Failed | State::Rejected | State::Refunded => false,
        State::Awaiting
        | State::Held
        | State::Sent
        | State::InDoubt
        | State::WithStaff
        | State::Delivered => true,
    }
}

impl Window {
    /// Notes a sale; answers the one that it takes the place of, if that is recent.
    fn note(&mut self, key: SaleKey, sale: Sale, now: Duration) -> Option<Sale> {
        let is_over = |at: Duration| now.saturating_sub(at) >= limits::SAME_SALE_WITHIN;
        while let Some((at, oldest)) = self.order.front()
            && (is_over(*at) || self.order.len() >= limits::SALES_KEPT)
        {
            // A later sale with the same key has a place of its own in the order.
            if self.sales.get(oldest).is_some_and(|sale| sale.at <= *at) {
                self.sales.remove(oldest);
            }
            self.order.pop_front();
        }
        self.order.push_back((sale.at, key));
        self.sales.insert(key, sale).filter(|before| !is_over(before.at))
    }
}
