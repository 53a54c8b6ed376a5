//! The edge's own answers: a stable code, and words for the person who wanted to pay.
//!
//! Not here: refusals of the engine, which each face words in its own dialect.
//! Invariant: one shape, always JSON; "nothing was charged" only where no handler has run.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{StatusCode, Version};
use serde::Serialize;

use super::limits::Limits;

/// Why the edge answers in place of a face.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    BodyTooLarge {
        bytes_max: usize,
    },
    HeadTooLarge {
        bytes_max: usize,
        lines_max: usize,
    },
    UriTooLong {
        bytes_max: usize,
    },
    UnsupportedEncoding,
    MethodNotAllowed,
    BadFraming(&'static str),
    RequestTimeout,
    TooManyConnections,
    /// The handler took too long: what it did is not known here.
    AnswerTimeout,
    /// The handler panicked: what it did is not known here.
    Broken,
}

impl Refused {
    pub(super) fn head_too_large(limits: &Limits) -> Self {
        Self::HeadTooLarge { bytes_max: limits.head_bytes, lines_max: limits.head_lines }
    }

    pub(super) fn uri_too_long(limits: &Limits) -> Self {
        Self::UriTooLong { bytes_max: limits.uri_bytes }
    }

    pub(super) fn body_too_large(limits: &Limits) -> Self {
        Self::BodyTooLarge { bytes_max: limits.body_bytes }
    }

    /// The answer for hyper to send.
    pub(super) fn answer(&self) -> Response {
        let (words, body) = self.render();
        let mut answer = Response::new(Body::from(body));
        *answer.status_mut() = words.status;
        answer.headers_mut().extend(self.fields(&words));
        answer
    }

    /// The answer as bytes, for a connection on which hyper has nothing to say.
    pub(super) fn raw(&self) -> Bytes {
        let (words, body) = self.render();
        let mut raw = Vec::with_capacity(512);
        let line = format!("{:?} {}\r\n", Version::HTTP_11, words.status);
        raw.extend_from_slice(line.as_bytes());
        for (name, value) in self.fields(&words) {
            raw.extend_from_slice(name.as_str().as_bytes());
            raw.extend_from_slice(b": ");
            raw.extend_from_slice(value.as_bytes());
            raw.extend_from_slice(b"\r\n");
        }
        raw.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        raw.extend_from_slice(&body);
        raw.into()
    }

    fn render(&self) -> (Words, Vec<u8>) {
        let words = self.words();
        let shape =
            Shape { success: false, message: words.message, error: &words.error, code: words.code };
        let body = serde_json::to_vec(&shape).unwrap_or_default();
        (words, body)
    }

    fn fields(&self, words: &Words) -> Vec<(HeaderName, HeaderValue)> {
        let mut fields = vec![
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        ];
        if words.closes {
            fields.push((header::CONNECTION, HeaderValue::from_static("close")));
        }
        if *self == Self::MethodNotAllowed {
            let methods = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
            fields.push((header::ALLOW, methods));
        }
        if *self == Self::TooManyConnections {
            fields.push((header::RETRY_AFTER, HeaderValue::from_static("5")));
        }
        fields
    }

    fn words(&self) -> Words {
        match self {
            Self::BodyTooLarge { bytes_max } => Words::uncharged(
                (StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", "Request too large"),
                &format!("The body has more than {bytes_max} bytes"),
                "Send it in smaller parts.",
            ),
            Self::HeadTooLarge { bytes_max, lines_max } => Words::uncharged(
                (
                    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                    "HEAD_TOO_LARGE",
                    "Request headers too large",
                ),
                &format!("The head has more than {bytes_max} bytes or {lines_max} lines"),
                "Send fewer or shorter headers and cookies.",
            ),
            Self::UriTooLong { bytes_max } => Words::uncharged(
                (StatusCode::URI_TOO_LONG, "URI_TOO_LONG", "Address too long"),
                &format!("The path and query have more than {bytes_max} bytes"),
                "Ask for less at once.",
            ),
            Self::UnsupportedEncoding => Words::uncharged(
                (
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    "UNSUPPORTED_ENCODING",
                    "Compressed requests are not accepted",
                ),
                "The body has a Content-Encoding other than identity",
                "Send it uncompressed and without that header.",
            ),
            Self::MethodNotAllowed => Words::uncharged(
                (StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "Method not allowed"),
                "TRACE and CONNECT are not served here",
                "Use the method that the documentation names.",
            ),
            Self::BadFraming(reason) => Words::uncharged(
                (StatusCode::BAD_REQUEST, "BAD_REQUEST_FRAMING", "Malformed request"),
                reason,
                "Correct the request before you send it again.",
            ),
            Self::RequestTimeout => Words::uncharged(
                (StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", "Request arrived too slowly"),
                "The request did not arrive whole in time",
                "Send it again.",
            ),
            Self::TooManyConnections => Words::uncharged(
                (StatusCode::SERVICE_UNAVAILABLE, "TOO_MANY_CONNECTIONS", "Too many connections"),
                "The server has no room for one more connection from you",
                "Reuse the connections you have, or try again in some seconds.",
            ),
            Self::AnswerTimeout => Words::unknown(
                (StatusCode::GATEWAY_TIMEOUT, "ANSWER_TIMEOUT", "No answer in time"),
                "The server was not done with the request in time",
            ),
            Self::Broken => Words::unknown(
                (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", "Internal error"),
                "The server failed while it worked on the request",
            ),
        }
    }
}

/// The documented shape of every error.
#[derive(Serialize)]
struct Shape<'a> {
    success: bool,
    message: &'a str,
    error: &'a str,
    code: &'a str,
}

struct Words {
    status: StatusCode,
    code: &'static str,
    message: &'static str,
    error: String,
    /// Part of the request is unread, or its end is unknown: the connection cannot be reused.
    closes: bool,
}

impl Words {
    /// For a request that no handler has seen.
    fn uncharged(
        (status, code, message): (StatusCode, &'static str, &'static str),
        what: &str,
        remedy: &str,
    ) -> Self {
        let error = format!("{what}. Nothing was charged. {remedy}");
        Self { status, code, message, error, closes: true }
    }

    /// For a request whose handler did not end as it should.
    fn unknown(
        (status, code, message): (StatusCode, &'static str, &'static str),
        what: &str,
    ) -> Self {
        let error = format!(
            "{what}, so its outcome is not known yet. If it was a payment, ask for its status \
             with your reference before you send it again."
        );
        Self { status, code, message, error, closes: false }
    }
}
