//! Sends pushes: what became of a purchase, to each device of its account; failures are retried.
//!
//! A push may arrive twice (the app replaces the first by its tag). No purchase waits for a push.
//! Without a push service its rows are deleted unsent. Invariant: no push reports what did not
//! happen.

use super::{free_slots, or_longest};
use crate::{Engine, PushParts, limits};
use domain::{Catalog, Purchase, Push, Pushed, Refusal, State};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use store::{Change, Done, DuePush, Fault, PushChange};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// What a device shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushText {
    /// A few words.
    pub title: String,
    /// One sentence.
    pub body: String,
    /// For the app, not shown.
    pub data: BTreeMap<String, String>,
}

/// Renders what a device shows, in the form of the dialect that sold the purchase.
pub trait PushRenderer: Send + Sync {
    /// The text for a purchase that became `state`; `None`: nothing is sent.
    fn render(&self, purchase: &Purchase, state: State, catalog: &Catalog) -> Option<PushText>;
}

impl Engine {
    pub(super) async fn send_pushes(self, stop: CancellationToken) {
        let slots = Arc::new(Semaphore::new(limits::PUSHES_AT_ONCE));
        while !stop.is_cancelled() {
            let idle_wait = self.lease_pushes(&slots).await.map(|leased| match leased {
                0 if free_slots(&slots) > 0 => limits::SLEEP_MAX,
                _ => limits::SLEEP_MIN,
            });
            let idle_wait = or_longest(idle_wait, "no pushes could be leased");
            stop.run_until_cancelled(tokio::time::sleep(idle_wait)).await;
        }
    }

    async fn lease_pushes(&self, slots: &Arc<Semaphore>) -> Result<usize, Fault> {
        let now = self.now();
        let limit = free_slots(slots);
        if limit == 0 || self.inner.store.next_push_due()?.is_none_or(|due| due > now) {
            return Ok(0);
        }
        let lease = Change::Push(PushChange::Lease { now, lease: limits::LEASE, limit });
        let Ok(Done::Pushes(due)) = self.inner.store.write(lease).await? else { return Ok(0) };
        for push in &due {
            let Ok(slot) = slots.clone().acquire_owned().await else { break };
            let (engine, push) = (self.clone(), *push);
            self.inner.tasks.spawn(async move {
                if let Err(fault) = engine.push(push).await {
                    tracing::warn!(
                        %fault,
                        purchase = %push.key.id,
                        "the result of a push could not be written; it is due again after its lease"
                    );
                }
                drop(slot);
            });
        }
        Ok(due.len())
    }

    /// Sends one push; it ends as sent, given up, or put off.
    async fn push(&self, due: DuePush) -> Result<(), Fault> {
        let Some(parts) = &self.inner.push else { return self.end_push(due).await };
        let Some(push) = self.render_push(parts, &due)? else { return self.end_push(due).await };
        let pushed = tokio::time::timeout(limits::PUSH_WITHIN, parts.pusher.push(&push)).await;
        let pushed = pushed
            .unwrap_or_else(|_| Pushed::Later { reason: "no answer in time".into(), after: None });
        let (purchase, device) = (due.key.id, due.device);
        match pushed {
            Pushed::Accepted => self.end_push(due).await,
            Pushed::Unregistered { reason } => {
                self.end_push(due).await?;
                let _ = self.forget_device(device).await;
                tracing::info!(%purchase, %device, reason, "a device is gone, and forgotten");
                Ok(())
            }
            Pushed::Refused { reason } => {
                self.end_push(due).await?;
                tracing::warn!(%purchase, %device, reason, "a push was refused for good");
                Ok(())
            }
            Pushed::Later { reason, after } => {
                let until = self.now().after(retry_wait(due.tries).max(after.unwrap_or_default()));
                if until >= due.at.after(limits::PUSH_VALID_FOR) {
                    self.end_push(due).await?;
                    tracing::warn!(%purchase, %device, reason, "a push is given up: it is too old");
                    return Ok(());
                }
                let tries = due.tries;
                self.commit(Change::Push(PushChange::PutOff { push: due, until })).await?;
                tracing::info!(%purchase, %device, reason, tries, "a push is tried again later");
                Ok(())
            }
        }
    }

    /// The push as it is sent; `None` if its device is gone, or the dialect sends nothing.
    fn render_push(&self, parts: &PushParts, due: &DuePush) -> Result<Option<Push>, Fault> {
        let devices = self.devices_of(due.key.account)?;
        let Some(device) = devices.into_iter().find(|device| device.id == due.device) else {
            return Ok(None);
        };
        let purchase = self.read_again(&due.key)?;
        let text = parts.renderer.render(&purchase, due.state, &self.catalog());
        Ok(text.map(|PushText { title, body, data }| Push {
            device_token: device.push_token,
            title,
            body,
            data,
            tag: format!("purchase-{}", due.key.id),
        }))
    }

    async fn end_push(&self, due: DuePush) -> Result<(), Fault> {
        self.commit(Change::Push(PushChange::End(due))).await
    }

    /// Sends the purchase's last push again, to every device of the account.
    pub(crate) async fn push_again(&self, purchase: &Purchase) -> Result<(), Refusal> {
        let again = PushChange::Resend { key: purchase.key, at: self.now() };
        self.or_unavailable(self.commit(Change::Push(again)).await)
    }
}

/// How long to wait before a push is tried again, after `tries` failures.
const fn retry_wait(tries: u32) -> Duration {
    Duration::from_secs(match tries {
        0 => 10,
        1 => 60,
        2 => 5 * 60,
        3 => 30 * 60,
        _ => 2 * 3600,
    })
}
