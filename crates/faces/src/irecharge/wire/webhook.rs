//! Whether a text can be the address of a webhook: form only, no name is resolved here.
//!
//! Only names are taken: an address would be a way around what a name must resolve to. The delivery
//! checks again when it knows where the name leads (RELIABILITY O1).

use domain::Environment;
use http::Uri;
use std::net::IpAddr;

/// Longest address taken.
const BYTES_MOST: usize = 2048;

/// Where webhooks may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Where {
    /// In the sandbox `http` will do.
    pub environment: Environment,
    /// This machine is allowed, by `http` too: for tests.
    pub may_loop_back: bool,
}

/// Refuses, in words for people, what is no absolute `https` URL with a public host's name.
pub(super) fn check(text: &str, allowed: Where) -> Result<(), &'static str> {
    if text.len() > BYTES_MOST {
        return Err("must be at most 2048 characters long.");
    }
    if !text
        .bytes()
        .all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'#' | b'"' | b'<' | b'>'))
    {
        return Err("must be a URL of plain ASCII characters without a fragment.");
    }
    let uri: Uri = text.parse().map_err(|_| "must be an absolute http or https URL.")?;
    let authority = uri.authority().map_or("", |a| a.as_str());
    if authority.contains('@') {
        return Err("must not contain a user name or password.");
    }
    let (host, port) = match authority.rfind(':').filter(|_| !authority.ends_with(']')) {
        Some(at) => (&authority[..at], Some(&authority[at + 1..])),
        None => (authority, None),
    };
    if !is_host(host) || !port.is_none_or(is_port) {
        return Err("must name a host, and a port from 1 to 65535 if any.");
    }
    let loops_back = allowed.may_loop_back && is_this_machine(host);
    if !loops_back && !is_public_name(host) {
        return Err("must name a public host: no address, and nothing on this machine.");
    }
    match (uri.scheme_str(), allowed.environment) {
        (Some("https"), _) | (Some("http"), Environment::Sandbox) => Ok(()),
        (Some("http"), Environment::Live) if loops_back => Ok(()),
        (Some("http"), Environment::Live) => Err("must begin with https:// in live mode."),
        _ => Err("must be an absolute http or https URL."),
    }
}

fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|a| a.to_canonical().is_loopback())
}

/// A name with a dot, whose last label is no number: resolvers read `127.1`, `0x7f000001` and
/// `2130706433` as addresses.
fn is_public_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let Some((_, last)) = host.rsplit_once('.') else { return false };
    let is_local = ["localhost", "local", "internal"].iter().any(|l| last.eq_ignore_ascii_case(l));
    !host.starts_with('[') && !last.starts_with(|c: char| c.is_ascii_digit()) && !is_local
}

fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        return inner.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let is_label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    host.len() <= 253 && host.strip_suffix('.').unwrap_or(host).split('.').all(is_label)
}

fn is_port(port: &str) -> bool {
    port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|p| p > 0)
}

#[cfg(test)]
mod tests {
    use super::{Environment, Where};
    use Environment::{Live, Sandbox};

    fn check(text: &str, environment: Environment) -> Result<(), &'static str> {
        super::check(text, Where { environment, may_loop_back: false })
    }

    #[test]
    fn only_plain_absolute_urls() {
        for good in [
            "https://your-domain.com/webhooks/recharge",
            "https://example.com",
            "https://example.com:8443/a?b=c&d=%20",
            "https://EXAMPLE.com./x",
            "HTTPS://example.com/",
            "https://a_b.example/x",
        ] {
            assert_eq!(check(good, Live), Ok(()), "{good}");
            assert_eq!(check(good, Sandbox), Ok(()), "{good}");
        }
        assert_eq!(check("http://example.com/", Sandbox), Ok(()));
        assert!(check("http://example.com/", Live).is_err());
        for bad in [
            "",
            " ",
            "x",
            "/hook",
            "//example.com/hook",
            "example.com/hook",
            "example.com:443",
            "ftp://example.com/",
            "javascript:alert(1)",
            "file:///etc/passwd",
            "https://",
            "https:///x",
            "https://[2001:db8::1]:8443/x",
            "https://10.0.0.1/",
            "https://169.254.169.254/latest",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://127.1/",
            "https://intranet/",
            "https://db.internal/",
            "https://x.localhost/",
            "https://user@example.com/",
            "https://user:pass@example.com/",
            "https://example.com@evil.example/",
            "https://example.com:0/",
            "https://example.com:65536/",
            "https://example.com:/",
            "https://example.com:80a/",
            "https://exa mple.com/",
            "https://example.com/ x",
            "https://example.com/\r\nHost: x",
            "https://example.com\\@evil.example/",
            "https://example.com/#a",
            "https://exämple.com/",
            "https://example..com/",
            "https://-a.example/",
            "https://%65xample.com/",
            "https://[::1/",
            "https://[zz]/",
            "https://①②⑦.⓪.⓪.①/",
            &format!("https://example.com/{}", "a".repeat(2048)),
        ] {
            assert!(check(bad, Live).is_err(), "{bad}");
            assert!(check(bad, Sandbox).is_err(), "{bad}");
        }
    }

    #[test]
    fn this_machine_only_if_it_is_allowed() {
        for here in [
            "http://localhost:9000/hook",
            "http://127.0.0.1:9000/",
            "http://[::1]:9000/",
            "http://127.9.9.9/",
        ] {
            for environment in [Live, Sandbox] {
                assert!(check(here, environment).is_err(), "{here}");
                assert_eq!(
                    super::check(here, Where { environment, may_loop_back: true }),
                    Ok(()),
                    "{here}"
                );
            }
        }
    }
}
