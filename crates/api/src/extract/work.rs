//! Runs the work of a handler, traced where the log wants it, and answers even if the work panics.
//!
//! A span costs each request time, so there is one only where the log keeps lines of the level
//! `debug`, of whatever module, and for the line about a panic. Invariant: a customer's number is
//! in the span only in its masked form.

use super::answer::Answer;
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use tracing::level_filters::LevelFilter;
use tracing::{Instrument, Span};

/// Runs `work` and gives its answer, in the tracing span that `span` makes. A panic counts as the
/// error `panicked`; `render` makes the answer of an error.
pub(crate) async fn answer<E>(
    work: impl Future<Output = Result<Answer, E>>,
    span: impl Fn() -> Span,
    panicked: E,
    render: impl FnOnce(&E) -> Answer,
) -> Answer {
    let is_traced = LevelFilter::current() >= LevelFilter::DEBUG;
    let traced = if is_traced { span() } else { Span::none() };
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

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;
    use std::cell::Cell;
    use std::sync::{Arc, Mutex};
    use tracing::instrument::WithSubscriber as _;
    use tracing_subscriber::fmt::MakeWriter;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Lines {
        type Writer = Lines;

        fn make_writer(&self) -> Lines {
            self.clone()
        }
    }

    /// The log of one request at these levels, and how many spans it made.
    async fn logged(
        levels: &str,
        work: impl Future<Output = Result<Answer, &'static str>>,
    ) -> (String, u32) {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(levels)
            .with_writer(lines.clone())
            .with_ansi(false)
            .without_time()
            .finish();
        let spans = Cell::new(0);
        let span = || {
            spans.set(spans.get() + 1);
            tracing::info_span!("irecharge", account = 7)
        };
        let render = |error: &&'static str| Answer::ok(error).unwrap();
        let answer = answer(work, span, "panicked", render).with_subscriber(subscriber).await;
        assert_eq!(answer.status, StatusCode::OK);
        let text = lines.0.lock().unwrap().clone();
        (String::from_utf8(text).unwrap(), spans.get())
    }

    async fn panics() -> Result<Answer, &'static str> {
        panic!("a secret")
    }

    async fn speaks() -> Result<Answer, &'static str> {
        tracing::debug!(target: "engine::settle", "a step");
        Ok(Answer::ok(&()).unwrap())
    }

    #[tokio::test]
    async fn the_line_about_a_panic_says_whose_request_it_was() {
        let (log, spans) = logged("info", panics()).await;
        assert_eq!(log, "ERROR irecharge{account=7}: api::extract::work: a request panicked\n");
        assert_eq!(spans, 1);
    }

    #[tokio::test]
    async fn a_request_costs_no_span_unless_some_module_is_logged_in_detail() {
        assert_eq!(logged("info", speaks()).await, (String::new(), 0));
        let (log, spans) = logged("info,engine=debug", speaks()).await;
        assert_eq!(
            (log.as_str(), spans),
            ("DEBUG irecharge{account=7}: engine::settle: a step\n", 1)
        );
        let (log, _) = logged("debug", speaks()).await;
        assert!(
            log.contains("irecharge{account=7}: api::extract::work: answered status=200"),
            "{log}"
        );
    }
}
