//! The events that accounts' servers are sent: which of them a step causes, and where they go.
//! (`account_events` has those that are about no purchase.)
//!
//! Not here: their text (the dialect's), how they are posted (the webhook sender's), when they are
//! tried again (`worker::send`). Invariant: a webhook is written in the commit of the step that it
//! reports.

mod account_events;
mod endpoint_cache;
mod manage;
mod replay;
mod signature;

pub use account_events::AccountEvent;
pub use manage::{EndpointView, NewEndpoint};

pub(crate) use endpoint_cache::{HealthChange, destination, wants};

use crate::worker::QueueEvent;
use crate::{Engine, WebhookParts, limits};
use domain::webhook::canonical;
use domain::{
    AccountId, EndpointId, Move, PendingWebhook, Purchase, PurchaseKey, SuccessEvent, Timestamp,
};
use endpoint_cache::EndpointCache;
use parking_lot::Mutex;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use store::{DueWebhook, Fault};
use tokio::sync::{Notify, mpsc};

/// Renders the events of a purchase in the form of the dialect that sold it.
pub trait WebhookRenderer: Send + Sync {
    /// The events of a purchase that has just opened or taken a step, in their order; there may be
    /// none.
    fn render(&self, purchase: &Purchase, success: SuccessEvent) -> Vec<RenderedEvent>;

    /// The event that an account sends itself to test an endpoint.
    fn render_test(&self, endpoint: &store::Endpoint, at: Timestamp) -> RenderedEvent;

    /// An event about an account, not about a purchase of it.
    fn render_account(
        &self,
        account: AccountId,
        event: AccountEvent<'_>,
        at: Timestamp,
    ) -> RenderedEvent;

    /// The names of all events.
    fn event_names(&self) -> &'static [&'static str];
}

/// One event, as it will be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedEvent {
    /// The event's name.
    pub event: &'static str,
    /// Counts from 1 within the purchase.
    pub sequence: u32,
    /// The body: JSON.
    pub body: String,
}

impl RenderedEvent {
    /// The webhook that takes it to an endpoint's address; due at once, on whichever node.
    pub(crate) fn webhook(
        &self,
        endpoint: EndpointId,
        url: String,
        at: Timestamp,
    ) -> PendingWebhook {
        PendingWebhook {
            event: Cow::Borrowed(self.event),
            sequence: self.sequence,
            endpoint,
            url,
            body: self.body.clone(),
            at,
            due: Some(at),
            is_leased: false,
        }
    }
}

/// What the engine knows of webhooks in memory.
pub(crate) struct Webhooks {
    pub(crate) parts: Option<WebhookParts>,
    pub(crate) endpoint_cache: EndpointCache,
    pub(crate) queue_events: mpsc::Sender<QueueEvent>,
    /// Until the worker takes it.
    pub(crate) queue_receiver: Mutex<Option<mpsc::Receiver<QueueEvent>>>,
    /// A webhook may be due that no node has leased.
    pub(crate) due: Notify,
    /// A replay may go on.
    pub(crate) replays_due: Notify,
    /// How many wait in memory.
    pub(crate) waiting: AtomicUsize,
}

impl Webhooks {
    pub(crate) fn new(parts: Option<WebhookParts>) -> Webhooks {
        let (queue_events, queue_receiver) = mpsc::channel(limits::WEBHOOKS_ARRIVING);
        Webhooks {
            parts,
            endpoint_cache: EndpointCache::new(),
            queue_events,
            queue_receiver: Mutex::new(Some(queue_receiver)),
            due: Notify::new(),
            replays_due: Notify::new(),
            waiting: AtomicUsize::new(0),
        }
    }
}

impl Engine {
    /// Adds to a step the webhooks that report it. On a fault the receivers are unknown, and the
    /// step must not be taken.
    pub(crate) fn enqueue_webhooks(&self, step: &mut Move) -> Result<(), Fault> {
        let purchase = &step.after;
        let Some(parts) = &self.inner.webhooks.parts else { return Ok(()) };
        if purchase.version > 1 && !purchase.state.is_final() {
            return Ok(());
        }
        let endpoints = self.cached_endpoints()?;
        let receivers = endpoints.receivers(purchase);
        if receivers.is_empty() {
            return Ok(());
        }
        let events = parts.renderer.render(purchase, endpoints.success_event(purchase));
        let (now, at) = (self.now(), purchase.updated_at);
        let mut webhooks = Vec::new();
        // Who is there in two spellings, or by two endpoints, gets each event once.
        let mut sent: Vec<(String, &str)> = Vec::new();
        let is_alone = receivers.len() == 1;
        for (receiver, url) in receivers {
            let one = if is_alone { String::new() } else { canonical(url) };
            let is_new = |event: &str| sent.iter().all(|(to, name)| (to, *name) != (&one, event));
            let wanted: Vec<_> = events
                .iter()
                .filter(|event| wants(&receiver.endpoint, event.event) && is_new(event.event))
                .collect();
            sent.extend(wanted.iter().map(|event| (one.clone(), event.event)));
            let first = wanted.first().map_or(0, |event| event.sequence);
            // No event can be pending before the first one: this node sends it, from memory.
            let is_leased = first == 1;
            let due = if is_leased { now.after(limits::WEBHOOK_LEASE) } else { now };
            for event in wanted {
                let mut webhook = event.webhook(receiver.endpoint.id, url.to_owned(), at);
                (webhook.due, webhook.is_leased) = (Some(due), is_leased);
                let address = destination(&purchase.key, &webhook);
                if self.inner.webhooks.endpoint_cache.is_off(&address) {
                    (webhook.due, webhook.is_leased) = (None, false);
                }
                webhooks.push(Arc::new(webhook));
            }
        }
        step.webhooks = webhooks;
        Ok(())
    }

    /// Hands the webhooks of a committed step to the worker. Those that find no room in memory are
    /// due when their lease ends.
    pub(crate) fn dispatch_webhooks(&self, key: PurchaseKey, webhooks: Vec<Arc<PendingWebhook>>) {
        if webhooks.is_empty() || self.is_halted() {
            return;
        }
        let mut series: Vec<DueWebhook> = Vec::new();
        let mut is_due = false;
        for webhook in webhooks {
            let Some(until) = webhook.due else { continue };
            let continues =
                series.last().is_some_and(|last| last.pending.endpoint == webhook.endpoint);
            if !continues {
                self.hand_over(std::mem::take(&mut series));
                if webhook.sequence != 1 {
                    is_due = true;
                    continue;
                }
            }
            let (pending_since, pending) = (webhook.at, webhook);
            series.push(DueWebhook {
                key,
                pending,
                pending_since,
                tries: 0,
                refusals: 0,
                epoch: 0,
                until,
            });
        }
        self.hand_over(series);
        if is_due {
            self.inner.webhooks.due.notify_one();
        }
    }

    fn hand_over(&self, series: Vec<DueWebhook>) {
        if !series.is_empty() {
            // Full: due when the lease ends.
            let _ = self.inner.webhooks.queue_events.try_send(QueueEvent::Committed(series));
        }
    }
}
