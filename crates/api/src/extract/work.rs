//! The work behind a door: done within a span of the log, and answered whatever happens.
//!
//! Invariant: the span has a number masked, or none.

use super::answer::Answer;
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use tracing::{Instrument, Span};

/// Does the work and makes an answer of what comes of it; a panic counts as `broken`.
pub(crate) async fn answered<ApiError>(
    work: impl Future<Output = Result<Answer, ApiError>>,
    span: Span,
    broken: ApiError,
    refuse: impl FnOnce(&ApiError) -> Answer,
) -> Answer {
    let answer = async {
        // A panic leaves nothing of ours half done: the engine's state is its own matter, and
        // the caller still learns its quota. The text may name data, so it goes no further.
        let done = AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
            tracing::error!("a request panicked");
            Err(broken)
        });
        let answer = done.unwrap_or_else(|no| refuse(&no));
        tracing::debug!(status = answer.status.as_u16(), code = answer.code, "answered");
        answer
    };
    answer.instrument(span).await
}

/// Notes in the log whom a purchase is for, masked.
pub(crate) fn note_recipient(recipient: &str) {
    let span = Span::current();
    if !span.is_disabled() {
        span.record("number", domain::catalog::number::masked(recipient));
    }
}
