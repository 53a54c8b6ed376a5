//! The operators' drawings, public, part of the program.

use super::limits::LOGO_FRESH_S;
use super::refusals::{self, No};
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue};
use rust_embed::RustEmbed;
use std::borrow::Cow;

#[derive(RustEmbed)]
#[folder = "logos/"]
#[allow_missing = true]
struct Logos;

/// Operator logo
///
/// The address is what `logo` in the list of operators says. PNG and, under the same name, SVG.
/// Public: no keys, no rate limit.
#[utoipa::path(
    get,
    path = "/operator_logo/{file}",
    tag = "Operators",
    operation_id = "operator_logo",
    params(("file" = String, Path, description = "File name, as listed.", example = "grameenphone.png")),
    responses(
        (status = 200, description = "The drawing.", content((String = "image/png"), (String = "image/svg+xml"))),
        (status = 404, description = "There is no such drawing.", body = refusals::ErrorBody),
    ),
    security(()),
)]
pub(super) async fn logo(Path(file): Path<String>) -> Response {
    let kind = match file.rsplit_once('.') {
        Some((_, "png")) => "image/png",
        Some((_, "svg")) => "image/svg+xml",
        Some(_) | None => return missing(),
    };
    let Some(found) = Logos::get(&file) else { return missing() };
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
    response
}

fn missing() -> Response {
    refusals::answer(&No::Path).respond()
}
