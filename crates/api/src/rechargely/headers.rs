//! The headers of the rechargely document: the bearer token and the channel.
//!
//! Invariant: a header that was sent twice with different values is refused, never interpreted.

use super::refusals::ApiError;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName};

const CHANNEL: HeaderName = HeaderName::from_static("x-channel-id");

/// The channel that a customer uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    /// A browser; also the default.
    Web,
    /// A mobile app.
    App,
    /// Another program.
    Api,
    /// A point of sale.
    Pos,
    /// The USSD menu of a phone.
    Ussd,
}

impl Channel {
    /// Every channel, in the document's order.
    pub(super) const ALL: [Channel; 5] =
        [Channel::Web, Channel::App, Channel::Api, Channel::Pos, Channel::Ussd];

    /// Its name in the document.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Channel::Web => "WEB",
            Channel::App => "APP",
            Channel::Api => "API",
            Channel::Pos => "POS",
            Channel::Ussd => "USSD",
        }
    }
}

/// Refuses a header that was sent twice with different values (CONTRACT B-22).
pub(super) fn check_duplicates(headers: &HeaderMap) -> Result<(), ApiError> {
    let named = [
        (CONTENT_TYPE, "Content-Type"),
        (AUTHORIZATION, "Authorization"),
        (CHANNEL, "X-Channel-Id"),
    ];
    for (header, name) in named {
        let mut values = headers.get_all(header).iter();
        let Some(first) = values.next() else { continue };
        if values.any(|other| other != first) {
            return Err(ApiError::duplicate_header(name));
        }
    }
    Ok(())
}

/// The channel of a request (CONTRACT B-03).
pub(super) fn channel(headers: &HeaderMap) -> Result<Channel, ApiError> {
    let Some(value) = headers.get(CHANNEL) else { return Ok(Channel::Web) };
    let name = value.as_bytes().trim_ascii();
    let is_named = |channel: &Channel| channel.as_str().as_bytes().eq_ignore_ascii_case(name);
    let channel = Channel::ALL.into_iter().find(is_named);
    channel.ok_or_else(ApiError::invalid_channel)
}

/// The bearer token; `None` if the header is missing or is not a bearer token.
pub(super) fn token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    let token = token.trim_start();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_channel_is_one_of_five() {
        for (value, expected) in [
            ("WEB", Some(Channel::Web)),
            ("web", Some(Channel::Web)),
            (" App ", Some(Channel::App)),
            ("API", Some(Channel::Api)),
            ("POS", Some(Channel::Pos)),
            ("ussd", Some(Channel::Ussd)),
            ("", None),
            ("WEB,APP", None),
            ("MOBILE", None),
        ] {
            assert_eq!(channel(&headers(&[("x-channel-id", value)])).ok(), expected, "{value}");
        }
        assert_eq!(channel(&HeaderMap::new()).ok(), Some(Channel::Web));
    }

    #[test]
    fn a_token_comes_after_bearer() {
        for (value, expected) in [
            ("Bearer a.b.c", Some("a.b.c")),
            ("bearer  a.b.c ", Some("a.b.c")),
            ("Bearer", None),
            ("Bearer ", None),
            ("a.b.c", None),
            ("Basic a.b.c", None),
        ] {
            assert_eq!(token(&headers(&[("authorization", value)])), expected, "{value}");
        }
        assert_eq!(token(&HeaderMap::new()), None);
    }

    #[test]
    fn a_header_that_is_sent_twice_must_have_one_value() {
        let twice =
            |name, first, second| check_duplicates(&headers(&[(name, first), (name, second)]));
        for name in ["content-type", "authorization", "x-channel-id"] {
            assert!(twice(name, "a", "a").is_ok(), "{name}");
            let refused = twice(name, "a", "b").unwrap_err();
            assert_eq!(refused.code, "DUPLICATE_HEADER", "{name}");
        }
        assert!(twice("accept", "a", "b").is_ok());
    }
}
