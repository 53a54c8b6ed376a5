//! The guard: asked by the HTTP library where a name leads, each time it wants to connect.
//!
//! Not here: literal addresses, about which the library asks nobody (`WebhookSender::url` has refused them).
//! Invariant: what leaves here is what is connected to, and all of it has been judged; a set of
//! addresses with one that is not public leaves not at all.

use super::names::Names;
use domain::webhook::is_public;
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// Lets pass what is public.
#[derive(Clone)]
pub(super) struct Guard {
    pub(super) names: Arc<dyn Names>,
    pub(super) allow_loopback: bool,
    pub(super) never_to: Arc<[IpNet]>,
}

/// A name leads to a place where nothing is taken.
#[derive(Debug, thiserror::Error)]
#[error("the name leads, or may lead, to an address that is not public")]
pub(super) struct NotPublic;

/// A name leads nowhere.
#[derive(Debug, thiserror::Error)]
#[error("the host's name is not known")]
struct Nowhere;

impl Guard {
    fn may_go(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address) && !self.never_to.iter().any(|net| net.contains(&address))
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            // The one name that is nobody's to answer for (RFC 6761, 6.3).
            if guard.allow_loopback && name.as_str() == "localhost" {
                return Ok(addresses([Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]));
            }
            let found = guard.names.look_up(name.as_str()).await.map_err(|_| Nowhere)?;
            if found.is_empty() {
                return Err(Nowhere.into());
            }
            if let Some(address) = found.iter().find(|address| !guard.may_go(**address)) {
                // For the operator: the account is not told what lies behind the wall.
                tracing::info!(host = name.as_str(), %address, "a webhook is not taken to this host");
                return Err(NotPublic.into());
            }
            Ok(addresses(found))
        })
    }
}

/// With port 0, in whose place the library puts the URL's.
fn addresses(found: impl IntoIterator<Item = IpAddr>) -> Addrs {
    let found: Vec<_> = found.into_iter().map(|address| SocketAddr::new(address, 0)).collect();
    Box::new(found.into_iter())
}
