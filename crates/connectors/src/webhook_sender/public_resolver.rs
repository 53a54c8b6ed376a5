//! The DNS resolver of the HTTP client: returns public addresses only. The library calls it before
//! each new connection.
//!
//! Not here: literal addresses, which the library does not resolve (`HttpsWebhookSender::url`
//! checks them). Invariant: if one address of a name is not public, none is returned.

use super::lookup::HostLookup;
use domain::webhook::is_public;
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// Resolves names by `lookup` and rejects those with an address that is not public or is denied.
#[derive(Clone)]
pub(crate) struct PublicResolver {
    pub(crate) lookup: Arc<dyn HostLookup>,
    pub(crate) allow_loopback: bool,
    pub(crate) denied_networks: Arc<[IpNet]>,
}

/// A name has an address that is not public or is denied.
#[derive(Debug, thiserror::Error)]
#[error("the name leads, or may lead, to an address that is not public")]
pub(crate) struct NotPublic;

/// A name has no address.
#[derive(Debug, thiserror::Error)]
#[error("the host's name is not known")]
struct UnknownHost;

impl PublicResolver {
    fn is_allowed(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address) && !self.denied_networks.iter().any(|net| net.contains(&address))
    }
}

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            // RFC 6761, 6.3 reserves this name: no name server can give it another address.
            if resolver.allow_loopback && name.as_str() == "localhost" {
                return Ok(addresses([Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]));
            }
            let found = resolver.lookup.look_up(name.as_str()).await.map_err(|_| UnknownHost)?;
            if found.is_empty() {
                return Err(UnknownHost.into());
            }
            if let Some(address) = found.iter().find(|address| !resolver.is_allowed(**address)) {
                // For the operator only: the account must not learn internal addresses.
                tracing::info!(
                    host = name.as_str(),
                    %address,
                    "a request is blocked: its host has an address that is not allowed"
                );
                return Err(NotPublic.into());
            }
            Ok(addresses(found))
        })
    }
}

/// With port 0, which the library replaces by the port of the URL.
fn addresses(found: impl IntoIterator<Item = IpAddr>) -> Addrs {
    let found: Vec<_> = found.into_iter().map(|address| SocketAddr::new(address, 0)).collect();
    Box::new(found.into_iter())
}
