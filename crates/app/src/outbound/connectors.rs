//! The connectors to upstreams that staff set up, as the settings configure them.
//!
//! Not here: any kind (`connectors::upstream`), and what is stored of an upstream (`engine`).

use crate::clock::MachineRandom;
use crate::config::Config;
use connectors::upstream::{self, Maps, Secret};
use domain::{Clock, Listener, Upstream};
use engine::{ConnectorFactory, UpstreamSettings};
use ipnet::IpNet;
use std::sync::Arc;

/// Makes connectors of every kind that this program has.
pub(crate) struct Connectors {
    allow_loopback: bool,
    denied_networks: Vec<IpNet>,
    time_divisor: u32,
    clock: Arc<dyn Clock>,
    listener: Arc<dyn Listener>,
}

impl Connectors {
    pub(crate) fn new(
        config: &Config,
        clock: Arc<dyn Clock>,
        listener: Arc<dyn Listener>,
    ) -> anyhow::Result<Connectors> {
        let allow_loopback = config.connectors_to_loopback;
        if allow_loopback {
            tracing::warn!("connectors may call this machine: for development only");
        }
        let denied_networks = config.webhooks_never_to()?;
        let time_divisor = config.upstream_time_divisor.max(1);
        Ok(Connectors { allow_loopback, denied_networks, time_divisor, clock, listener })
    }
}

impl Connectors {
    /// The kind, and the settings with what this process adds.
    fn settings(&self, settings: UpstreamSettings) -> (String, upstream::UpstreamSettings) {
        let UpstreamSettings { code, kind, environment, url, hosts, own, mut maps, secrets } =
            settings;
        let mut map = |name: &str| maps.remove(name).unwrap_or_default();
        let maps =
            Maps { operators: map("operator"), products: map("product"), offers: map("offer") };
        let secret = |(name, text): (String, String)| (name, Secret::new(&text));
        let settings = upstream::UpstreamSettings {
            code,
            environment,
            url,
            hosts,
            secrets: secrets.into_iter().map(secret).collect(),
            file: own,
            maps,
            allow_loopback: self.allow_loopback,
            denied_networks: self.denied_networks.clone(),
            extra_ca_pem: None,
            time_divisor: self.time_divisor,
            clock: self.clock.clone(),
            random: Arc::new(MachineRandom::new()),
            listener: self.listener.clone(),
        };
        (kind, settings)
    }
}

impl ConnectorFactory for Connectors {
    fn open(&self, settings: UpstreamSettings) -> Result<Arc<dyn Upstream>, String> {
        let (kind, settings) = self.settings(settings);
        upstream::open(&kind, settings).map_err(|unusable| unusable.to_string())
    }

    fn check(&self, settings: &UpstreamSettings) -> Result<(), String> {
        let (kind, settings) = self.settings(settings.clone());
        upstream::check(&kind, &settings).map_err(|unusable| unusable.to_string())
    }
}
