//! What an answer of FCM's means: one function from an answer to what became of the push.
//!
//! The facts are those of firebase.google.com: *FCM Error Codes* and *Best practices when sending
//! FCM messages at scale*. Invariant: a device token is given up only for the replies listed here,
//! status and code together; whatever else is not understood is tried again. FCM's own sentences
//! may quote what we sent, so they are not passed on.

use crate::http::{self, Answer};
use domain::clock::Timestamp;
use domain::push::Pushed;
use serde::Deserialize;
use std::time::Duration;

/// What FCM wants us to wait after a 429 that names no time.
const QUOTA_WAIT: Duration = Duration::from_secs(60);

const FCM_ERROR: &str = "type.googleapis.com/google.firebase.fcm.v1.FcmError";
const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";

/// How FCM says that a token never was one; its documented reply names no field.
const NOT_A_TOKEN: &str = "The registration token is not a valid FCM registration token";

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This became of the push.
    Said(Pushed),
    /// The access token is not good (any more).
    AccessRejected(Wait),
}

/// Why a push is to be tried again, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    pub(super) reason: String,
    pub(super) after: Option<Duration>,
}

impl Wait {
    pub(super) fn of(reason: &str) -> Wait {
        Wait { reason: reason.to_owned(), after: None }
    }
}

impl From<Wait> for Pushed {
    fn from(Wait { reason, after }: Wait) -> Pushed {
        Pushed::Later { reason, after }
    }
}

/// Reads an answer.
pub(super) fn verdict(answer: &Answer, now: Timestamp) -> Verdict {
    let status = answer.status.as_u16();
    if status == 200 {
        return Verdict::Said(taken(&answer.body));
    }
    let error = serde_json::from_slice(&answer.body).map(|Envelope { error }| error).ok();
    let code = error.as_ref().map_or("", ErrorBody::code);
    let after = http::retry_after(&answer.headers, now);
    let reason = |more: &str| {
        let reason = format!("FCM answered {status} {code}");
        format!("{}{more}", reason.trim_end())
    };
    let later = |more: &str| Verdict::Said(Pushed::Later { reason: reason(more), after });
    match (status, code) {
        (404, "UNREGISTERED") => Verdict::Said(Pushed::Unregistered { reason: reason("") }),
        // Another project's device: not forgotten, because a wrong service account of ours would
        // then forget every device.
        (403, "SENDER_ID_MISMATCH") => Verdict::Said(Pushed::Refused { reason: reason("") }),
        (400, "INVALID_ARGUMENT") => Verdict::Said(invalid(error.as_ref(), &reason)),
        // Before the next line: it comes with a 401, and no access token of ours mends it.
        (_, "THIRD_PARTY_AUTH_ERROR") => {
            later(": ours to mend (the APNs key or web push key in the Firebase project)")
        }
        (401, _) => Verdict::AccessRejected(Wait { reason: reason(": the access token"), after }),
        (403, _) => later(": ours to mend (may the service account send for this project?)"),
        (404, _) => later(": ours to mend (is there such a project?)"),
        (429, _) => Verdict::Said(Pushed::Later {
            reason: reason(""),
            after: Some(after.unwrap_or(QUOTA_WAIT)),
        }),
        _ => later(""),
    }
}

#[derive(Deserialize)]
struct Taken {
    name: String,
}

#[derive(Deserialize)]
struct Envelope {
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
    /// FCM's own code, or else the general one, which is coarser.
    fn code(&self) -> &str {
        let own = self.details.iter().find(|d| d.kind == FCM_ERROR && !d.error_code.is_empty());
        word(own.map_or(&self.status, |detail| &detail.error_code))
    }

    fn fields(&self) -> impl Iterator<Item = &str> {
        self.details
            .iter()
            .filter(|detail| detail.kind == BAD_REQUEST)
            .flat_map(|detail| detail.field_violations.iter())
            .map(|violation| violation.field.as_str())
    }
}

fn taken(body: &[u8]) -> Pushed {
    match serde_json::from_slice(body) {
        Ok(Taken { name }) if !name.is_empty() => Pushed::Accepted,
        Ok(_) | Err(_) => Wait::of("FCM answered 200 without a message's name").into(),
    }
}

/// A request that FCM does not like: only if it blames the token is the token given up.
fn invalid(error: Option<&ErrorBody>, reason: &impl Fn(&str) -> String) -> Pushed {
    let fields: Vec<&str> = error.into_iter().flat_map(ErrorBody::fields).collect();
    let blames_token = error.is_some_and(|e| e.message == NOT_A_TOKEN);
    if blames_token || fields.contains(&"message.token") {
        return Pushed::Unregistered { reason: reason(": message.token") };
    }
    match fields.first().map_or("", |field| word(field)) {
        "" => Pushed::Refused { reason: reason("") },
        field => Pushed::Refused { reason: reason(&format!(": {field}")) },
    }
}

/// A code or a field's name as it is, anything else not at all: what is passed on from an answer
/// must not be able to carry a token.
pub(super) fn word(text: &str) -> &str {
    const BYTES_MAX: usize = 48;
    let is_word = text.len() <= BYTES_MAX
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.[]".contains(&b));
    if is_word { text } else { "" }
}
