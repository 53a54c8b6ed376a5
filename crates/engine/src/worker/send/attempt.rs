//! One series of webhooks, one after the other; and one try of one webhook.
//!
//! Not here: queues and leases (the folder's `mod.rs`). Invariant: a webhook that was not accepted
//! holds up those after it, unless it was refused too often.

use super::WebhookSeries;
use super::host_queues::SeriesCounts;
use crate::webhooks::{HealthChange, destination};
use crate::{Engine, WebhookParts, limits};
use domain::webhook::schedule::{BLOCKING_REFUSALS_MAX, OFF_AFTER, retry_wait, webhook_id};
use domain::{Delivery, DeliveryResult, Retry, Timestamp, WebhookPost};
use store::{DeliveryAttempt, Destination, DueWebhook, EndedLease, LeaseEnd, SetEndpointHealth};

/// How one try ended.
struct TryResult {
    end: LeaseEnd,
    /// `None` if nothing was sent.
    attempt: Option<DeliveryAttempt>,
}

impl Engine {
    /// Sends the webhooks of one purchase to one endpoint, in order.
    pub(super) async fn send_series(&self, series: WebhookSeries) -> SeriesCounts {
        let mut counts = SeriesCounts::default();
        let Some(parts) = self.inner.webhooks.parts.as_ref() else { return counts };
        let mut held_up_until = None;
        let last = series.len().saturating_sub(1);
        for (n, webhook) in series.into_iter().enumerate() {
            if let Some(until) = held_up_until {
                let end = LeaseEnd::PutOff { until, refused: false };
                self.write_end_later(EndedLease { webhook, end, attempt: None, release: None });
                continue;
            }
            let Some(TryResult { end, attempt }) = self.try_once(parts, &webhook).await else {
                break;
            };
            match (&attempt, end) {
                (Some(_), LeaseEnd::Accepted) => counts.accepted += 1,
                (Some(_), LeaseEnd::PutOff { .. } | LeaseEnd::GivenUp | LeaseEnd::Off) => {
                    counts.failed += 1
                }
                (None, _) => {}
            }
            held_up_until = match end {
                LeaseEnd::PutOff { until, refused } => {
                    let refusals = webhook.refusals + u32::from(refused);
                    (refusals < BLOCKING_REFUSALS_MAX).then_some(until)
                }
                LeaseEnd::Accepted | LeaseEnd::GivenUp | LeaseEnd::Off => None,
            };
            let release = (n == last && held_up_until.is_none()).then(|| self.now());
            self.write_end_later(EndedLease { webhook, end, attempt, release });
        }
        counts
    }

    /// One try; `None` if the lease would end before the try does: then another node may have it.
    async fn try_once(&self, parts: &WebhookParts, webhook: &DueWebhook) -> Option<TryResult> {
        let unsent = |end| Some(TryResult { end, attempt: None });
        let address = destination(&webhook.key, &webhook.pending);
        if self.inner.webhooks.endpoint_cache.is_off(&address) {
            return unsent(LeaseEnd::Off);
        }
        let at = self.now();
        let until = at.after(limits::FULL_AND_FAILING_RETRY_AFTER);
        let later = LeaseEnd::PutOff { until, refused: false };
        let endpoint = match self.opened_endpoint(webhook.pending.endpoint) {
            Ok(Some(endpoint)) => endpoint,
            Ok(None) => return unsent(LeaseEnd::Off),
            Err(fault) => {
                tracing::warn!(%fault, "endpoints could not be read; a webhook waits");
                return unsent(later);
            }
        };
        // A lease that lasts longer than a lease is from before a step back of the clock.
        let is_over = at.after(limits::WEBHOOK_WITHIN) >= webhook.until;
        if is_over || webhook.until > at.after(limits::WEBHOOK_LEASE) {
            return None;
        }
        let id = webhook_id(webhook.key.id.number(), &webhook.pending.event);
        let Some(signature) = endpoint.secrets.sign(&id, at, &webhook.pending.body) else {
            return unsent(later);
        };
        let post = webhook_post(webhook, id, at, signature);
        let delivery = tokio::time::timeout(limits::WEBHOOK_WITHIN, parts.sender.deliver(&post));
        let delivery = delivery.await.unwrap_or_else(|_| Delivery {
            result: DeliveryResult::Failed,
            status: None,
            took: limits::WEBHOOK_WITHIN,
            text: "no answer in time".to_owned(),
        });
        let end = self.end_of(parts, webhook, &address, &delivery);
        let (verdict, status) = (stored_word(delivery.result), delivery.status);
        tracing::debug!(webhook = post.headers[0].1, verdict, status, "a webhook was sent");
        let took_ms = u32::try_from(delivery.took.as_millis()).unwrap_or(u32::MAX);
        let attempt = DeliveryAttempt {
            at,
            verdict: verdict.to_owned(),
            status,
            took_ms,
            text: delivery.text,
        };
        Some(TryResult { end, attempt: Some(attempt) })
    }

