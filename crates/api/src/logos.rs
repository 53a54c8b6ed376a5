//! The operators' logos: public images, embedded in the binary, and their URLs.
//!
//! The irecharge dialect has the route and documents it; the other dialects only name its URLs.

use crate::limits::LOGO_MAX_AGE_S;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue};
use rust_embed::RustEmbed;
use std::borrow::Cow;

#[derive(RustEmbed)]
#[folder = "logos/"]
#[allow_missing = true]
struct Logos;

/// The public URL of a logo.
pub(crate) fn url(base_url: &str, file: &str) -> String {
    format!("{base_url}/operator_logo/{file}")
}

/// The image with this file name; `None` if there is no such file or it is neither PNG nor SVG.
pub(crate) fn image(file: &str) -> Option<Response> {
    let content_type = match file.rsplit_once('.') {
        Some((_, "png")) => "image/png",
        Some((_, "svg")) => "image/svg+xml",
        Some(_) | None => return None,
    };
    let found = Logos::get(file)?;
    let bytes = match found.data {
        Cow::Borrowed(bytes) => bytes::Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes.into(),
    };
    let cache_control = format!("public, max-age={LOGO_MAX_AGE_S}");
    let fixed = |name: HeaderName, value| (name, HeaderValue::from_static(value));
    let headers = [
        fixed(CONTENT_TYPE, content_type),
        fixed(X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // A browser opens an SVG as a document: it must not run scripts or load anything.
        fixed(CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; sandbox"),
        fixed(HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
    ];
    let mut response = (headers, bytes).into_response();
    if let Ok(value) = HeaderValue::try_from(cache_control) {
        response.headers_mut().insert(CACHE_CONTROL, value);
    }
    Some(response)
}
