//! The push service, if one is configured.

use crate::config::Config;
use anyhow::Context as _;
use domain::Clock;
use engine::Engine;
use std::sync::Arc;
use upstreams::Fcm;
use upstreams::fcm::{ServiceAccount, Settings};

/// Connects Firebase Cloud Messaging with the service account that the settings name; without one,
/// nothing is pushed.
pub(crate) fn connect(
    engine: &Engine,
    config: &Config,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<()> {
    let file = &config.fcm_service_account;
    if file.as_os_str().is_empty() {
        return Ok(());
    }
    let json = std::fs::read(file)
        .with_context(|| format!("fcm_service_account: {} cannot be read", file.display()))?;
    let account = ServiceAccount::parse(&json)
        .with_context(|| format!("fcm_service_account: {}", file.display()))?;
    let mut settings = Settings::new(account, clock);
    settings.api_base.clone_from(&config.fcm_api_base);
    let fcm = Fcm::open(settings).context("the push service cannot be used")?;
    engine.connect_push(Arc::new(fcm), Arc::new(api::rechargely::PushTexts));
    Ok(())
}
