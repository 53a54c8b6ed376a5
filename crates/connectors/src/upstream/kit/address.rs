//! Where a request may go: the base address and listed hosts, public, by https.
//!
//! Not here: the addresses of names, which the resolver checks at each connection. Invariant: a
//! request goes to a host that the settings name, or nowhere.

use super::settings::{UpstreamSettings, UpstreamUnusable};
use domain::webhook::is_public;
use ipnet::IpNet;
use reqwest::Url;
use std::net::IpAddr;

/// The base address of an upstream, and the hosts that it may call.
#[derive(Clone, Debug)]
pub struct Addresses {
    base: Url,
    /// Each as `host` writes it: in lower case, with a port where it is not the usual one.
    hosts: Vec<String>,
    allow_loopback: bool,
    denied_networks: Vec<IpNet>,
}

impl Addresses {
    /// Of these settings. Refused: what is no address of a host, has a login or a query, or is
    /// plain http to another machine.
    pub fn of(settings: &UpstreamSettings) -> Result<Addresses, UpstreamUnusable> {
        let refused = |reason: &str| UpstreamUnusable::Url(reason.to_owned());
        let base = Url::parse(&settings.url).map_err(|_| refused("it is not an address"))?;
        if !base.username().is_empty() || base.password().is_some() {
            return Err(refused("it has a login; secrets are given by name"));
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(refused("it ends after the path"));
        }
        let is_fine = match base.scheme() {
            "https" => base.host_str().is_some(),
            "http" => is_loopback(&base),
            _ => false,
        };
        if !is_fine {
            return Err(refused("it must be https; plain http only to this machine"));
        }
        let mut hosts: Vec<String> = settings.hosts.iter().map(|h| h.to_lowercase()).collect();
        hosts.extend(host(&base));
        let (allow_loopback, denied_networks) =
            (settings.allow_loopback, settings.denied_networks.clone());
        Ok(Addresses { base, hosts, allow_loopback, denied_networks })
    }

    /// The whole address of a path, or why nothing is sent there. A path that begins with `http` is
    /// a whole address already.
    pub fn url(&self, path: &str, query: &[(String, String)]) -> Result<Url, String> {
        let is_whole = path.starts_with("https://") || path.starts_with("http://");
        let text = match is_whole {
            true => path.to_owned(),
            false => format!("{}{path}", self.base.as_str().trim_end_matches('/')),
        };
        let mut url = Url::parse(&text).map_err(|_| "the address cannot be read".to_owned())?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.check(&url)?;
        Ok(url)
    }

    fn check(&self, url: &Url) -> Result<(), String> {
        let host = host(url).ok_or_else(|| "the address has no host".to_owned())?;
        if !self.hosts.contains(&host) {
            return Err(format!("{host} is not among the hosts of this upstream"));
        }
        if is_loopback(url) {
            let reason = "calls to this machine are for development only: --connectors-to-loopback";
            return if self.allow_loopback { Ok(()) } else { Err(reason.to_owned()) };
        }
        if url.scheme() != "https" {
            return Err("plain http to another machine".to_owned());
        }
        // No resolver is called for a literal address.
        match literal(url) {
            Some(ip) if !self.is_allowed(ip) => Err("its address is not public".to_owned()),
            Some(_) | None => Ok(()),
        }
    }

    fn is_allowed(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        is_public(ip) && !self.denied_networks.iter().any(|net| net.contains(&ip))
    }
}

/// The host in lower case, with its port unless it is the scheme's own: `127.0.0.1:8080`.
/// Whether this is a host as settings list it: `auth.example.com`, with a port where it is not the
/// usual one.
pub fn is_host(text: &str) -> bool {
    let url = Url::parse(&format!("https://{text}/")).ok();
    url.and_then(|url| host(&url)).is_some_and(|host| host == text.to_lowercase())
}

fn host(url: &Url) -> Option<String> {
    let host = url.host_str()?.to_lowercase();
    Some(url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}")))
}

fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn is_loopback(url: &Url) -> bool {
    let is_name = url.host_str().is_some_and(|host| host.eq_ignore_ascii_case("localhost"));
    is_name || literal(url).is_some_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::super::testing::settings;
    use super::*;

    fn addresses(url: &str, allow_loopback: bool) -> Result<Addresses, UpstreamUnusable> {
        let hosts = vec!["Auth.Example.com".to_owned()];
        Addresses::of(&UpstreamSettings { allow_loopback, hosts, ..settings(url) })
    }

    #[test]
    fn a_base_is_https_or_on_this_machine() {
        for good in
            ["https://a.example/x", "http://127.0.0.1:1", "http://[::1]", "http://localhost"]
        {
            assert!(addresses(good, false).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a.example",
            "http://a.example",
            "http://127.0.0.1.example",
            "ftp://127.0.0.1",
            "https://user@a.example",
            "https://a.example/?key=1",
        ] {
            assert!(addresses(bad, true).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_listed_public_hosts_are_called() {
        let of = |base: &str, loopback, path: &str| {
            addresses(base, loopback).unwrap().url(path, &[]).map(String::from)
        };
        let base = "https://a.example/v1/";
        assert_eq!(of(base, false, "/x"), Ok("https://a.example/v1/x".to_owned()));
        let other = "https://auth.example.com/token";
        assert_eq!(of(base, false, other), Ok(other.to_owned()));
        for bad in ["https://b.example/x", "http://a.example/x", "https://a.example:8/x", "http://"]
        {
            assert!(of(base, true, bad).is_err(), "{bad}");
        }
        assert!(of("http://127.0.0.1:1", false, "/x").is_err());
        assert!(of("http://127.0.0.1:1", true, "/x").is_ok());
        for private in ["https://10.0.0.1", "https://169.254.169.254", "https://[fd00::1]"] {
            assert!(of(private, true, "/x").is_err(), "{private}");
        }
        assert!(of("https://1.1.1.1", false, "/x").is_ok());
    }

    #[test]
    fn a_query_is_escaped() {
        let base = addresses("https://a.example", false).unwrap();
        let pair = ("reference".to_owned(), "S1-1&x=ä".to_owned());
        let url = base.url("/q", &[pair]).unwrap();
        assert_eq!(url.as_str(), "https://a.example/q?reference=S1-1%26x%3D%C3%A4");
    }
}
