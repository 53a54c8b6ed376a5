//! What accounts' servers are told: who is owed what by a step, and where it goes.
//!
//! Not here: the words (a face's), the way there (a courier's), when it is tried again
//! (`worker::tell`). Invariant: what is owed is written in the commit of the step that it tells of.

mod endpoint_cache;
mod manage;
mod signature;

pub use manage::{EndpointView, NewEndpoint};

pub(crate) use endpoint_cache::{Noted, destination};

use crate::worker::Arrival;
use crate::{Engine, WebhookParts, limits};
use domain::purchase::settle::Move;
use domain::webhook::schedule::{PendingWebhook, SuccessEvent};
use domain::{Purchase, PurchaseKey, Timestamp};
use endpoint_cache::{EndpointCache, wants};
use std::borrow::Cow;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use store::{DueWebhook, Fault};
use tokio::sync::{Notify, mpsc};

/// Finds the words of a face for what became of a purchase, as its account's servers hear it.
pub trait WebhookRenderer: Send + Sync {
    /// What is told of a purchase that has just opened, or taken a step, to what it is now: nothing,
    /// or one or more events in their order.
    fn tell(&self, purchase: &Purchase, success: SuccessEvent) -> Vec<RenderedEvent>;

    /// What an account sends itself to see whether it arrives.
    fn test(&self, endpoint: &store::Endpoint, at: Timestamp) -> RenderedEvent;

    /// The names of all events there are.
    fn events(&self) -> &'static [&'static str];
}

/// One event, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedEvent {
    /// Its name.
    pub event: &'static str,
    /// Counts from 1 within the purchase.
    pub sequence: u32,
    /// What is sent: JSON.
    pub body: String,
}

/// The engine's part in it.
pub(crate) struct Webhooks {
    pub(crate) parts: Option<WebhookParts>,
    endpoint_cache: EndpointCache,
    arrivals: mpsc::Sender<Arrival>,
    pub(crate) arrived: Mutex<Option<mpsc::Receiver<Arrival>>>,
    /// Something is due that nobody has in hand.
    pub(crate) due: Notify,
    /// How many wait in memory.
    pub(crate) waiting: AtomicUsize,
}

impl Webhooks {
    pub(crate) fn new(parts: Option<WebhookParts>) -> Webhooks {
        let (arrivals, arrived) = mpsc::channel(limits::WEBHOOKS_ARRIVING);
        Webhooks {
            parts,
            endpoint_cache: EndpointCache::new(),
            arrivals,
            arrived: Mutex::new(Some(arrived)),
            due: Notify::new(),
            waiting: AtomicUsize::new(0),
        }
    }

    pub(crate) const fn endpoint_cache(&self) -> &EndpointCache {
        &self.endpoint_cache
    }

    pub(crate) const fn arrivals(&self) -> &mpsc::Sender<Arrival> {
        &self.arrivals
    }
}

impl Engine {
    /// Adds to a step what it owes to the account's servers. A fault: it is not known whom, and the step
    /// must not be taken.
    pub(crate) fn enqueue_webhooks(&self, step: &mut Move) -> Result<(), Fault> {
        let purchase = &step.after;
        let Some(parts) = &self.inner.webhooks.parts else { return Ok(()) };
        if purchase.version > 1 && !purchase.state.is_final() {
            return Ok(());
        }
        let book = self.cached_endpoints()?;
        let told = book.told(purchase);
        if told.is_empty() {
            return Ok(());
        }
        let tales = parts.renderer.tell(purchase, book.success_event(purchase));
        let (now, at) = (self.now(), purchase.updated_at);
        let mut owed = Vec::new();
        for (entry, url) in told {
            let wanted = tales.iter().filter(|tale| wants(&entry.endpoint, tale.event));
            let first = wanted.clone().next().map_or(0, |tale| tale.sequence);
            // Nothing can be before the first: it is taken up by this node, from memory.
            let is_leased = first == 1;
            let due = if is_leased { now.after(limits::WEBHOOK_LEASE) } else { now };
            for tale in wanted {
                let mut one = PendingWebhook {
                    event: Cow::Borrowed(tale.event),
                    sequence: tale.sequence,
                    endpoint: entry.endpoint.id,
                    url: url.to_owned(),
                    body: tale.body.clone(),
                    at,
                    due: Some(due),
                    is_leased,
                };
                if self.inner.webhooks.endpoint_cache.is_off(&destination(&purchase.key, &one)) {
                    (one.due, one.is_leased) = (None, false);
                }
                owed.push(Arc::new(one));
            }
        }
        step.webhooks = owed;
        Ok(())
    }

    /// Takes up what a step owed, now that it is on record. What finds no room in memory is due when
    /// its lease ends.
    pub(crate) fn dispatch_webhooks(&self, key: PurchaseKey, owed: Vec<Arc<PendingWebhook>>) {
        if owed.is_empty() || self.is_halted() {
            return;
        }
        let mut thread: Vec<DueWebhook> = Vec::new();
        let mut is_due = false;
        for one in owed {
            let Some(due) = one.due else { continue };
            let goes_on = thread.last().is_some_and(|last| last.pending.endpoint == one.endpoint);
            if !goes_on {
                self.hand_over(std::mem::take(&mut thread));
                if one.sequence != 1 {
                    is_due = true;
                    continue;
                }
            }
            let pending_since = one.at;
            let first = DueWebhook {
                key,
                pending: one,
                pending_since,
                tries: 0,
                refusals: 0,
                epoch: 0,
                until: due,
            };
            thread.push(first);
        }
        self.hand_over(thread);
        if is_due {
            self.inner.webhooks.due.notify_one();
        }
    }

    fn hand_over(&self, thread: Vec<DueWebhook>) {
        if !thread.is_empty() {
            // Full: due when the lease ends.
            let _ = self.inner.webhooks.arrivals.try_send(Arrival::Fresh(thread));
        }
    }
}
