//! The headers of the rechargely document: the bearer token and the channel.
//!
//! Invariant: a header that came twice and says two things is read as neither.

use super::refusals::ApiError;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName};

const CHANNEL: HeaderName = HeaderName::from_static("x-channel-id");

/// By what a customer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    /// A browser; also whoever does not say.
    Web,
    /// An app.
    App,
    /// A program.
    Api,
    /// A till.
    Pos,
    /// A phone's menu.
    Ussd,
}

impl Channel {
    /// Each.
    pub(super) const ALL: [Channel; 5] =
        [Channel::Web, Channel::App, Channel::Api, Channel::Pos, Channel::Ussd];

    /// The document's word.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Channel::Web => "WEB",
            Channel::App => "APP",
            Channel::Api => "API",
            Channel::Pos => "POS",
            Channel::Ussd => "USSD",
        }
    }
}

/// Refuses headers that contradict themselves (CONTRACT B-22).
pub(super) fn agree(headers: &HeaderMap) -> Result<(), ApiError> {
    let named = [
        (CONTENT_TYPE, "Content-Type"),
        (AUTHORIZATION, "Authorization"),
        (CHANNEL, "X-Channel-Id"),
    ];
    for (header, name) in named {
        let mut values = headers.get_all(header).iter();
        let Some(first) = values.next() else { continue };
        if values.any(|other| other != first) {
            return Err(ApiError::HeaderTwice(name));
        }
    }
    Ok(())
}

/// By what the request came (CONTRACT B-03).
pub(super) fn channel(headers: &HeaderMap) -> Result<Channel, ApiError> {
    let Some(value) = headers.get(CHANNEL) else { return Ok(Channel::Web) };
    let word = value.as_bytes().trim_ascii();
    let channel = Channel::ALL.into_iter().find(|c| c.word().as_bytes().eq_ignore_ascii_case(word));
    channel.ok_or(ApiError::Channel)
}

/// The access token; none if there is none, or something else than a token.
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
    fn what_comes_twice_must_be_the_same() {
        let twice = |name, first, second| agree(&headers(&[(name, first), (name, second)]));
        for name in ["content-type", "authorization", "x-channel-id"] {
            assert!(twice(name, "a", "a").is_ok(), "{name}");
            assert!(matches!(twice(name, "a", "b"), Err(ApiError::HeaderTwice(_))), "{name}");
        }
        assert!(twice("accept", "a", "b").is_ok());
    }
}
