//! The push service, as the settings configure it.
//!
//! Not here: its client (`connectors::push`), and the texts of pushes (`api`).

use crate::config::Config;
use anyhow::Context as _;
use connectors::push::fcm::{Fcm, FcmSettings, ServiceAccount};
use domain::Clock;
use engine::PushParts;
use std::sync::Arc;

/// Firebase Cloud Messaging with the configured service account; `None` without one.
pub(crate) fn parts(config: &Config, clock: Arc<dyn Clock>) -> anyhow::Result<Option<PushParts>> {
    let file = &config.fcm_service_account;
    if file.as_os_str().is_empty() {
        return Ok(None);
    }
    let json = std::fs::read(file)
        .with_context(|| format!("fcm_service_account: {} cannot be read", file.display()))?;
    let account = ServiceAccount::parse(&json)
        .with_context(|| format!("fcm_service_account: {}", file.display()))?;
    let mut settings = FcmSettings::new(account, clock);
    settings.api_base.clone_from(&config.fcm_api_base);
    let fcm = Fcm::open(settings).context("the push service cannot be used")?;
    let renderer = Arc::new(api::rechargely::PushTexts);
    Ok(Some(PushParts { pusher: Arc::new(fcm), renderer }))
}
