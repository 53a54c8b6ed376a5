//! What tests of connectors share: settings without a server.

use super::settings::{Maps, UpstreamSettings};
use crate::manual_clock::ManualClock;
use domain::{Environment, Exchange, Listener, NoRandom, Random, StatusUpdate, UpstreamCode};
use std::collections::BTreeMap;
use std::sync::Arc;

struct NoListener;

impl Listener for NoListener {
    fn on_exchange(&self, _exchange: Exchange) {}

    fn on_update(&self, _: StatusUpdate) {}
}

struct Zeros;

impl Random for Zeros {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandom> {
        bytes.fill(0);
        Ok(())
    }
}

/// Settings of a live upstream at this address, without secrets, maps and a file.
pub fn settings(url: &str) -> UpstreamSettings {
    UpstreamSettings {
        code: UpstreamCode::new("upstream-x"),
        environment: Environment::Live,
        url: url.to_owned(),
        hosts: Vec::new(),
        secrets: BTreeMap::new(),
        file: String::new(),
        maps: Maps::default(),
        allow_loopback: false,
        denied_networks: Vec::new(),
        extra_ca_pem: None,
        time_divisor: 1,
        clock: Arc::new(ManualClock::new()),
        random: Arc::new(Zeros),
        listener: Arc::new(NoListener),
    }
}
