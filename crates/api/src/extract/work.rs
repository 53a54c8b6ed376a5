//! Runs the work of a handler, traced where the log wants it, and answers even if the work panics.
//!
//! A span costs each request time, so there is one at the level `debug` only, and for the line
//! about a panic. Invariant: a customer's number is in the span only in its masked
//! form.

use super::answer::Answer;
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use tracing::{Instrument, Level, Span};

/// Runs `work` and gives its answer, in the tracing span that `span` makes. A panic counts as the
/// error `panicked`; `render` makes the answer of an error.
pub(crate) async fn answer<E>(
    work: impl Future<Output = Result<Answer, E>>,
    span: impl Fn() -> Span,
    panicked: E,
    render: impl FnOnce(&E) -> Answer,
) -> Answer {
    let traced = if tracing::enabled!(Level::DEBUG) { span() } else { Span::none() };
    let answer = async {
        // Unwind safe: the handler has no state of its own, and the engine protects its own. The
        // caller still gets its quota. The panic's text may contain data, so it is not logged here.
        let result = AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
            tracing::error!(parent: &span(), "a request panicked");
            Err(panicked)
        });
        let answer = result.unwrap_or_else(|error| render(&error));
        tracing::debug!(status = answer.status.as_u16(), code = answer.code, "answered");
        answer
    };
    answer.instrument(traced).await
}

/// Records the recipient of a purchase in the span, masked.
pub(crate) fn record_recipient(recipient: &str) {
    let span = Span::current();
    if !span.is_disabled() {
        span.record("number", domain::catalog::number::masked(recipient));
    }
}
