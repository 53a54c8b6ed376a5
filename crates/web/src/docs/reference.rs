//! The interactive API reference: Scalar on our two documents, compiled in.
//!
//! Invariant: it loads nothing from another host, and its policy enforces that. The policy is its
//! own because Scalar adds inline styles; the page has no inline script.

use crate::files::Compressed;
use crate::frame;
use crate::parts::Markup;
use crate::view::{Problem, View};
use crate::words::Words;
use askama::Template;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use std::sync::LazyLock;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; font-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Scalar's bundle, plain and compressed; built at the first request. Its URL contains its version.
static SCALAR: LazyLock<Option<Compressed>> = LazyLock::new(|| {
    let plain = scalar_api_reference::get_asset("scalar.js")?;
    Some(Compressed::of(Bytes::from(plain)))
});

#[derive(Template)]
#[template(path = "docs/reference.html")]
struct Reference {
    words: Words,
    lang: &'static str,
}

pub(super) async fn show(view: View) -> Response {
    let page = Reference { words: view.words, lang: view.words.language.code() };
    let mut response = frame::headers(&view, StatusCode::OK, Markup::of(&page).0);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

pub(super) async fn bundle(headers: HeaderMap) -> Result<Response, Problem> {
    // The first call compresses the bundle, which would block the other requests of this thread.
    let ready = tokio::task::spawn_blocking(|| SCALAR.as_ref()).await;
    match ready {
        Ok(Some(scalar)) => Ok(scalar.response(SCRIPT, &headers)),
        Ok(None) | Err(_) => Err(Problem::Unavailable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundle_is_compiled_in() {
        assert!(SCALAR.is_some());
        let html = include_str!("reference.html");
        assert!(!html.contains("<script>") && !html.contains("//cdn"));
    }
}
