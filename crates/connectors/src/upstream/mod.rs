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
    /// Further secrets that it can use.
    optional_secrets: &'static [&'static str],
    wrong_name: WrongName,
    open: OpenProtocol,
}

/// All kinds: one line per connector.
pub const KINDS: &[UpstreamKind] = &[
    kind("generic", &[], &[], generic::secrets, generic::open),
    kind("irecharge", irecharge::SECRETS, &[], no_secrets, irecharge::open)
        .with_optional(&["callback_path"]),
    kind("rechargely", rechargely::SECRETS, &[], no_secrets, rechargely::open),
    kind("reloadly", reloadly::SECRETS, reloadly::HOSTS, no_secrets, reloadly::open)
        .with_optional(&["webhook_secret"])
        .with_names(reloadly::wrong_name),
];

type OwnSecrets = fn(&str) -> Vec<String>;
/// The first of the upstream's names in the maps that it cannot have, and why.
type WrongName = fn(&Maps) -> Option<String>;
type OpenProtocol = fn(&UpstreamSettings) -> Result<Box<dyn Protocol>, UpstreamUnusable>;

const fn kind(
    name: &'static str,
    secrets: &'static [&'static str],
    hosts: &'static [&'static str],
    own_secrets: OwnSecrets,
    open: OpenProtocol,
) -> UpstreamKind {
    let (optional_secrets, wrong_name): (&[&str], WrongName) = (&[], any_name);
    UpstreamKind { name, secrets, hosts, own_secrets, optional_secrets, wrong_name, open }
}

fn no_secrets(_: &str) -> Vec<String> {
    Vec::new()
}

const fn any_name(_: &Maps) -> Option<String> {
    None
}

impl UpstreamKind {
    const fn with_optional(self, optional_secrets: &'static [&'static str]) -> UpstreamKind {
        UpstreamKind { optional_secrets, ..self }
    }

    const fn with_names(self, wrong_name: WrongName) -> UpstreamKind {
        UpstreamKind { wrong_name, ..self }
    }

    /// The first of these secrets that it never uses, as a sentence that names those that it does.
    fn unknown_secret(&self, settings: &UpstreamSettings) -> Option<UpstreamUnusable> {
        let mut known = self.needed_secrets(&settings.file);
        known.extend(self.optional_secrets.iter().map(|name| (*name).to_owned()));
        let name = settings.secrets.keys().find(|name| !known.contains(name))?.clone();
        let plain = |name: &str| name.to_lowercase().replace(['-', '_', ' '], "");
        let nearest = known.iter().find(|known| plain(known) == plain(&name));
        let hint = nearest.map(|known| format!(": {known} is meant?")).unwrap_or_default();
        let known = known.join(", ");
        Some(UpstreamUnusable::UnknownSecret { kind: self.name, name, hint, known })
    }

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

/// Whether an upstream of a kind can use all of these settings; nothing is sent. Refuses secrets
/// and names in maps that it never uses, and what is no host. What [`open`] refuses is not looked
/// at.
pub fn check(kind: &str, settings: &UpstreamSettings) -> Result<(), UpstreamUnusable> {
    let kind = kind_of(kind)?;
    if let Some(unknown) = kind.unknown_secret(settings) {
        return Err(unknown);
    }
    if let Some(host) = settings.hosts.iter().find(|host| !kit::address::is_host(host)) {
        return Err(UpstreamUnusable::Host(host.clone()));
    }
    match (kind.wrong_name)(&settings.maps) {
        Some(why) => Err(UpstreamUnusable::Name(why)),
        None => Ok(()),
    }
}

/// The kind of this name.
fn kind_of(name: &str) -> Result<&'static UpstreamKind, UpstreamUnusable> {
    let known = KINDS.iter().find(|kind| kind.name == name);
    known.ok_or_else(|| UpstreamUnusable::UnknownKind {
        kind: name.to_owned(),
        known: kinds().collect::<Vec<_>>().join(", "),
    })
}
