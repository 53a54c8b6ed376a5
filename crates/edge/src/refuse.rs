//! The edge's own answers: a stable code, and text for the person who wanted to pay.
//!
//! Not here: refusals of the engine, which each dialect words itself. Invariants: one shape, always
//! JSON; "nothing was charged" only if no handler has run.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{StatusCode, Version};
use serde::Serialize;
use std::net::IpAddr;

use super::limits::Limits;

/// Why the edge answers instead of a dialect.
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
    /// The handler exceeded its timeout; its effects are unknown here.
    AnswerTimeout,
    /// The handler panicked; its effects are unknown here.
    HandlerPanicked,
}

/// An answer of the edge, for documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeError {
    /// HTTP status.
    pub status: u16,
    /// Stable.
    pub code: &'static str,
    /// What happened, as it is answered.
    pub message: &'static str,
    /// What is wrong, what it means for the money, and what to do next.
    pub advice: String,
}

/// Every answer of the edge under these limits, by status.
pub fn errors(limits: &Limits) -> Vec<EdgeError> {
    let mut all: Vec<EdgeError> = Refused::all(limits).iter().map(Refused::described).collect();
    all.sort_by_key(|error| error.status);
    all
}

impl Refused {
    /// One of each.
    pub(super) fn all(limits: &Limits) -> [Refused; 10] {
        [
            Self::body_too_large(limits),
            Self::head_too_large(limits),
            Self::uri_too_long(limits),
            Self::UnsupportedEncoding,
            Self::MethodNotAllowed,
            Self::BadFraming("The request is no HTTP/1.1 that every server reads in the same way"),
            Self::RequestTimeout,
            Self::TooManyConnections,
            Self::AnswerTimeout,
            Self::HandlerPanicked,
        ]
    }

    fn described(&self) -> EdgeError {
        let Summary { status, code, message } = self.summary();
        EdgeError { status: status.as_u16(), code, message, advice: self.error() }
    }

    pub(super) fn head_too_large(limits: &Limits) -> Self {
        Self::HeadTooLarge { bytes_max: limits.head_bytes, lines_max: limits.head_lines }
    }

    pub(super) fn uri_too_long(limits: &Limits) -> Self {
        Self::UriTooLong { bytes_max: limits.uri_bytes }
    }

    pub(super) fn body_too_large(limits: &Limits) -> Self {
        Self::BodyTooLarge { bytes_max: limits.body_bytes }
    }

    /// Counts this refusal of a client at `from` for the log, which says once a second how many
    /// there were of each (the target `counted`): anybody can cause them in plenty.
    pub(super) fn count(&self, from: IpAddr) {
        let Summary { status, code, .. } = self.summary();
        let status = status.as_u16();
        if self.has_run_a_handler() {
            tracing::error!(target: "counted", status, code, %from, "no answer of a handler");
        } else {
            tracing::info!(target: "counted", status, code, %from, "refused at the edge");
        }
    }

    /// The answer for hyper to send.
    pub(super) fn answer(&self) -> Response {
        let summary = self.summary();
        let mut answer = Response::new(Body::from(self.body(&summary)));
        *answer.status_mut() = summary.status;
        answer.headers_mut().extend(self.fields());
        answer
    }

