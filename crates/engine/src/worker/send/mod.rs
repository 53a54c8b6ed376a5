//! Sends webhooks: in order within a purchase and endpoint, tried again after failures.
//!
//! Webhooks of a step of this node come from memory, with the lease that their commit gave them;
//! all others are leased when they are due. Invariant: nothing is sent twice at once and nothing is
//! lost: what is not on record as accepted is due again when its lease ends.

mod attempt;
mod host_queues;

use super::intervals::pause;
use super::queue::QueueHandler;
use crate::{Engine, limits};
use domain::ids::first_at;
use domain::webhook::schedule::host_of;
use domain::{PurchaseId, Timestamp};
use host_queues::{HostQueues, QueueFull, SeriesCounts};
use std::sync::atomic::Ordering;
use std::time::Duration;
use store::{DueWebhook, EndedLease, LeaseEnd, PruneWebhooks, TrustHost, Webhooks};
use tokio::sync::{Notify, mpsc};
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

/// Webhooks that no step of this node has just enqueued.
pub(super) struct WebhookHandler;

impl QueueHandler for WebhookHandler {
    type Queue = Webhooks;

    const NAME: &'static str = "webhooks";
    const LEASE: Duration = limits::WEBHOOK_LEASE;

    fn wake(engine: &Engine) -> &Notify {
        &engine.inner.webhooks.due
    }

    fn room(&self, engine: &Engine) -> u32 {
        let waiting = engine.inner.webhooks.waiting.load(Ordering::Relaxed);
        let has_room = waiting < limits::WEBHOOKS_WAITING / 2 && !engine.is_halted();
        if has_room { limits::WEBHOOKS_LEASED_MAX } else { 0 }
    }

    async fn take(&self, engine: &Engine, due: Vec<DueWebhook>) {
        // The receiver is gone only when the process ends.
        let _ = engine.inner.webhooks.queue_events.send(QueueEvent::Leased(due)).await;
    }
}

impl Engine {
    /// Queues webhooks by host, and sends them as hosts take turns.
    pub(super) async fn send_webhooks(self, stop: CancellationToken) {
        let events = self.inner.webhooks.queue_receiver.lock().take();
        let Some(mut events) = events else { return };
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
            let waiting = queues.waiting();
            let before = self.inner.webhooks.waiting.swap(waiting, Ordering::Relaxed);
            let half = limits::WEBHOOKS_WAITING / 2;
            if before >= half && waiting < half {
                self.inner.webhooks.due.notify_one();
            }
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
                    self.write_trust(TrustHost { host, at: self.now() });
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

    /// Reads again, each second, which endpoints other nodes have changed.
    pub(in crate::worker) async fn watch_endpoints(self, stop: CancellationToken) {
        while let Some(()) = pause(&stop, limits::ENDPOINTS_CACHED).await {
            if let Err(fault) = self.look_for_changed_endpoints() {
                tracing::warn!(%fault, "changes of endpoints could not be read");
            }
        }
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
        if let Err(fault) = self.commit(&self.work(), ended).await {
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

    fn write_trust(&self, trust: TrustHost) {
        let engine = self.clone();
        self.inner.tasks.spawn(async move {
            match engine.commit(&engine.work(), trust).await {
                Ok(()) => engine.inner.webhooks.endpoint_cache.forget(),
                Err(fault) => tracing::warn!(%fault, "the trust in a host could not be written"),
            }
        });
    }

    /// Deletes the log of a month ago, a few rows at a time.
    pub(in crate::worker) async fn prune_webhooks(self, stop: CancellationToken) {
        let (kept_for, limit) = (limits::WEBHOOKS_KEPT, limits::WEBHOOKS_PRUNED);
        let prune = |before: Timestamp| {
            // Of the day itself too: its ids do not tell the time.
            let before_id = PurchaseId(first_at(before.after(limits::A_DAY)));
            PruneWebhooks { before, before_id, limit }
        };
        self.prune(stop, kept_for, limit, prune, "old webhooks could not be deleted").await;
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
