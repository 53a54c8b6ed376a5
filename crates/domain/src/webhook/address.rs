//! The form of a webhook's address, checked before its host name is resolved.
//!
//! Not here: DNS; [`super::is_public`] checks the resolved IP address (RELIABILITY O1). Invariant:
//! a [`WebhookAddress`] has a public host name, or is this machine where that is allowed; the IP
//! address of any other host, in any spelling, is refused.

use crate::account::Environment;
use std::net::{IpAddr, Ipv6Addr};
use url::Url;

/// The longest accepted address.
const BYTES_MAX: usize = 2048;

/// The ports of `https`: the default one and its usual alternative. Any other port would let an
/// account connect to the mail server or database of others.
const HTTPS_PORTS: [u16; 2] = [443, 8443];
/// The port of `http`, which only the sandbox accepts.
const HTTP_PORT: u16 = 80;

/// Which addresses are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressPolicy {
    /// The sandbox allows `http` too.
    pub environment: Environment,
    /// This machine is allowed, over `http` too and on any port: for tests.
    pub allow_loopback: bool,
}

/// A valid webhook address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookAddress {
    host: String,
    port: u16,
    is_https: bool,
    is_loopback: bool,
}

impl WebhookAddress {
    /// Parses an absolute `https` URL with a public host name and a usual port. The error is for
    /// people and lacks its subject: `must name …`.
    pub fn parse(text: &str, allowed: AddressPolicy) -> Result<WebhookAddress, &'static str> {
        if text.len() > BYTES_MAX {
            return Err("must be at most 2048 characters long.");
        }
        if !text.bytes().all(is_plain) {
            return Err("must be a URL of plain ASCII characters without a fragment.");
        }
        let (is_https, authority) = split(text).ok_or("must be an absolute http or https URL.")?;
        if authority.contains('@') {
            return Err("must not contain a user name or password.");
        }
        let (host, port) = match authority.rfind(':').filter(|_| !authority.ends_with(']')) {
            Some(at) => (&authority[..at], port(&authority[at + 1..])),
            None => (authority, Some(if is_https { HTTPS_PORTS[0] } else { HTTP_PORT })),
        };
        let (true, Some(port)) = (is_host(host), port) else {
            return Err("must name a host, and a port from 1 to 65535 if any.");
        };
        let is_loopback = allowed.allow_loopback && is_this_machine(host);
        if !is_loopback && !is_public_name(host) {
            return Err("must name a public host: no address, and nothing on this machine.");
        }
        if !is_loopback && !is_https && allowed.environment == Environment::Live {
            return Err("must begin with https:// in live mode.");
        }
        let is_usual = if is_https { HTTPS_PORTS.contains(&port) } else { port == HTTP_PORT };
        if !is_loopback && !is_usual {
            return Err("must go by port 443 or 8443 (http by port 80).");
        }
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        Ok(WebhookAddress { host, port, is_https, is_loopback })
    }

    /// The host: a name in lower case without a final dot, or a loopback address (IPv6 in
    /// brackets).
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port of the URL, or the default of its scheme.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether the scheme is `https`, else `http`.
    pub const fn is_https(&self) -> bool {
        self.is_https
    }

    /// Whether the host is this machine; the policy allowed it then.
    pub const fn is_loopback(&self) -> bool {
        self.is_loopback
    }
}

/// One spelling of a URL, to compare it with others: as it is sent, so scheme and host in lower
/// case, the host without a final dot, no default port, and a path without dot segments. What is no
/// http or https URL stays as it is.
pub fn canonical(url: &str) -> String {
    let read = Url::parse(url).ok().filter(|read| matches!(read.scheme(), "http" | "https"));
    let Some(mut read) = read else { return url.to_owned() };
    let host = read.host_str().and_then(|host| host.strip_suffix('.')).map(str::to_owned);
    if let Some(host) = host
        && read.set_host(Some(&host)).is_err()
    {
        return url.to_owned();
    }
    read.into()
}

const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#' | b'"' | b'<' | b'>')
}

/// Whether the scheme is `https` (else `http`), and the URL's authority.
fn split(text: &str) -> Option<(bool, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let is_https = scheme.eq_ignore_ascii_case("https");
    let authority = rest.split(['/', '?']).next().filter(|a| !a.is_empty())?;
    (is_https || scheme.eq_ignore_ascii_case("http")).then_some((is_https, authority))
}

