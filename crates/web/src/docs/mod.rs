//! The landing page, the interactive API reference, and their files.
//!
//! All files are compiled into the program. Invariants: no page loads anything from another host,
//! and its Content-Security-Policy enforces that; no page of ours has an inline script or style.

mod landing;

use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use engine::Engine;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::sync::{Arc, LazyLock};

/// The policy of our own pages: only our style sheet and pictures.
const STRICT: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// The policy of the reference: Scalar adds inline styles, and calls this server only.
const REFERENCE: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                         img-src 'self' data:; font-src 'self' data:; connect-src 'self'; \
                         base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

const AN_HOUR: &str = "public, max-age=3600";

/// The bundle's URL contains its version, so it never changes.
const BUNDLE: &str = "public, max-age=31536000, immutable";

/// Scalar's bundle, plain and compressed; built at the first request.
static SCALAR: LazyLock<Option<Scalar>> = LazyLock::new(Scalar::load);

struct Scalar {
    plain: Bytes,
    gzipped: Bytes,
}

/// The routes of the landing page, the reference and their files.
pub(crate) fn router(engine: Engine, base_url: String) -> axum::Router {
    let base_url: Arc<str> = base_url.into();
    let landing = async move || page(STRICT, landing::html(&engine, &base_url));
    axum::Router::new()
        .route("/", get(landing))
        .route("/docs", get(async || page(REFERENCE, include_str!("reference.html"))))
        .route("/docs/start.js", get(async || file(SCRIPT, include_str!("start.js"))))
        .route("/docs/scalar.js", get(scalar))
        .route("/docs/saldo.css", get(async || file("text/css", include_str!("saldo.css"))))
        .route("/docs/saldo.svg", get(async || file("image/svg+xml", include_str!("saldo.svg"))))
}

fn page(policy: &'static str, html: impl Into<String>) -> Response {
    let headers = [
        (CONTENT_TYPE, HTML),
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, policy),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (headers, html.into()).into_response()
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, AN_HOUR),
        (CONTENT_SECURITY_POLICY, STRICT),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text).into_response()
}

async fn scalar(headers: HeaderMap) -> Response {
    // The first call compresses the bundle, which would block the other requests of this thread.
    let ready = tokio::task::spawn_blocking(|| SCALAR.as_ref()).await;
    let Ok(Some(Scalar { plain, gzipped })) = ready else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let fixed = |name: HeaderName, value| (name, HeaderValue::from_static(value));
    let shared = [
        fixed(CONTENT_TYPE, SCRIPT),
        fixed(CACHE_CONTROL, BUNDLE),
        fixed(VARY, "accept-encoding"),
        fixed(X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    match accepts_gzip(&headers) {
        true => (shared, [fixed(CONTENT_ENCODING, "gzip")], gzipped.clone()).into_response(),
        false => (shared, plain.clone()).into_response(),
    }
}

/// Whether Accept-Encoding lists gzip without `q=0`.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|v| v.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"))
            && !parts.any(|p| matches!(p, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

impl Scalar {
    fn load() -> Option<Scalar> {
        let plain = Bytes::from(scalar_api_reference::get_asset("scalar.js")?);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let gzipped = encoder.write_all(&plain).and_then(|()| encoder.finish()).ok()?;
        Some(Scalar { plain, gzipped: gzipped.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_only_if_it_is_accepted() {
        for (line, expected) in [
            ("", false),
            ("gzip", true),
            ("GZIP", true),
            ("br, gzip;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000, br", false),
            ("br", false),
            ("*", false),
            ("x-gzip", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, line.parse().unwrap());
            assert_eq!(accepts_gzip(&headers), expected, "{line}");
        }
    }

    #[test]
    fn the_bundle_is_compiled_in() {
        let scalar = SCALAR.as_ref().unwrap();
        assert!(scalar.plain.len() > 1_000_000 && scalar.gzipped.len() < scalar.plain.len() / 2);
    }

    /// Our pages work under their policies, and refer to no other host.
    #[test]
    fn pages_refer_to_no_other_host() {
        for html in [include_str!("reference.html"), include_str!("landing.html")] {
            assert!(!html.contains("style=") && !html.contains("<style"), "inline style");
            assert!(!html.contains("onclick") && !html.contains("<script>"), "inline script");
            for address in html.split(['"', ' ']).filter(|w| w.contains("//")) {
                assert!(address.starts_with("{{"), "{address}");
            }
        }
        assert!(!include_str!("saldo.css").contains("url("));
    }
}
