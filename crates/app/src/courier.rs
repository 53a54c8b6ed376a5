//! The courier that takes webhooks to accounts' servers.

use crate::config::Config;
use anyhow::Context as _;
use domain::Clock;
use engine::{Engine, Telling};
use std::sync::Arc;
use std::time::Duration;
use upstreams::courier::{Courier, Settings, TIMEOUT};

/// However much haste tests make, a receiver has this long to answer.
const TIMEOUT_LEAST: Duration = Duration::from_secs(1);

/// Connects it, and the face whose words it carries.
pub(crate) fn connect(
    engine: &Engine,
    config: &Config,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<()> {
    let haste = config.webhook_haste.max(1);
    let mut settings = Settings::new(clock);
    settings.may_loop_back = config.webhooks_to_loopback;
    settings.never_to = config.webhooks_never_to()?;
    settings.timeout = (TIMEOUT / haste).max(TIMEOUT_LEAST);
    let courier = Courier::open(settings).context("webhooks cannot be sent")?;
    engine.connect_courier(Telling {
        courier: Arc::new(courier),
        teller: Arc::new(api::irecharge::WebhookEvents),
        may_loop_back: config.webhooks_to_loopback,
        haste,
    });
    Ok(())
}
