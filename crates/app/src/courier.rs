//! The courier that takes webhooks to accounts' servers.

use crate::config::Config;
use anyhow::Context as _;
use domain::Clock;
use engine::WebhookParts;
use std::sync::Arc;
use std::time::Duration;
use upstreams::courier::{Courier, Settings, TIMEOUT};

/// However much haste tests make, a receiver has this long to answer.
const TIMEOUT_LEAST: Duration = Duration::from_secs(1);

/// The sender, and the dialect whose events it sends.
pub(crate) fn parts(config: &Config, clock: Arc<dyn Clock>) -> anyhow::Result<WebhookParts> {
    let haste = config.webhook_haste.max(1);
    let mut settings = Settings::new(clock);
    settings.may_loop_back = config.webhooks_to_loopback;
    settings.never_to = config.webhooks_never_to()?;
    settings.timeout = (TIMEOUT / haste).max(TIMEOUT_LEAST);
    let courier = Courier::open(settings).context("webhooks cannot be sent")?;
    Ok(WebhookParts {
        sender: Arc::new(courier),
        renderer: Arc::new(api::irecharge::WebhookEvents),
        allow_loopback: config.webhooks_to_loopback,
        time_divisor: haste,
    })
}
