//! Sends pushes: what became of a purchase, to each device of its account; failures are retried.
//!
//! A push may arrive twice (the app replaces the first by its tag). No purchase waits for a push.
//! Without a push service its rows are deleted unsent. Invariant: no push reports what did not
//! happen.

use super::queue::{QueueHandler, Slots};
use crate::refusals::month_closed;
use crate::{Engine, Permit, PushParts, limits};
use domain::refusal::ResendRefused;
use domain::retry::PUSH_TRIES;
use domain::{Catalog, MonthClosed, Purchase, Push, Pushed, State, act};
use std::collections::BTreeMap;
use std::time::Duration;
use store::{DuePush, EndPush, Fault, ForgetDevice, Pushes, PutOff, ResendPushes};
use tokio::sync::Notify;

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

/// Pushes, one for each event and device.
pub(super) struct PushHandler(pub(super) Slots);

impl QueueHandler for PushHandler {
    type Queue = Pushes;

    const NAME: &'static str = "pushes";
    const LEASE: Duration = limits::LEASE;

    fn wake(engine: &Engine) -> &Notify {
        &engine.inner.push_due
    }

    fn room(&self, _: &Engine) -> u32 {
        self.0.room()
    }

    async fn take(&self, engine: &Engine, due: Vec<DuePush>) {
        let push = |engine: Engine, due: DuePush| async move {
            if let Err(fault) = engine.push(due).await {
                tracing::warn!(
                    %fault,
                    purchase = %due.key.id,
                    "the result of a push could not be written; it is due again after its lease"
                );
            }
        };
        self.0.run_each::<PushHandler, _>(engine, due, push).await;
    }
}

impl Engine {
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
                let _ = self.commit(&self.work(), ForgetDevice(device)).await;
                tracing::info!(%purchase, %device, reason, "a device is gone, and forgotten");
                Ok(())
            }
            Pushed::Refused { reason } => {
                self.end_push(due).await?;
                tracing::warn!(%purchase, %device, reason, "a push was refused for good");
                Ok(())
            }
            Pushed::Later { reason, after } => {
                let wait = PUSH_TRIES.wait(due.tries).max(after.unwrap_or_default());
                let until = self.now().after(wait);
                if self.elapsed_since(due.at) + wait >= limits::PUSH_VALID_FOR {
                    self.end_push(due).await?;
                    tracing::warn!(%purchase, %device, reason, "a push is given up: it is too old");
                    return Ok(());
                }
                let tries = due.tries;
                self.commit(&self.work(), PutOff::<Pushes> { due, until }).await?;
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
        self.commit(&self.work(), EndPush(due)).await
    }

    /// Sends the purchase's last push again, to every device of the account.
    pub(crate) async fn push_again(
        &self,
        permit: &Permit<act::ReplayWebhooks>,
        purchase: &Purchase,
    ) -> Result<(), ResendRefused> {
        let again = ResendPushes { key: purchase.key, at: self.now() };
        let written = self.or_unavailable(self.write(permit, again, None).await)?;
        self.inner.push_due.notify_one();
        Ok(written.map_err(|MonthClosed| month_closed())?)
    }
}
