//! The webhook sender, as the settings configure it.

use crate::config::Config;
use anyhow::Context as _;
use connectors::webhook_sender::{HttpsWebhookSender, TIMEOUT, WebhookSenderSettings};
use domain::Clock;
use engine::{Engine, Telling};
use std::sync::Arc;
use std::time::Duration;

/// A receiver has at least this long to answer, however much tests shorten all times.
const TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// Gives the engine the sender and the dialect that renders webhooks.
pub(crate) fn connect(
    engine: &Engine,
    config: &Config,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<()> {
    let haste = config.webhook_haste.max(1);
    let mut settings = WebhookSenderSettings::new(clock);
    settings.allow_loopback = config.webhooks_to_loopback;
    settings.denied_networks = config.webhooks_never_to()?;
    settings.timeout = (TIMEOUT / haste).max(TIMEOUT_MIN);
    let sender = HttpsWebhookSender::open(settings).context("webhooks cannot be sent")?;
    engine.connect_courier(Telling {
        courier: Arc::new(sender),
        teller: Arc::new(faces::irecharge::Herald),
        may_loop_back: config.webhooks_to_loopback,
        haste,
    });
    Ok(())
}
