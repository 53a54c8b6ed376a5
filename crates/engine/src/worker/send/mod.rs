//! Tells accounts' servers what became of purchases: in order within a purchase, again on trouble.
//!
//! What a step of this node owes comes from memory, under a lease it was born with; everything else
//! is claimed when it is due. Invariant: nothing is sent twice at once, and nothing is lost: whatever
//! is not on record as taken is due again when its lease ends.

mod host_queues;

use crate::webhooks::{Noted, destination};
use crate::{Engine, WebhookParts, limits};
use domain::PurchaseId;
use domain::clock::Timestamp;
use domain::ids::first_at;
use domain::webhook::schedule::{BLOCKING_REFUSALS_MAX, Retry, host_of, retry_wait, webhook_id};
use domain::webhook::{Delivery, DeliveryResult, WebhookPost};
use host_queues::{Full, HostQueues, Thread, Went};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;
use store::{
    Change, DeliveryAttempt, Destination, Done, DueWebhook, EndedLease, EndpointChange, Fault,
    LeaseEnd, WebhookChange,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What comes to the lines.
pub(crate) enum Arrival {
    /// What a step owed just now: one purchase's for one endpoint, in order.
    Fresh(Thread),
    /// What was claimed.
    Leased(Vec<DueWebhook>),
    /// Somebody is back from a host.
    Back(String, Went),
}

impl Engine {
    /// Sends what arrives, each host in its own line.
    pub(super) async fn tell(self, stop: CancellationToken) {
        let arrived = &self.inner.webhooks.arrived;
        let taken = arrived.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut arrived) = taken.filter(|_| self.inner.webhooks.parts.is_some()) else {
            return;
        };
        let mut lines = HostQueues::default();
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                arrival = arrived.recv() => {
                    let Some(arrival) = arrival else { return };
                    self.line_up(&mut lines, arrival);
                    self.line_up_more(&mut lines, &mut arrived);
                }
                _ = ticks.tick() => lines.tick(self.monotonic()),
                () = stop.cancelled() => return,
            }
            while let Some((host, thread)) = lines.next(self.monotonic()) {
                let engine = self.clone();
                self.inner.tasks.spawn(async move {
                    let went = engine.tell_in_order(thread).await;
                    // At the end of the process nobody waits for it.
                    let _ = engine.inner.webhooks.arrivals().send(Arrival::Back(host, went)).await;
                });
            }
            self.inner.webhooks.waiting.store(lines.waiting(), Ordering::Relaxed);
        }
    }

    fn line_up_more(&self, lines: &mut HostQueues, arrived: &mut mpsc::Receiver<Arrival>) {
        for _ in 0..limits::WEBHOOKS_CLAIMED {
            let Ok(arrival) = arrived.try_recv() else { return };
            self.line_up(lines, arrival);
        }
    }

    fn line_up(&self, lines: &mut HostQueues, arrival: Arrival) {
        match arrival {
            // Full: due when its lease ends.
            Arrival::Fresh(thread) => drop(self.queue(lines, thread)),
            Arrival::Leased(due) => {
                let mut put_off = Vec::new();
                for thread in threads(due) {
                    if let Err(full) = self.queue(lines, thread) {
                        put_off.push(full);
                    }
                }
                if !put_off.is_empty() {
                    let engine = self.clone();
                    self.inner.tasks.spawn(async move { engine.put_off_full(put_off).await });
                }
            }
            Arrival::Back(host, went) => {
                if lines.back(&host, went) {
                    let change = EndpointChange::Trust { host, at: self.now() };
                    self.write_later(Change::Endpoint(change));
                }
            }
        }
    }

    fn queue(&self, lines: &mut HostQueues, thread: Thread) -> Result<(), Full> {
        let Some(first) = thread.first() else { return Ok(()) };
        let host = host_of(&first.pending.url);
        let is_trusted =
            self.cached_endpoints().is_ok_and(|book| book.trusts(&host)) || self.is_ours(&host);
        lines.arrive(host, thread, is_trusted)
    }

    /// This machine, where webhooks may go there at all, is no stranger.
    fn is_ours(&self, host: &str) -> bool {
        let may = self.inner.webhooks.parts.as_ref().is_some_and(|parts| parts.allow_loopback);
        may && (host.starts_with("127.")
            || host.starts_with("localhost")
            || host.starts_with("[::1]"))
    }

    /// What finds no room is looked at again later: soon if the host only has much to do.
    async fn put_off_full(&self, full: Vec<Full>) {
        for Full { thread, is_failing } in full {
            let wait = if is_failing { limits::FULL_AND_FAILING_WAITS } else { limits::FULL_WAITS };
            let until = self.now().after(wait);
            for webhook in thread {
                self.end(webhook, LeaseEnd::PutOff { until, refused: false }, None, None).await;
            }
        }
    }

    /// Takes what is due into hand, as there is room.
    pub(super) async fn take_webhooks(self, stop: CancellationToken) {
        if self.inner.webhooks.parts.is_none() {
            return;
        }
        let mut looked_at = self.monotonic();
        while !stop.is_cancelled() {
            let idle_wait = match self.claim_webhooks().await {
                Ok(idle_wait) => idle_wait,
                Err(fault) => {
                    tracing::warn!(%fault, "no webhooks could be taken");
                    limits::SLEEP_MAX
                }
            };
            tokio::select! {
                () = tokio::time::sleep(idle_wait) => {}
                () = self.inner.webhooks.due.notified() => {}
                () = stop.cancelled() => return,
            }
            let now = self.monotonic();
            if now.saturating_sub(looked_at) >= limits::ENDPOINTS_CACHED {
                looked_at = now;
                if let Err(fault) = self.look_for_changed_endpoints() {
                    tracing::warn!(%fault, "it cannot be seen whether endpoints have changed");
                }
            }
        }
    }

    /// Claims once; answers how long to rest.
    async fn claim_webhooks(&self) -> Result<Duration, Fault> {
        let now = self.now();
        if self.is_halted() {
            return Ok(limits::SLEEP_MAX);
        }
        match self.inner.store.next_webhook_due()? {
            None => return Ok(limits::SLEEP_MAX),
            Some(due) if due > now => {
                return Ok(due.since(now).clamp(NAP_MIN, limits::SLEEP_MAX));
            }
            Some(_) => {}
        }
        let waiting = self.inner.webhooks.waiting.load(Ordering::Relaxed);
        if waiting >= limits::WEBHOOKS_WAITING / 2 {
            return Ok(NAP_MIN * 10);
        }
        let (lease, limit) = (limits::WEBHOOK_LEASE, limits::WEBHOOKS_CLAIMED);
        let claim = Change::Webhook(WebhookChange::Lease { now, lease, limit });
        let Ok(Done::Webhooks(due)) = self.inner.store.write(claim).await? else {
            return Ok(limits::SLEEP_MAX);
        };
        if !due.is_empty() {
            // The lines are gone at the end of the process only.
            let _ = self.inner.webhooks.arrivals().send(Arrival::Leased(due)).await;
        }
        Ok(NAP_MIN)
    }

    /// Tells one purchase's webhooks to one endpoint, one after the other. One that is not taken
    /// holds up those after it, unless it was refused too often.
    async fn tell_in_order(&self, thread: Thread) -> Went {
        let Some(parts) = self.inner.webhooks.parts.as_ref() else { return Went::default() };
        let mut went = Went::default();
        let mut held_up_until = None;
        let last = thread.len().saturating_sub(1);
        for (n, webhook) in thread.into_iter().enumerate() {
            if let Some(until) = held_up_until {
                self.mark(webhook, LeaseEnd::PutOff { until, refused: false }, None, None);
                continue;
            }
            let Some((end, attempt)) = self.tell_one(parts, &webhook).await else { break };
            match (&attempt, end) {
                (Some(_), LeaseEnd::Accepted) => went.taken += 1,
                (Some(_), LeaseEnd::PutOff { .. } | LeaseEnd::GivenUp | LeaseEnd::Off) => {
                    went.failed += 1
                }
                (None, _) => {}
            }
            let holds_up = match end {
                LeaseEnd::PutOff { until, refused } => {
                    let refusals = webhook.refusals + u32::from(refused);
                    (refusals < BLOCKING_REFUSALS_MAX).then_some(until)
                }
                LeaseEnd::Accepted | LeaseEnd::GivenUp | LeaseEnd::Off => None,
            };
            held_up_until = holds_up;
            let release = (n == last && holds_up.is_none()).then(|| self.now());
            self.mark(webhook, end, attempt, release);
        }
        went
    }

    /// One try; `None`: it is somebody else's by now, or nobody can tell whose.
    async fn tell_one(
        &self,
        parts: &WebhookParts,
        webhook: &DueWebhook,
    ) -> Option<(LeaseEnd, Option<DeliveryAttempt>)> {
        let address = destination(&webhook.key, &webhook.pending);
        if self.inner.webhooks.endpoint_cache().is_off(&address) {
            return Some((LeaseEnd::Off, None));
        }
        let at = self.now();
        let later =
            LeaseEnd::PutOff { until: at.after(limits::FULL_AND_FAILING_WAITS), refused: false };
        let entry = match self.entry(webhook.pending.endpoint) {
            Ok(Some(entry)) => entry,
            Ok(None) => return Some((LeaseEnd::Off, None)),
            Err(fault) => {
                tracing::warn!(%fault, "endpoints could not be read; a webhook waits");
                return Some((later, None));
            }
        };
        if at.after(limits::WEBHOOK_WITHIN) >= webhook.until {
            return None;
        }
        let id = webhook_id(webhook.key.id, &webhook.pending.event);
        let Some(signature) = entry.secrets.sign(&id, at, &webhook.pending.body) else {
            return Some((later, None));
        };
        let post = post(webhook, id, at, signature);
        let delivery = tokio::time::timeout(limits::WEBHOOK_WITHIN, parts.sender.deliver(&post));
        let delivery = delivery.await.unwrap_or_else(|_| Delivery {
            result: DeliveryResult::Failed,
            status: None,
            took: limits::WEBHOOK_WITHIN,
            text: "no answer in time".to_owned(),
        });
        let end = self.judge(parts, webhook, &address, &delivery);
        tracing::debug!(
            webhook = post.headers[0].1,
            verdict = word(delivery.result),
            status = delivery.status,
            "a webhook was sent"
        );
        let took_ms = u32::try_from(delivery.took.as_millis()).unwrap_or(u32::MAX);
        let verdict = word(delivery.result).to_owned();
        let attempt =
            DeliveryAttempt { at, verdict, status: delivery.status, took_ms, text: delivery.text };
        Some((end, Some(attempt)))
    }

    /// What a try leads to.
    fn judge(
        &self,
        parts: &WebhookParts,
        webhook: &DueWebhook,
        address: &Destination,
        delivery: &Delivery,
    ) -> LeaseEnd {
        let now = self.now();
        let shelf = self.inner.webhooks.endpoint_cache();
        let (asked, refused) = match delivery.result {
            DeliveryResult::Accepted => {
                self.write_noted(address, shelf.is_well(address));
                return LeaseEnd::Accepted;
            }
            DeliveryResult::Gone => {
                self.write_noted(address, shelf.is_gone(address, now));
                return LeaseEnd::Off;
            }
            DeliveryResult::Busy { after } => (after, false),
            DeliveryResult::Failed => (None, delivery.status.is_some_and(is_refusal)),
            DeliveryResult::Blocked => (None, false),
        };
        self.write_noted(address, shelf.has_failed(address, now, parts.time_divisor));
        let tries = webhook.tries + 1;
        if delivery.result == DeliveryResult::Blocked && tries == limits::BLOCKED_UNTIL_ALARM {
            tracing::error!(account = %webhook.key.account, purchase = %webhook.key.id, "a webhook's address has led to a place that is not public, time and again");
        }
        let mut random = [0; 4];
        // Without chance the tries of many fall together.
        let _ = self.inner.random.fill(&mut random);
        let random = u32::from_le_bytes(random);
        let retry = Retry { tries, retry_after: asked, random, time_divisor: parts.time_divisor };
        match retry_wait(retry, now.since(webhook.pending_since)) {
            Some(wait) => LeaseEnd::PutOff { until: now.after(wait), refused },
            None => {
                tracing::warn!(account = %webhook.key.account, purchase = %webhook.key.id, "a webhook is given up; it can be replayed");
                LeaseEnd::GivenUp
            }
        }
    }

    fn write_noted(&self, address: &Destination, noted: Noted) {
        let (engine, address) = (self.clone(), address.clone());
        let health = match noted {
            Noted::Nothing => return,
            Noted::Store(health) => health,
            Noted::SwitchedOff(health) => {
                let why = health.off.as_ref().map_or("", |(_, why)| why);
                self.tell_of_switch_off(&address, why);
                Some(health)
            }
        };
        self.inner.tasks.spawn(async move {
            let shelf = engine.inner.webhooks.endpoint_cache();
            match engine.write_trouble(&address, health).await {
                Ok(()) => shelf.is_stored(&address),
                Err(fault) => tracing::warn!(%fault, "an address's trouble could not be noted"),
            }
        });
    }

    /// Writes what became of one, while the next is under way.
    fn mark(
        &self,
        webhook: DueWebhook,
        end: LeaseEnd,
        attempt: Option<DeliveryAttempt>,
        release: Option<Timestamp>,
    ) {
        let engine = self.clone();
        self.inner.tasks.spawn(async move { engine.end(webhook, end, attempt, release).await });
    }

    async fn end(
        &self,
        webhook: DueWebhook,
        end: LeaseEnd,
        attempt: Option<DeliveryAttempt>,
        release: Option<Timestamp>,
    ) {
        let purchase = webhook.key.id;
        let ended = EndedLease { webhook, end, attempt, release };
        let change = Change::Webhook(WebhookChange::End(Box::new(ended)));
        // Nothing in it can be denied: it needs nothing.
        if let Err(fault) = self.inner.store.write(change).await {
            tracing::warn!(%fault, %purchase, "what became of a webhook could not be noted; it is due again when its lease ends");
        }
        let is_later = matches!(end, LeaseEnd::PutOff { .. });
        if is_later || release.is_some() {
            self.inner.webhooks.due.notify_one();
        }
    }

    fn write_later(&self, change: Change) {
        let engine = self.clone();
        self.inner.tasks.spawn(async move {
            match engine.inner.store.write(change).await {
                Ok(_) => engine.inner.webhooks.endpoint_cache().forget(),
                Err(fault) => {
                    tracing::warn!(%fault, "what is known of a host could not be noted");
                }
            }
        });
    }

    /// Forgets the log of a month ago, a little at a time.
    pub(super) async fn prune_webhooks(self, stop: CancellationToken) {
        loop {
            let before = self.now().before(limits::WEBHOOKS_KEPT);
            let before_id = PurchaseId(first_at(before));
            let limit = limits::WEBHOOKS_PRUNED;
            let prune = WebhookChange::Prune { before, before_id, limit };
            let idle_wait = match self.inner.store.write(Change::Webhook(prune)).await {
                Ok(Ok(Done::Counted(count))) if count >= limit as usize => limits::SLEEP_MAX,
                Ok(_) => limits::PRUNE_EVERY,
                Err(fault) => {
                    tracing::warn!(%fault, "old webhooks could not be forgotten");
                    limits::PRUNE_EVERY
                }
            };
            tokio::select! {
                () = tokio::time::sleep(idle_wait) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

/// When something is due but there is no room, look again this often.
const NAP_MIN: Duration = Duration::from_millis(5);

/// Parts what was claimed, in its order, into what belongs together.
fn threads(due: Vec<DueWebhook>) -> Vec<Thread> {
    let mut threads: Vec<Thread> = Vec::new();
    for webhook in due {
        let belongs = |last: &DueWebhook| {
            last.key == webhook.key
                && last.pending.endpoint == webhook.pending.endpoint
                && last.pending.url == webhook.pending.url
        };
        match threads.last_mut() {
            Some(thread) if thread.last().is_some_and(belongs) => thread.push(webhook),
            Some(_) | None => threads.push(vec![webhook]),
        }
    }
    threads
}

fn post(webhook: &DueWebhook, id: String, at: Timestamp, signature: String) -> WebhookPost {
    WebhookPost {
        url: webhook.pending.url.clone(),
        environment: webhook.key.environment,
        headers: vec![
            ("webhook-id", id),
            ("webhook-timestamp", at.0.div_euclid(1_000_000).to_string()),
            ("webhook-signature", signature),
            ("saldo-sequence", webhook.pending.sequence.to_string()),
        ],
        body: webhook.pending.body.clone().into_bytes(),
    }
}

/// Whether the receiver says that it will never take it: 4xx, but for "too slow" and "too early".
const fn is_refusal(status: u16) -> bool {
    matches!(status, 400..=499) && !matches!(status, 408 | 425 | 429)
}

/// For the log.
const fn word(verdict: DeliveryResult) -> &'static str {
    match verdict {
        DeliveryResult::Accepted => "taken",
        DeliveryResult::Failed => "failed",
        DeliveryResult::Gone => "gone",
        DeliveryResult::Busy { .. } => "busy",
        DeliveryResult::Blocked => "blocked",
    }
}
