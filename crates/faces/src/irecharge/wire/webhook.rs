//! Whether a text can be the address of a webhook: form only, no name is resolved here.
//!
//! The delivery checks the address again when it knows where it leads (RELIABILITY O1).

use domain::Environment;
use http::Uri;

/// Longest address taken.
const BYTES_MOST: usize = 2048;

/// Refuses, in words for people, what is no absolute `https` URL with a plain host; in the sandbox
/// `http` will do.
pub(super) fn check(text: &str, environment: Environment) -> Result<(), &'static str> {
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
    match (uri.scheme_str(), environment) {
        (Some("https"), _) | (Some("http"), Environment::Sandbox) => {}
        (Some("http"), Environment::Live) => return Err("must begin with https:// in live mode."),
        _ => return Err("must be an absolute http or https URL."),
    }
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
    Ok(())
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
    use super::*;
    use Environment::{Live, Sandbox};

    #[test]
    fn only_plain_absolute_urls() {
        for good in [
            "https://your-domain.com/webhooks/recharge",
            "https://example.com",
            "https://example.com:8443/a?b=c&d=%20",
            "https://EXAMPLE.com./x",
            "HTTPS://example.com/",
            "https://[2001:db8::1]:8443/x",
            "https://127.0.0.1/",
            "https://a_b.example/x",
        ] {
            assert_eq!(check(good, Live), Ok(()), "{good}");
            assert_eq!(check(good, Sandbox), Ok(()), "{good}");
        }
        assert_eq!(check("http://localhost:9000/hook", Sandbox), Ok(()));
        assert!(check("http://localhost:9000/hook", Live).is_err());
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
}
