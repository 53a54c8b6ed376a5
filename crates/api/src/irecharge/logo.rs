//! The route of the operators' logos.

use super::refusals::{self, ApiError};
use crate::logos;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};

/// Operator logo
///
/// The address is what `logo` in the list of operators says. PNG and, under the same name, SVG.
/// Public: no keys, no rate limit.
#[utoipa::path(
    get,
    path = "/operator_logo/{file}",
    tag = "Operators",
    operation_id = "operator_logo",
    params(("file" = String, Path, description = "File name, as listed.",
        example = "grameenphone.png")),
    responses(
        (status = 200, description = "The drawing.",
            content((String = "image/png"), (String = "image/svg+xml"))),
        (status = 404, description = "There is no such drawing.", body = refusals::ErrorBody),
    ),
    security(()),
)]
pub(super) async fn logo(Path(file): Path<String>) -> Response {
    logos::image(&file)
        .unwrap_or_else(|| refusals::answer(&ApiError::route_not_found()).into_response())
}
