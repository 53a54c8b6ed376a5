//! Notes each request and its answer for the account's own log.
//!
//! Invariants: a request is noted once its keys were right, so nobody fills somebody else's log;
//! its body is noted as its handler reads it, never before; the answer is what it would be without
//! the log.

use super::ApiState;
use super::refusals::{self, ApiError};
use crate::extract::address;
use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use engine::{NotedBody, RequestNote, RequestOwner};
use http_body_util::BodyExt as _;
use std::sync::mpsc::{Sender, channel};

/// Answers that are longer are not noted: they would have to be held a second time.
const ANSWER_BYTES_MAX: u64 = 256 * 1024;

pub(super) async fn note(State(api): State<ApiState>, request: Request, next: Next) -> Response {
    let start = api.engine.begin_request();
    let (parts, body) = request.into_parts();
    let from = address::of_client(&parts, &api.settings);
    let (method, path) = (parts.method.to_string(), parts.uri.path().to_owned());
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let (sender, read) = channel();
    let body = if has_body(&body) { noted(body, sender) } else { body };
    let response = next.run(Request::from_parts(parts, body)).await;
    let Some(owner) = response.extensions().get::<RequestOwner>().copied() else {
        return response;
    };
    let (mut parts, body) = response.into_parts();
    let (body, answered) = match body.size_hint().exact() {
        Some(length) if length <= ANSWER_BYTES_MAX => {
            let limit = usize::try_from(length).unwrap_or(usize::MAX);
            let Ok(bytes) = to_bytes(body, limit).await else {
                return refusals::answer(&ApiError::internal()).into_response();
            };
            let mut answered = NotedBody::default();
            answered.add(&bytes);
            (Body::from(bytes), answered)
        }
        length => {
            let length = length.map_or(usize::MAX, |l| usize::try_from(l).unwrap_or(usize::MAX));
            (body, NotedBody { bytes: Vec::new(), length })
        }
    };
    let mut sent = NotedBody::default();
    read.try_iter().for_each(|bytes: bytes::Bytes| sent.add(&bytes));
    let status = parts.status.as_u16();
    let note = RequestNote { owner, start, from, method, path, query, status, sent, answered };
    parts.extensions.insert(api.engine.note_request(note));
    Response::from_parts(parts, body)
}

fn has_body(body: &Body) -> bool {
    !body.is_end_stream()
}

/// The body, of which a copy goes there as it is read: its frames share their bytes.
fn noted(body: Body, to: Sender<bytes::Bytes>) -> Body {
    Body::new(body.map_frame(move |frame| {
        if let Some(data) = frame.data_ref() {
            // Nobody listens any more: the request was given up.
            let _ = to.send(data.clone());
        }
        frame
    }))
}