    /// What a delivery means for its webhook; keeps the health of the address.
    fn end_of(
        &self,
        parts: &WebhookParts,
        webhook: &DueWebhook,
        address: &Destination,
        delivery: &Delivery,
    ) -> LeaseEnd {
        let now = self.now();
        let cache = &self.inner.webhooks.endpoint_cache;
        let (asked, refused) = match delivery.result {
            DeliveryResult::Accepted => {
                self.write_health_change(address, cache.accepted(address));
                return LeaseEnd::Accepted;
            }
            DeliveryResult::Gone => {
                self.write_health_change(address, cache.gone(address, now));
                return LeaseEnd::Off;
            }
            DeliveryResult::Busy { after } => (after, false),
            DeliveryResult::Failed => (None, delivery.status.is_some_and(is_refusal)),
            DeliveryResult::Blocked => (None, false),
        };
        let off_after = OFF_AFTER / parts.time_divisor.max(1);
        self.write_health_change(
            address,
            cache.failed(address, now, off_after, |since| self.elapsed_since(since)),
        );
        let tries = webhook.tries + 1;
        let (account, purchase) = (webhook.key.account, webhook.key.id);
        if delivery.result == DeliveryResult::Blocked && tries == limits::BLOCKED_UNTIL_ALARM {
            tracing::error!(
                %account,
                %purchase,
                "a webhook's address has led to a place that is not public, time and again"
            );
        }
        let random = u32::from_le_bytes(self.random_bytes().unwrap_or_default());
        let retry = Retry { tries, retry_after: asked, random, time_divisor: parts.time_divisor };
        match retry_wait(retry, self.elapsed_since(webhook.pending_since)) {
            Some(wait) => LeaseEnd::PutOff { until: now.after(wait), refused },
            None => LeaseEnd::GivenUp,
        }
    }

    fn write_health_change(&self, address: &Destination, change: HealthChange) {
        let (engine, address) = (self.clone(), address.clone());
        let health = match change {
            HealthChange::Nothing => return,
            HealthChange::Store(health) => health,
            HealthChange::SwitchedOff(health) => {
                let why = health.off.as_ref().map_or("", |(_, why)| why);
                self.mail_switch_off(&address, why);
                Some(health)
            }
        };
        self.inner.tasks.spawn(async move {
            match engine.commit(&engine.work(), SetEndpointHealth(address.clone(), health)).await {
                Ok(()) => engine.inner.webhooks.endpoint_cache.stored(&address),
                Err(fault) => {
                    tracing::warn!(%fault, "the health of an address could not be written");
                }
            }
        });
    }
}

fn webhook_post(webhook: &DueWebhook, id: String, at: Timestamp, signature: String) -> WebhookPost {
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

/// Whether the receiver will never accept it: 4xx, except "timeout", "too early" and "too many".
const fn is_refusal(status: u16) -> bool {
    matches!(status, 400..=499) && !matches!(status, 408 | 425 | 429)
}

/// The word that is stored and logged.
const fn stored_word(result: DeliveryResult) -> &'static str {
    match result {
        DeliveryResult::Accepted => "taken",
        DeliveryResult::Failed => "failed",
        DeliveryResult::Gone => "gone",
        DeliveryResult::Busy { .. } => "busy",
        DeliveryResult::Blocked => "blocked",
    }
}
