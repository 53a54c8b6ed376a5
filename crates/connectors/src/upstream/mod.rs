//! Connectors to upstreams: each implements [`domain::upstream::Upstream`] for one of them.
//!
//! Not here: which upstream is asked (routes decide), and what an outcome does to money (the
//! engine decides).

pub mod generic;
mod irecharge;
pub mod kit;
mod rechargely;
mod reloadly;
pub mod simulator;

pub use kit::cases::{CaseFailure, CaseReport, CasesUnusable, check_cases};
pub use kit::settings::{Maps, Secret, UpstreamSettings, UpstreamUnusable};

use domain::Upstream;
use kit::protocol::Protocol;
use std::sync::Arc;

/// A kind of upstream: a name, and what makes its protocol.
pub struct UpstreamKind {
    /// As in `--kind`.
    pub name: &'static str,
    /// The secrets without which it does not open.
    pub secrets: &'static [&'static str],
    /// Hosts that it calls besides that of the URL.
    pub hosts: &'static [&'static str],
    /// The secrets that its own settings name; read from their text.
    own_secrets: OwnSecrets,
    open: OpenProtocol,
}

/// All kinds: one line per connector.
pub const KINDS: &[UpstreamKind] = &[
    kind("generic", &[], &[], generic::secrets, generic::open),
    kind("irecharge", irecharge::SECRETS, &[], no_secrets, irecharge::open),
    kind("rechargely", rechargely::SECRETS, &[], no_secrets, rechargely::open),
    kind("reloadly", reloadly::SECRETS, reloadly::HOSTS, no_secrets, reloadly::open),
];

type OwnSecrets = fn(&str) -> Vec<String>;
type OpenProtocol = fn(&UpstreamSettings) -> Result<Box<dyn Protocol>, UpstreamUnusable>;

const fn kind(
    name: &'static str,
    secrets: &'static [&'static str],
    hosts: &'static [&'static str],
    own_secrets: OwnSecrets,
    open: OpenProtocol,
) -> UpstreamKind {
    UpstreamKind { name, secrets, hosts, own_secrets, open }
}

fn no_secrets(_: &str) -> Vec<String> {
    Vec::new()
}

impl UpstreamKind {
    /// The names of all secrets that an upstream of this kind with these own settings needs.
    pub fn needed_secrets(&self, own: &str) -> Vec<String> {
        let fixed = self.secrets.iter().map(|name| (*name).to_owned());
        fixed.chain((self.own_secrets)(own)).collect()
    }
}

/// The names of all kinds.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.name)
}

/// Makes the connector of an upstream; nothing is sent yet. Refused where settings are missing,
/// wrong, or of no kind that there is.
pub fn open(
    kind: &str,
    mut settings: UpstreamSettings,
) -> Result<Arc<dyn Upstream>, UpstreamUnusable> {
    let kind = kind_of(kind)?;
    settings.hosts.extend(kind.hosts.iter().map(|host| (*host).to_owned()));
    let protocol = (kind.open)(&settings)?;
    Ok(Arc::new(kit::driver::Connector::open(protocol, settings)?))
}

/// The kind of this name.
fn kind_of(name: &str) -> Result<&'static UpstreamKind, UpstreamUnusable> {
    let known = KINDS.iter().find(|kind| kind.name == name);
    known.ok_or_else(|| UpstreamUnusable::UnknownKind {
        kind: name.to_owned(),
        known: kinds().collect::<Vec<_>>().join(", "),
    })
}
