//! The courier that takes webhooks to accounts' servers.

use crate::config::Config;
use anyhow::Context as _;
use domain::Clock;
use engine::WebhookParts;
use std::sync::Arc;
use std::time::Duration;
use upstreams::courier::{Settings, TIMEOUT, WebhookSender};

/// However much haste tests make, a receiver has this long to answer.
const TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// The sender, and the dialect whose events it sends.
pub(crate) fn parts(config: &Config, clock: Arc<dyn Clock>) -> anyhow::Result<WebhookParts> {
    let time_divisor = config.webhook_time_divisor();
    let mut settings = Settings::new(clock);
    settings.allow_loopback = config.webhooks_to_loopback;
    settings.never_to = config.webhooks_never_to()?;
    settings.timeout = (TIMEOUT / time_divisor).max(TIMEOUT_MIN);
    let courier = WebhookSender::open(settings).context("webhooks cannot be sent")?;
    Ok(WebhookParts {
        sender: Arc::new(courier),
        renderer: Arc::new(api::irecharge::WebhookEvents),
        allow_loopback: config.webhooks_to_loopback,
        time_divisor,
    })
}