    /// The answer as bytes, for a connection on which hyper has nothing to send.
    pub(super) fn raw(&self) -> Bytes {
        let summary = self.summary();
        let body = self.body(&summary);
        let mut raw = format!("{:?} {}\r\n", Version::HTTP_11, summary.status).into_bytes();
        for (name, value) in self.fields() {
            raw.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        raw.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
        raw.extend(body);
        raw.into()
    }

    fn body(&self, summary: &Summary) -> Vec<u8> {
        let Summary { message, code, .. } = summary;
        let error = &self.error();
        serde_json::to_vec(&Shape { success: false, message, error, code }).unwrap_or_default()
    }

    fn fields(&self) -> Vec<(HeaderName, HeaderValue)> {
        let mut fields = vec![
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        ];
        if !self.has_run_a_handler() {
            // Part of the request may be unread: the connection cannot be reused.
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

    const fn has_run_a_handler(&self) -> bool {
        matches!(self, Self::AnswerTimeout | Self::HandlerPanicked)
    }

    const fn summary(&self) -> Summary {
        let (status, code, message) = match self {
            Self::BodyTooLarge { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", "Request too large")
            }
            Self::HeadTooLarge { .. } => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "HEAD_TOO_LARGE",
                "Request headers too large",
            ),
            Self::UriTooLong { .. } => {
                (StatusCode::URI_TOO_LONG, "URI_TOO_LONG", "Address too long")
            }
            Self::UnsupportedEncoding => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "UNSUPPORTED_ENCODING",
                "Compressed requests are not accepted",
            ),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "Method not allowed")
            }
            Self::BadFraming(_) => {
                (StatusCode::BAD_REQUEST, "BAD_REQUEST_FRAMING", "Malformed request")
            }
            Self::RequestTimeout => {
                (StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", "Request arrived too slowly")
            }
            Self::TooManyConnections => {
                (StatusCode::SERVICE_UNAVAILABLE, "TOO_MANY_CONNECTIONS", "Too many connections")
            }
            Self::AnswerTimeout => {
                (StatusCode::GATEWAY_TIMEOUT, "ANSWER_TIMEOUT", "No answer in time")
            }
            Self::HandlerPanicked => {
                (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", "Internal error")
            }
        };
        Summary { status, code, message }
    }

    fn error(&self) -> String {
        let (what, remedy) = self.reason_and_remedy();
        match self.has_run_a_handler() {
            true => unknown(&what),
            false => format!("{what}. Nothing was charged. {remedy}"),
        }
    }

    fn reason_and_remedy(&self) -> (String, &'static str) {
        match self {
            Self::BodyTooLarge { bytes_max } => {
                (format!("The body has more than {bytes_max} bytes"), "Send it in smaller parts.")
            }
            Self::HeadTooLarge { bytes_max, lines_max } => (
                format!("The head has more than {bytes_max} bytes or {lines_max} lines"),
                "Send fewer or shorter headers and cookies.",
            ),
            Self::UriTooLong { bytes_max } => (
                format!("The path and query have more than {bytes_max} bytes"),
                "Ask for less at once.",
            ),
            Self::UnsupportedEncoding => (
                "The body has a Content-Encoding other than identity".to_owned(),
                "Send it uncompressed and without that header.",
            ),
            Self::MethodNotAllowed => (
                "TRACE and CONNECT are not served here".to_owned(),
                "Use the method that the documentation names.",
            ),
            Self::BadFraming(reason) => {
                ((*reason).to_owned(), "Correct the request before you send it again.")
            }
            Self::RequestTimeout => {
                ("The request did not arrive whole in time".to_owned(), "Send it again.")
            }
            Self::TooManyConnections => (
                "The server has no room for one more connection from you".to_owned(),
                "Reuse the connections you have, or try again in some seconds.",
            ),
            Self::AnswerTimeout => {
                ("The server was not done with the request in time".to_owned(), "")
            }
            Self::HandlerPanicked => {
                ("The server failed while it worked on the request".to_owned(), "")
            }
        }
    }
}

/// The error of a request whose handler has run, but did not answer.
fn unknown(what: &str) -> String {
    format!(
        "{what}, so its outcome is not known yet. If it was a payment, ask for its status with \
         your reference before you send it again."
    )
}

/// The part of an answer that is the same for all requests with this refusal.
struct Summary {
    status: StatusCode,
    code: &'static str,
    message: &'static str,
}

/// The documented shape of every error.
#[derive(Serialize)]
struct Shape<'a> {
    success: bool,
    message: &'a str,
    error: &'a str,
    code: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A new one belongs into the list.
    const fn place(refused: &Refused) -> usize {
        match refused {
            Refused::BodyTooLarge { .. } => 0,
            Refused::HeadTooLarge { .. } => 1,
            Refused::UriTooLong { .. } => 2,
            Refused::UnsupportedEncoding => 3,
            Refused::MethodNotAllowed => 4,
            Refused::BadFraming(_) => 5,
            Refused::RequestTimeout => 6,
            Refused::TooManyConnections => 7,
            Refused::AnswerTimeout => 8,
            Refused::HandlerPanicked => 9,
        }
    }

    #[test]
    fn every_refusal_is_listed_for_documents() {
        let all = Refused::all(&Limits::default());
        let places: Vec<usize> = all.iter().map(place).collect();
        assert_eq!(places, (0..10).collect::<Vec<_>>());
        let errors = errors(&Limits::default());
        assert_eq!(errors.len(), all.len());
        assert!(errors.iter().any(|e| e.status == 414 && e.advice.contains("4096 bytes")));
    }
}
