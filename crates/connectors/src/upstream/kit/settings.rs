//! The settings of one upstream, and why they may be refused.
//!
//! Not here: where they are stored. Invariant: no `Debug` output shows a secret.

use crate::http::ClientError;
use domain::{Clock, Environment, Listener, Random, UpstreamCode};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A key or password. Its `Debug` output shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret of this text.
    pub fn new(text: &str) -> Secret {
        Secret(text.to_owned())
    }

    /// The text itself, to be sent.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Our names with the upstream's. What is missing in a map that a connector needs is not sold
/// there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maps {
    /// By our operator's code: `GP`.
    pub operators: BTreeMap<String, String>,
    /// By our product's name.
    pub products: BTreeMap<String, String>,
    /// By the first identifier of our offer.
    pub offers: BTreeMap<String, String>,
}

/// What a connector is made of.
#[derive(Clone)]
pub struct UpstreamSettings {
    /// Its name; callbacks arrive under it.
    pub code: UpstreamCode,
    /// Orders of the other environment never leave.
    pub environment: Environment,
    /// The base of its addresses: `https://pro.irecharge.net/api/billing`.
    pub url: String,
    /// Further hosts that it may call, besides the URL's: `auth.reloadly.com`, with a port where it
    /// is not the scheme's own.
    pub hosts: Vec<String>,
    /// Its secrets by name: `open_key`.
    pub secrets: BTreeMap<String, Secret>,
    /// Its own settings as TOML text; empty if it has none.
    pub file: String,
    /// Our names with its names.
    pub maps: Maps,
    /// Allows this machine, also by plain http: for development only.
    pub allow_loopback: bool,
    /// Networks that it never calls: this installation's own public addresses.
    pub denied_networks: Vec<IpNet>,
    /// PEM certificates of CAs to trust in addition to the public ones.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// The waits between enquiries, and before what they say counts, are divided by this; 1, but in
    /// tests.
    pub time_divisor: u32,
    /// The source of time.
    pub clock: Arc<dyn Clock>,
    /// The source of randomness.
    pub random: Arc<dyn Random>,
    /// Gets what the upstream sends unasked, and each exchange.
    pub listener: Arc<dyn Listener>,
}

impl UpstreamSettings {
    /// The secret of this name; refused if there is none.
    pub fn secret(&self, name: &'static str) -> Result<Secret, UpstreamUnusable> {
        let secret = self.secrets.get(name).filter(|secret| !secret.reveal().is_empty());
        secret.cloned().ok_or(UpstreamUnusable::MissingSecret(name))
    }

    /// Its own settings, read into a type that refuses unknown fields.
    pub fn own<T: serde::de::DeserializeOwned>(&self) -> Result<T, UpstreamUnusable> {
        toml::from_str(&self.file).map_err(|error| UpstreamUnusable::File(error.to_string()))
    }
}

/// Why no connector can be made of settings.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamUnusable {
    /// There is no connector of this kind.
    #[error("there is no kind {kind}; there are: {known}")]
    UnknownKind {
        /// As asked for.
        kind: String,
        /// All that there are.
        known: String,
    },
    /// The base address cannot be used.
    #[error("its URL: {0}")]
    Url(String),
    /// A secret that the kind needs is not there.
    #[error("the secret {0} is missing")]
    MissingSecret(&'static str),
    /// Its own settings cannot be read, or contradict themselves.
    #[error("its settings: {0}")]
    File(String),
    /// A secret that the kind never uses.
    #[error("{kind} has no secret {name}{hint}; it uses: {known}")]
    UnknownSecret {
        /// The upstream's kind.
        kind: &'static str,
        /// The name that was given.
        name: String,
        /// What may be meant.
        hint: String,
        /// All that it uses.
        known: String,
    },
    /// What should be a host is none.
    #[error("{0:?} is no host, such as auth.example.com or auth.example.com:8443")]
    Host(String),
    /// A name of the upstream's that it cannot have.
    #[error("{0}")]
    Name(String),
    /// No HTTP client.
    #[error(transparent)]
    Client(#[from] ClientError),
}
