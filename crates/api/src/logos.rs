//! The operators' drawings, public, part of the program: their files and their addresses.
//!
//! The route is the irecharge face's, which documents it; other faces name its addresses.

use crate::limits::LOGO_FRESH_S;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue};
use rust_embed::RustEmbed;
use std::borrow::Cow;

#[derive(RustEmbed)]
#[folder = "logos/"]
#[allow_missing = true]
struct Logos;

/// Where a drawing is found.
pub(crate) fn url(base_url: &str, file: &str) -> String {
    format!("{base_url}/operator_logo/{file}")
}

/// The drawing of this file name, if there is one.
pub(crate) fn drawing(file: &str) -> Option<Response> {
    let kind = match file.rsplit_once('.') {
        Some((_, "png")) => "image/png",
        Some((_, "svg")) => "image/svg+xml",
        Some(_) | None => return None,
    };
    let found = Logos::get(file)?;
    let bytes = match found.data {
        Cow::Borrowed(bytes) => bytes::Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes.into(),
    };
    let fresh = format!("public, max-age={LOGO_FRESH_S}");
    let fixed = |name: HeaderName, value| (name, HeaderValue::from_static(value));
    let headers = [
        fixed(CONTENT_TYPE, kind),
        fixed(X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // An SVG is a page if it is opened as one: it may run and load nothing.
        fixed(CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; sandbox"),
        fixed(HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
    ];
    let mut response = (headers, bytes).into_response();
    if let Ok(fresh) = HeaderValue::try_from(fresh) {
        response.headers_mut().insert(CACHE_CONTROL, fresh);
    }
    Some(response)
}
