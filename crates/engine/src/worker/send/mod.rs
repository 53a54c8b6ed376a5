//! Sends webhooks: in order within a purchase and endpoint, tried again after failures.
//!
//! Webhooks of a step of this node come from memory, with the lease that their commit gave them;
//! all others are leased when they are due. Invariant: nothing is sent twice at once and nothing is
//! lost: what is not on record as accepted is due again when its lease ends.

mod attempt;
mod host_queues;

use super::or_longest;
use crate::{Engine, limits};
use domain::PurchaseId;
use domain::ids::first_at;
use domain::webhook::schedule::host_of;
use host_queues::{HostQueues, QueueFull, SeriesCounts};
use std::sync::atomic::Ordering;
use std::time::Duration;
use store::{Change, Done, DueWebhook, EndedLease, EndpointChange, Fault, LeaseEnd, WebhookChange};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Webhooks of one purchase for one endpoint, in their order.
pub(crate) type WebhookSeries = Vec<DueWebhook>;

/// What the loop that sends webhooks is given.
pub(crate) enum QueueEvent {
    /// A step was committed with these.
    Committed(WebhookSeries),
    /// These were leased.
    Leased(Vec<DueWebhook>),
    /// A series was sent to a host.
    Done { host: String, counts: SeriesCounts },
}

