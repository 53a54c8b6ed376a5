//! The stream that tells a browser which of the purchases that it shows have changed.
//!
//! One look a second at the versions of the named purchases, by primary key. It tells ids,
//! versions and which are final (`1042.3.final`), nothing else; the page fetches its part anew.
//! Invariants: ids that are not the session's are dropped; a stream ends after ten minutes, with
//! its session, once nothing is left to wait for, and when the server stops, or every drain would
//! wait for it.

use super::common;
use crate::view::{Problem, Session, View};
use axum::body::{Body, Bytes};
use axum::extract::Query;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse as _, Response};
use domain::PurchaseNumber;
use engine::Caller;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

/// Purchases that one stream watches at most: 4 KiB of address.
const WATCHED_MAX: usize = 150;
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A comment goes out after so many looks without news: proxies cut what is silent.
const COMMENT_EVERY: u32 = 20;
/// Looks until a stream ends; the browser opens another one.
const LOOKS_MAX: u32 = 600;

#[derive(Deserialize)]
pub(super) struct Asked {
    /// Ids with the versions that are shown: `1042.1,1043.2`.
    p: Option<String>,
}

struct Stream {
    view: View,
    caller: Caller,
    shown: BTreeMap<i64, u32>,
    looks: u32,
    silent: u32,
}

pub(super) async fn stream(
    view: View,
    session: Session,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let caller = common::caller(&view, &session)?;
    let pair = |text: &str| {
        let (id, version) = text.split_once('.')?;
        Some((id.parse().ok()?, version.parse().ok()?))
    };
    let named = asked.p.ok_or(Problem::NotFound)?;
    let shown: BTreeMap<i64, u32> = named.split(',').filter_map(pair).take(WATCHED_MAX).collect();
    if shown.is_empty() {
        // With this answer a browser does not ask again.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let stream = Stream { view, caller, shown, looks: 0, silent: 0 };
    let body = Body::from_stream(futures_util::stream::unfold(stream, next));
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, body).into_response())
}

/// What is sent next. The first comes at once.
async fn next(mut stream: Stream) -> Option<(Result<Bytes, Infallible>, Stream)> {
    if stream.looks == 0 {
        stream.looks = 1;
        return Some((Ok(Bytes::from_static(b"retry: 2000\n: open\n\n")), stream));
    }
    loop {
        stream.looks += 1;
        if stream.looks > LOOKS_MAX || stream.shown.is_empty() || !is_wanted(&stream) {
            return None;
        }
        tokio::time::sleep(LOOK_EVERY).await;
        let ids: Vec<PurchaseNumber> = stream.shown.keys().copied().map(PurchaseNumber).collect();
        let versions = stream.view.site.engine.versions(&stream.caller, &ids).await.ok()?;
        stream.shown.retain(|id, _| versions.contains_key(id));
        let mut text = String::new();
        for (id, (version, state)) in versions {
            let is_final = state.is_final();
            if stream.shown.insert(id, version) != Some(version) || is_final {
                let end = if is_final { ".final" } else { "" };
                // A String takes everything.
                let _ = write!(text, "event: purchase\ndata: {id}.{version}{end}\n\n");
            }
            if is_final {
                stream.shown.remove(&id);
            }
        }
        stream.silent += 1;
        if text.is_empty() && stream.silent >= COMMENT_EVERY {
            text.push_str(": still here\n\n");
        }
        if !text.is_empty() {
            stream.silent = 0;
            return Some((Ok(Bytes::from(text)), stream));
        }
    }
}

/// Whether the server goes on and the session is still open.
fn is_wanted(stream: &Stream) -> bool {
    !(stream.view.site.settings.is_stopping)() && stream.view.still_logged_in()
}
