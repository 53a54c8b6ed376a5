//! Maps a response of FCM to the result of the push.
//!
//! Source: firebase.google.com, *FCM Error Codes* and *Best practices when sending FCM messages at
//! scale*. Invariants: only the listed pairs of status and code make us forget a device token; any
//! other response is retried. FCM's messages are not passed on: they may quote what we sent.

use crate::http::{self, HttpResponse};
use domain::{Pushed, Timestamp};
use serde::Deserialize;
use std::time::Duration;

/// The wait that FCM asks for after a 429 without `Retry-After`.
const QUOTA_WAIT: Duration = Duration::from_secs(60);

const FCM_ERROR: &str = "type.googleapis.com/google.firebase.fcm.v1.FcmError";
const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";

/// FCM's message for a malformed device token. The documented response names no field.
const INVALID_TOKEN: &str = "The registration token is not a valid FCM registration token";

/// The result of one request to FCM.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SendResult {
    /// The push has its result.
    Done(Pushed),
    /// The access token is not or no longer valid.
    AccessTokenRejected(RetryLater),
}

/// Why a push must be retried, and after which time at the earliest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RetryLater {
    pub(super) reason: String,
    pub(super) after: Option<Duration>,
}

impl RetryLater {
    pub(super) fn because(reason: &str) -> RetryLater {
        RetryLater { reason: reason.to_owned(), after: None }
    }
}

impl From<RetryLater> for Pushed {
    fn from(RetryLater { reason, after }: RetryLater) -> Pushed {
        Pushed::Later { reason, after }
    }
}

pub(super) fn read_response(response: &HttpResponse, now: Timestamp) -> SendResult {
    let status = response.status.as_u16();
    if status == 200 {
        return SendResult::Done(accepted(&response.body));
    }
    let error = serde_json::from_slice(&response.body).map(|ErrorResponse { error }| error).ok();
    let code = error.as_ref().map_or("", ErrorBody::code);
    let after = http::retry_after(&response.headers, now);
    let reason = |more: &str| {
        let reason = format!("FCM answered {status} {code}");
        format!("{}{more}", reason.trim_end())
    };
    let later = |more: &str| SendResult::Done(Pushed::Later { reason: reason(more), after });
    match (status, code) {
        (404, "UNREGISTERED") => SendResult::Done(Pushed::Unregistered { reason: reason("") }),
        // The device belongs to another project. Its token is kept: with a wrong service account
        // every device would get this response.
        (403, "SENDER_ID_MISMATCH") => SendResult::Done(Pushed::Refused { reason: reason("") }),
        (400, "INVALID_ARGUMENT") => SendResult::Done(invalid_argument(error.as_ref(), &reason)),
        // Before the arm of 401: it comes with a 401, but a new access token would not help.
        (_, "THIRD_PARTY_AUTH_ERROR") => later(": check APNs or web push key"),
        (401, _) => {
            let reason = reason(": the access token");
            SendResult::AccessTokenRejected(RetryLater { reason, after })
        }
        (403, _) => later(": check the service account's role"),
        (404, _) => later(": check the service account's project_id"),
        (429, _) => SendResult::Done(Pushed::Later {
            reason: reason(""),
            after: Some(after.unwrap_or(QUOTA_WAIT)),
        }),
        _ => later(""),
    }
}

#[derive(Deserialize)]
struct FcmAccepted {
    /// The identifier of the message.
    name: String,
}

#[derive(Deserialize)]
struct ErrorResponse {
    error: ErrorBody,
}

#[derive(Deserialize)]
struct ErrorBody {
    #[serde(default)]
    message: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    details: Vec<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(rename = "@type", default)]
    kind: String,
    #[serde(rename = "errorCode", default)]
    error_code: String,
    #[serde(rename = "fieldViolations", default)]
    field_violations: Vec<FieldViolation>,
}

#[derive(Deserialize)]
struct FieldViolation {
    #[serde(default)]
    field: String,
}

impl ErrorBody {
    /// FCM's own code, or else the less precise status of the Google API.
    fn code(&self) -> &str {
        let own = self.details.iter().find(|d| d.kind == FCM_ERROR && !d.error_code.is_empty());
        code_or_empty(own.map_or(&self.status, |detail| &detail.error_code))
    }

    fn fields(&self) -> impl Iterator<Item = &str> {
        self.details
            .iter()
            .filter(|detail| detail.kind == BAD_REQUEST)
            .flat_map(|detail| detail.field_violations.iter())
            .map(|violation| violation.field.as_str())
    }
}

fn accepted(body: &[u8]) -> Pushed {
    match serde_json::from_slice(body) {
        Ok(FcmAccepted { name }) if !name.is_empty() => Pushed::Accepted,
        Ok(_) | Err(_) => RetryLater::because("FCM answered 200 without a message's name").into(),
    }
}

/// The result of `INVALID_ARGUMENT`: the device token is forgotten only if FCM names it as the
/// invalid field.
fn invalid_argument(error: Option<&ErrorBody>, reason: &impl Fn(&str) -> String) -> Pushed {
    let fields: Vec<&str> = error.into_iter().flat_map(ErrorBody::fields).collect();
    let is_token_invalid = error.is_some_and(|e| e.message == INVALID_TOKEN);
    if is_token_invalid || fields.contains(&"message.token") {
        return Pushed::Unregistered { reason: reason(": message.token") };
    }
    match fields.first().map_or("", |field| code_or_empty(field)) {
        "" => Pushed::Refused { reason: reason("") },
        field => Pushed::Refused { reason: reason(&format!(": {field}")) },
    }
}

/// The text if it looks like a code or a field name, or else an empty text: nothing that could
/// contain a token is passed on from a response.
pub(super) fn code_or_empty(text: &str) -> &str {
    const BYTES_MAX: usize = 48;
    let is_code = text.len() <= BYTES_MAX
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.[]".contains(&b));
    if is_code { text } else { "" }
}