fn port(text: &str) -> Option<u16> {
    let is_number = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port > 0)
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
        return inner.parse::<Ipv6Addr>().is_ok();
    }
    let is_label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    host.len() <= 253 && host.strip_suffix('.').unwrap_or(host).split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::{AddressPolicy, Environment, WebhookAddress};
    use Environment::{Live, Sandbox};

    fn parse(text: &str, environment: Environment) -> Result<WebhookAddress, &'static str> {
        WebhookAddress::parse(text, AddressPolicy { environment, allow_loopback: false })
    }

    #[test]
    fn only_plain_absolute_urls() {
        for (good, host, port) in [
            ("https://your-domain.com/webhooks/recharge", "your-domain.com", 443),
            ("https://example.com", "example.com", 443),
            ("https://example.com?a", "example.com", 443),
            ("https://example.com:8443/a?b=c&d=%20", "example.com", 8443),
            ("https://EXAMPLE.com./x", "example.com", 443),
            ("HTTPS://example.com:443/", "example.com", 443),
            ("https://a_b.example/x", "a_b.example", 443),
            ("https://example.com/a@b://c", "example.com", 443),
        ] {
            for environment in [Live, Sandbox] {
                let address = parse(good, environment).unwrap();
                assert_eq!((address.host(), address.port()), (host, port), "{good}");
                assert!(address.is_https() && !address.is_loopback(), "{good}");
            }
        }
        let plain = parse("http://example.com/", Sandbox).unwrap();
        assert_eq!((plain.host(), plain.port(), plain.is_https()), ("example.com", 80, false));
        assert!(parse("http://example.com/", Live).is_err());
    }

    #[test]
    fn other_texts_are_refused() {
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
            "https:/example.com/",
            "https:example.com/",
            "https://?x",
            "https://[2001:db8::1]:8443/x",
            "https://[2606:4700::1111]/x",
            "https://93.184.215.14/",
            "https://10.0.0.1/",
            "https://169.254.169.254/latest",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://127.1/",
            "https://127.0.0.1./",
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
            "https://example.com:+443/",
            "https://exa mple.com/",
            "https://example.com/ x",
            "https://example.com/\r\nHost: x",
            "https://exa\tmple.com/",
            "https://example.com\\@evil.example/",
            "https://example.com/#a",
            "https://exämple.com/",
            "https://example..com/",
            "https://-a.example/",
            "https://%65xample.com/",
            "https://[::1/",
            "https://[zz]/",
            "https://[fe80::1%25eth0]/",
            "https://①②⑦.⓪.⓪.①/",
            &format!("https://example.com/{}", "a".repeat(2048)),
        ] {
            assert!(parse(bad, Live).is_err(), "{bad}");
            assert!(parse(bad, Sandbox).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_receiver_has_one_spelling() {
        for (one, spellings) in [
            (
                "https://example.com/",
                &["https://EXAMPLE.com", "HTTPS://example.com:443/", "https://example.com./"][..],
            ),
            ("http://localhost/Hook", &["http://LOCALHOST:80/Hook", "http://localhost.:0080/Hook"]),
            ("https://example.com:8443/?A=b", &["https://Example.com:8443?A=b"]),
            ("http://[::1]:9000/a:443", &["HTTP://[::1]:9000/a:443"]),
            (
                "https://example.com/w",
                &[
                    "https://example.com/w/../w",
                    "https://example.com/./w",
                    "https://example.com/%2e/w",
                    "https://example.com/../w",
                    "https://example.com/a/b/.%2E/%2e./w",
                    "https://example.com:0443//../w",
                ],
            ),
            ("https://example.com/w/", &["https://example.com/w/.", "https://example.com/w/x/.."]),
            ("https://example.com/%7Ba%7D?b={c}", &["https://example.com/{a}?b={c}"]),
        ] {
            for spelling in spellings {
                assert_eq!(super::canonical(spelling), one, "{spelling}");
            }
            assert_eq!(super::canonical(one), one);
        }
        for (one, other) in [
            ("https://example.com/a", "https://example.com/A"),
            ("https://example.com/a", "https://example.com/a/"),
            ("https://example.com/", "http://example.com/"),
            ("https://example.com/a", "https://example.com/a/."),
            ("https://example.com/a", "https://example.com/a?"),
            ("https://example.com/a?b=/../c", "https://example.com/a?b=/c"),
            ("https://example.com/", "https://example.com:8443/"),
        ] {
            assert_ne!(super::canonical(one), super::canonical(other));
        }
        assert_eq!(super::canonical("where requests say"), "where requests say");
    }

    #[test]
    fn only_the_usual_ports() {
        for (text, live, sandbox) in [
            ("https://example.com:443/", true, true),
            ("https://example.com:8443/", true, true),
            ("http://example.com:80/", false, true),
            ("https://example.com:80/", false, false),
            ("https://example.com:22/", false, false),
            ("https://example.com:5432/", false, false),
            ("http://example.com:443/", false, false),
            ("http://example.com:8080/", false, false),
        ] {
            assert_eq!(parse(text, Live).is_ok(), live, "{text}");
            assert_eq!(parse(text, Sandbox).is_ok(), sandbox, "{text}");
        }
    }

    #[test]
    fn loopback_only_if_it_is_allowed() {
        for (here, host, port) in [
            ("http://localhost:9000/hook", "localhost", 9000),
            ("http://LOCALHOST/", "localhost", 80),
            ("http://127.0.0.1:9000/", "127.0.0.1", 9000),
            ("http://[::1]:9000/", "[::1]", 9000),
            ("http://[::ffff:127.0.0.1]:9000/", "[::ffff:127.0.0.1]", 9000),
            ("https://127.9.9.9:1/", "127.9.9.9", 1),
        ] {
            for environment in [Live, Sandbox] {
                assert!(parse(here, environment).is_err(), "{here}");
                let allowed = AddressPolicy { environment, allow_loopback: true };
                let address = WebhookAddress::parse(here, allowed).unwrap();
                assert_eq!((address.host(), address.port()), (host, port), "{here}");
                assert!(address.is_loopback(), "{here}");
            }
        }
        let allowed = AddressPolicy { environment: Sandbox, allow_loopback: true };
        for elsewhere in ["http://10.0.0.1/", "http://[fd00::1]/", "http://x.localhost/"] {
            assert!(WebhookAddress::parse(elsewhere, allowed).is_err(), "{elsewhere}");
        }
        let public = WebhookAddress::parse("https://example.com/", allowed).unwrap();
        assert!(!public.is_loopback());
    }
}