impl Engine {
    /// Queues webhooks by host, and sends them as hosts take turns.
    pub(super) async fn send_webhooks(self, stop: CancellationToken) {
        let events = self.inner.webhooks.queue_receiver.lock().take();
        let Some(mut events) = events.filter(|_| self.inner.webhooks.parts.is_some()) else {
            return;
        };
        let mut queues = HostQueues::default();
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                event = events.recv() => {
                    let Some(event) = event else { return };
                    self.handle(&mut queues, event);
                    self.handle_waiting(&mut queues, &mut events);
                }
                _ = ticks.tick() => queues.tick(self.monotonic()),
                () = stop.cancelled() => return,
            }
            while let Some((host, series)) = queues.next(self.monotonic()) {
                let engine = self.clone();
                self.inner.tasks.spawn(async move {
                    let counts = engine.send_series(series).await;
                    // When the process ends, nobody receives it.
                    let done = QueueEvent::Done { host, counts };
                    let _ = engine.inner.webhooks.queue_events.send(done).await;
                });
            }
            self.inner.webhooks.waiting.store(queues.waiting(), Ordering::Relaxed);
        }
    }

    fn handle_waiting(&self, queues: &mut HostQueues, events: &mut mpsc::Receiver<QueueEvent>) {
        for _ in 0..limits::WEBHOOKS_LEASED_MAX {
            let Ok(event) = events.try_recv() else { return };
            self.handle(queues, event);
        }
    }

    fn handle(&self, queues: &mut HostQueues, event: QueueEvent) {
        match event {
            // Full: due when its lease ends.
            QueueEvent::Committed(series) => drop(self.enqueue(queues, series)),
            QueueEvent::Leased(due) => {
                let mut put_off = Vec::new();
                for series in into_series(due) {
                    if let Err(full) = self.enqueue(queues, series) {
                        put_off.push(full);
                    }
                }
                if !put_off.is_empty() {
                    let engine = self.clone();
                    self.inner.tasks.spawn(async move { engine.put_off_full(put_off).await });
                }
            }
            QueueEvent::Done { host, counts } => {
                if queues.finish(&host, counts) {
                    self.write_trust(EndpointChange::Trust { host, at: self.now() });
                }
            }
        }
    }

    fn enqueue(&self, queues: &mut HostQueues, series: WebhookSeries) -> Result<(), QueueFull> {
        let Some(first) = series.first() else { return Ok(()) };
        let host = host_of(&first.pending.url);
        let is_trusted = self.cached_endpoints().is_ok_and(|endpoints| endpoints.trusts(&host))
            || self.is_this_machine(&host);
        queues.enqueue(host, series, is_trusted)
    }

    /// Where webhooks may go to this machine at all, it is trusted.
    fn is_this_machine(&self, host: &str) -> bool {
        let may = self.inner.webhooks.parts.as_ref().is_some_and(|parts| parts.allow_loopback);
        may && (host.starts_with("127.")
            || host.starts_with("localhost")
            || host.starts_with("[::1]"))
    }

    /// Makes what found its queue full due again later: soon, unless the host only fails.
    async fn put_off_full(&self, full: Vec<QueueFull>) {
        for QueueFull { series, is_failing } in full {
            let wait = match is_failing {
                true => limits::FULL_AND_FAILING_RETRY_AFTER,
                false => limits::FULL_RETRY_AFTER,
            };
            let end = LeaseEnd::PutOff { until: self.now().after(wait), refused: false };
            for webhook in series {
                self.write_end(EndedLease { webhook, end, attempt: None, release: None }).await;
            }
        }
    }

    /// Leases what is due, as there is room.
    pub(in crate::worker) async fn lease_webhooks(self, stop: CancellationToken) {
        if self.inner.webhooks.parts.is_none() {
            return;
        }
        let mut looked_at = self.monotonic();
        while !stop.is_cancelled() {
            let idle_wait = self.lease_webhooks_once().await;
            let idle_wait = or_longest(idle_wait, "no webhooks could be leased");
            tokio::select! {
                () = tokio::time::sleep(idle_wait) => {}
                () = self.inner.webhooks.due.notified() => {}
                () = stop.cancelled() => return,
            }
            let now = self.monotonic();
            if now.saturating_sub(looked_at) >= limits::ENDPOINTS_CACHED {
                looked_at = now;
                if let Err(fault) = self.look_for_changed_endpoints() {
                    tracing::warn!(%fault, "changes of endpoints could not be read");
                }
            }
        }
    }

    /// Answers how long to wait before the next lease.
    async fn lease_webhooks_once(&self) -> Result<Duration, Fault> {
        let now = self.now();
        if self.is_halted() {
            return Ok(limits::SLEEP_MAX);
        }
        match self.inner.store.next_webhook_due()? {
            None => return Ok(limits::SLEEP_MAX),
            Some(due) if due > now => {
                return Ok(due.since(now).clamp(limits::SLEEP_MIN, limits::SLEEP_MAX));
            }
            Some(_) => {}
        }
        let waiting = self.inner.webhooks.waiting.load(Ordering::Relaxed);
        if waiting >= limits::WEBHOOKS_WAITING / 2 {
            return Ok(limits::SLEEP_MIN * 10);
        }
        let (lease, limit) = (limits::WEBHOOK_LEASE, limits::WEBHOOKS_LEASED_MAX);
        let change = Change::Webhook(WebhookChange::Lease { now, lease, limit });
        let Ok(Done::Webhooks(due)) = self.inner.store.write(change).await? else {
            return Ok(limits::SLEEP_MAX);
        };
        if !due.is_empty() {
            // The receiver is gone only when the process ends.
            let _ = self.inner.webhooks.queue_events.send(QueueEvent::Leased(due)).await;
        }
        Ok(limits::SLEEP_MIN)
    }

    /// Writes the result of a webhook in a task of its own, so that the next one need not wait.
    fn write_end_later(&self, ended: EndedLease) {
        let engine = self.clone();
        self.inner.tasks.spawn(async move { engine.write_end(ended).await });
    }

    async fn write_end(&self, ended: EndedLease) {
        let (account, purchase) = (ended.webhook.key.account, ended.webhook.key.id);
        let is_given_up = matches!(ended.end, LeaseEnd::GivenUp);
        let is_due_later = matches!(ended.end, LeaseEnd::PutOff { .. }) || ended.release.is_some();
        let change = Change::Webhook(WebhookChange::End(Box::new(ended)));
        if let Err(fault) = self.commit(change).await {
            tracing::warn!(
                %fault,
                %purchase,
                "the result of a webhook could not be written; it is due again after its lease"
            );
        } else if is_given_up {
            tracing::warn!(%account, %purchase, "a webhook is given up; it can be replayed");
        }
        if is_due_later {
            self.inner.webhooks.due.notify_one();
        }
    }

    fn write_trust(&self, change: EndpointChange) {
        let engine = self.clone();
        self.inner.tasks.spawn(async move {
            match engine.commit(Change::Endpoint(change)).await {
                Ok(()) => engine.inner.webhooks.endpoint_cache.forget(),
                Err(fault) => tracing::warn!(%fault, "the trust in a host could not be written"),
            }
        });
    }

    /// Deletes the log of a month ago, a few rows at a time.
    pub(in crate::worker) async fn prune_webhooks(self, stop: CancellationToken) {
        loop {
            let before = self.now().before(limits::WEBHOOKS_KEPT);
            let before_id = PurchaseId(first_at(before));
            let limit = limits::WEBHOOKS_PRUNED;
            let prune = WebhookChange::Prune { before, before_id, limit };
            let idle_wait = match self.inner.store.write(Change::Webhook(prune)).await {
                Ok(Ok(Done::Counted(count))) if count >= limit as usize => limits::SLEEP_MAX,
                Ok(_) => limits::PRUNE_EVERY,
                Err(fault) => {
                    tracing::warn!(%fault, "old webhooks could not be deleted");
                    limits::PRUNE_EVERY
                }
            };
            let wait = tokio::time::sleep(idle_wait);
            let Some(()) = stop.run_until_cancelled(wait).await else { return };
        }
    }
}

/// Splits leased webhooks, which come in order, into their series.
fn into_series(due: Vec<DueWebhook>) -> Vec<WebhookSeries> {
    let mut all: Vec<WebhookSeries> = Vec::new();
    for webhook in due {
        let continues = |last: &DueWebhook| {
            last.key == webhook.key
                && last.pending.endpoint == webhook.pending.endpoint
                && last.pending.url == webhook.pending.url
        };
        match all.last_mut() {
            Some(series) if series.last().is_some_and(continues) => series.push(webhook),
            Some(_) | None => all.push(vec![webhook]),
        }
    }
    all
}
