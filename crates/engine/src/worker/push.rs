//! Tells devices what became of purchases: pushes of the outbox, one at a time each, again on trouble.
//!
//! A push may arrive twice (the app replaces the first by its tag), never about something that did
//! not happen. Nothing of a purchase waits for it. Without a push service its lines are cleared.

use crate::{Engine, PushParts, limits};
use domain::clock::Timestamp;
use domain::push::{Push, Pushed};
use domain::refusal::Refusal;
use domain::{Catalog, Purchase, State};
use std::sync::Arc;
use std::time::Duration;
use store::{Change, Done, DuePush, Fault, PushChange};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// While pushes are due, or every seat is taken, look again after this.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What an app is shown, in the words of the face that sold the purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// In a few words.
    pub title: String,
    /// In a sentence.
    pub body: String,
    /// For the app to read.
    pub data: std::collections::BTreeMap<String, String>,
}

/// Renders what a device shows, in the words of the dialect that sold the purchase.
pub trait PushRenderer: Send + Sync {
    /// What an app is shown when the purchase became `state`; `None`: nothing is sent.
    fn words(&self, purchase: &Purchase, state: State, catalog: &Catalog) -> Option<Words>;
}

impl Engine {
    pub(super) async fn push_what_is_due(self, stop: CancellationToken) {
        let slots = Arc::new(Semaphore::new(limits::PUSHES_AT_ONCE));
        while !stop.is_cancelled() {
            let idle_wait = match self.take_pushes(&slots).await {
                Ok(0) if slots.available_permits() > 0 => limits::SLEEP_MAX,
                Ok(_) => LOOK_AGAIN,
                Err(fault) => {
                    tracing::warn!(%fault, "no pushes could be taken");
                    limits::SLEEP_MAX
                }
            };
            tokio::select! {
                () = tokio::time::sleep(idle_wait) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn take_pushes(&self, slots: &Arc<Semaphore>) -> Result<usize, Fault> {
        let now = self.now();
        if self.inner.store.next_push_due()?.is_none_or(|due| due > now) {
            return Ok(0);
        }
        let limit = u32::try_from(slots.available_permits()).unwrap_or(u32::MAX);
        if limit == 0 {
            return Ok(0);
        }
        let claim = PushChange::Lease { now, lease: limits::LEASE, limit };
        let Ok(Done::Pushes(due)) = self.inner.store.write(Change::Push(claim)).await? else {
            return Ok(0);
        };
        for push in &due {
            let Ok(slot) = slots.clone().acquire_owned().await else { break };
            let (engine, push) = (self.clone(), *push);
            self.inner.tasks.spawn(async move {
                if let Err(fault) = engine.push(push).await {
                    tracing::warn!(%fault, purchase = %push.key.id, "a push could not be noted; it is owed again when its lease ends");
                }
                drop(slot);
            });
        }
        Ok(due.len())
    }

    /// One push: told, given up, or put off.
    async fn push(&self, due: DuePush) -> Result<(), Fault> {
        let Some(parts) = &self.inner.push else { return self.end_push(due).await };
        let Some(push) = self.compose(parts, &due)? else { return self.end_push(due).await };
        let pushed = tokio::time::timeout(limits::PUSH_WITHIN, parts.pusher.push(&push)).await;
        let pushed = pushed
            .unwrap_or_else(|_| Pushed::Later { reason: "no answer in time".into(), after: None });
        let (purchase, device) = (due.key.id, due.device);
        match pushed {
            Pushed::Accepted => self.end_push(due).await,
            Pushed::Unregistered { reason } => {
                tracing::info!(%purchase, %device, reason, "a device is gone, and forgotten");
                self.end_push(due).await?;
                let _ = self.forget_device(device).await;
                Ok(())
            }
            Pushed::Refused { reason } => {
                tracing::warn!(%purchase, %device, reason, "a push was refused for good");
                self.end_push(due).await
            }
            Pushed::Later { reason, after } => {
                let until = self.now().after(again_after(due.tries).max(after.unwrap_or_default()));
                if until >= due.at.after(limits::PUSH_WORTH) {
                    tracing::warn!(%purchase, %device, reason, "a push is given up: it is news no more");
                    return self.end_push(due).await;
                }
                tracing::info!(%purchase, %device, reason, tries = due.tries, "a push is tried again later");
                self.put_push_off(due, until).await
            }
        }
    }

    /// What is pushed; `None` when the device or the words for it are gone.
    fn compose(&self, parts: &PushParts, due: &DuePush) -> Result<Option<Push>, Fault> {
        let devices = self.devices_of(due.key.account)?;
        let Some(device) = devices.into_iter().find(|device| device.id == due.device) else {
            return Ok(None);
        };
        let purchase = self.read_anew(&due.key)?;
        let words = parts.renderer.words(&purchase, due.state, &self.catalog());
        Ok(words.map(|Words { title, body, data }| Push {
            device_token: device.push_token,
            title,
            body,
            data,
            tag: format!("purchase-{}", due.key.id),
        }))
    }

    async fn end_push(&self, due: DuePush) -> Result<(), Fault> {
        // Nothing in it can be denied: it needs nothing.
        self.inner.store.write(Change::Push(PushChange::End(due))).await.map(|_| ())
    }

    async fn put_push_off(&self, push: DuePush, until: Timestamp) -> Result<(), Fault> {
        let change = Change::Push(PushChange::PutOff { push, until });
        self.inner.store.write(change).await.map(|_| ())
    }

    /// Tells every device of the account the purchase's last event once more.
    pub(crate) async fn push_again(&self, purchase: &Purchase) -> Result<(), Refusal> {
        let again = PushChange::Resend { key: purchase.key, at: self.now() };
        let written = self.inner.store.write(Change::Push(again)).await;
        written.map(|_| ()).map_err(|fault| self.unavailable(&fault))
    }
}

/// How long to wait before a push is tried again, after `tries` in vain.
const fn again_after(tries: u32) -> Duration {
    Duration::from_secs(match tries {
        0 => 10,
        1 => 60,
        2 => 5 * 60,
        3 => 30 * 60,
        _ => 2 * 3600,
    })
}
