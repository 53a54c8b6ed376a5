//! The webhook sender, as the settings configure it.
//!
//! Not here: its HTTP client (`connectors::webhook_sender`), and the schedule of attempts
//! (`engine`).

use crate::config::Config;
use anyhow::Context as _;
use connectors::webhook_sender::{HttpsWebhookSender, TIMEOUT, WebhookSenderSettings};
use domain::Clock;
use engine::WebhookParts;
use std::sync::Arc;
use std::time::Duration;

/// The shortest timeout of a receiver: tests divide all times, but it must be able to answer.
const TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// The sender, and the renderer of the dialect that has webhooks.
pub(crate) fn parts(config: &Config, clock: Arc<dyn Clock>) -> anyhow::Result<WebhookParts> {
    let time_divisor = config.webhook_time_divisor();
    let mut settings = WebhookSenderSettings::new(clock);
    settings.allow_loopback = config.webhooks_to_loopback;
    settings.denied_networks = config.webhooks_never_to()?;
    settings.timeout = (TIMEOUT / time_divisor).max(TIMEOUT_MIN);
    let sender = HttpsWebhookSender::open(settings).context("webhooks cannot be sent")?;
    Ok(WebhookParts {
        sender: Arc::new(sender),
        renderer: Arc::new(api::irecharge::WebhookEvents),
        allow_loopback: config.webhooks_to_loopback,
        time_divisor,
    })
}
