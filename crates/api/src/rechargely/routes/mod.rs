//! The routes: each parses its request, calls the engine and renders the answer. One file for each
//! tag of the OpenAPI document.
//!
//! Their doc comments and attributes are the texts of that document.

pub(super) mod payments;
pub(super) mod people;
pub(super) mod products;
pub(super) mod wallet;

use super::refusals::ApiError;
use super::wire::request::InvalidFields;
use crate::extract::answer::Answer;
use crate::extract::body;
use crate::wire::fields::RawFields;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request};

/// A text in the path, which need not be UTF-8.
type PathText = Result<Path<String>, PathRejection>;

/// Reads the body and parses its fields.
async fn parse_body<T>(
    request: Request,
    parse: impl FnOnce(&RawFields<'_>) -> Result<T, InvalidFields>,
) -> Result<T, ApiError> {
    let (_, text) = body::read(request).await?;
    Ok(parse(&RawFields::from_json(&text)?)?)
}

/// 200 with this body.
fn ok(body: &impl serde::Serialize) -> Result<Answer, ApiError> {
    Ok(Answer::ok(body)?)
}

/// Cuts a list to the lines of its page. If there are more, the second part is the `before` of the
/// next page: the id of the last line.
fn paged<T>(mut list: Vec<T>, limit: u32, id: impl FnOnce(&T) -> i64) -> (Vec<T>, Option<i64>) {
    let lines_max = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_last = list.len() <= lines_max;
    list.truncate(lines_max);
    let next = list.last().filter(|_| !is_last).map(id);
    (list, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_page_has_no_next() {
        for (list, limit, expected) in [
            (vec![], 2, (vec![], None)),
            (vec![9, 8], 2, (vec![9, 8], None)),
            (vec![9, 8, 7], 2, (vec![9, 8], Some(8))),
        ] {
            assert_eq!(paged(list, limit, |n| *n), expected);
        }
    }
}
